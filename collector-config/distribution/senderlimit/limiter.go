package senderlimit

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
)

// maxNamed is how many senders the count of dropped points names; a hostile one may call itself anything.
const maxNamed = 100

// maxExemplars is more than a histogram of ours has buckets; of more, the first are kept.
const maxExemplars = 64

type limiter struct {
	config  Config
	seed    maphash.Seed
	dropped metric.Int64Counter
	logger  *zap.Logger

	mu     sync.Mutex
	known  *tracker
	named  map[string]bool
	now    func() time.Time
	warned map[string]bool
}

func newLimiter(config Config, provider metric.MeterProvider, logger *zap.Logger) (*limiter, error) {
	meter := provider.Meter("github.com/otel-duckdb/otel-duckdb/collector/senderlimit")
	dropped, err := meter.Int64Counter("otelcol_processor_sender_limit_dropped_points",
		metric.WithDescription("Points that were dropped because their sender has too many series."))
	if err != nil {
		return nil, err
	}
	l := &limiter{
		config: config, seed: maphash.MakeSeed(), dropped: dropped, logger: logger, now: time.Now,
		known: newTracker(config.MaxSeries, config.MaxTotalSeries, config.Expiration),
		named: map[string]bool{}, warned: map[string]bool{},
	}
	_, err = meter.Int64ObservableGauge("otelcol_processor_sender_limit_series",
		metric.WithDescription("Series that count towards the limit of all senders."),
		metric.WithInt64Callback(func(_ context.Context, observer metric.Int64Observer) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			observer.Observe(int64(l.known.total))
			return nil
		}))
	return l, err
}

// process drops the points that are too many, and cuts the texts that are too long.
func (l *limiter) process(ctx context.Context, md pmetric.Metrics) (pmetric.Metrics, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.known.sweep(now)
	for _, resource := range md.ResourceMetrics().All() {
		l.shorten(resource.Resource().Attributes())
		name, identity := senderOf(resource.Resource().Attributes())
		points := &batch{limiter: l, sender: identity, now: now, dropped: map[verdict]int64{}}
		if resource.Resource().Attributes().Len() > l.config.MaxAttributes*2 {
			points.refused = overAttributes
		}
		for _, scope := range resource.ScopeMetrics().All() {
			scope.Metrics().RemoveIf(points.pass)
		}
		l.tell(ctx, name, points.dropped)
	}
	return md, nil
}

// tell counts what was dropped, and logs the first time of each sender that is named.
func (l *limiter) tell(ctx context.Context, name string, dropped map[verdict]int64) {
	for reason, count := range dropped {
		if !l.named[name] && len(l.named) >= maxNamed {
			name = "_other"
		}
		l.named[name] = true
		l.dropped.Add(ctx, count, metric.WithAttributes(attribute.String("sender", name), attribute.String("reason", string(reason))))
		if !l.warned[name] {
			l.warned[name] = true
			l.logger.Warn("points are dropped: too many "+string(reason), zap.String("sender", name), zap.Int64("points", count))
		}
	}
}

func senderOf(attributes pcommon.Map) (name, identity string) {
	value := func(key string) string {
		if found, ok := attributes.Get(key); ok {
			return found.AsString()
		}
		return ""
	}
	name = value("service.name")
	return name, strings.Join([]string{value("service.namespace"), name, value("service.instance.id")}, "\x00")
}

func (l *limiter) cut(text string) string {
	if len(text) <= l.config.MaxLength {
		return text
	}
	return strings.ToValidUTF8(text[:l.config.MaxLength], "")
}

func (l *limiter) shorten(attributes pcommon.Map) {
	long := false
	for key, value := range attributes.All() {
		switch value.Type() {
		case pcommon.ValueTypeStr:
			value.SetStr(l.cut(value.Str()))
		case pcommon.ValueTypeMap, pcommon.ValueTypeSlice, pcommon.ValueTypeBytes:
			value.SetStr(l.cut(value.AsString()))
		}
		long = long || len(key) > l.config.MaxLength
	}
	if long {
		attributes.RemoveIf(func(key string, _ pcommon.Value) bool { return len(key) > l.config.MaxLength })
	}
}

// batch is the points of one resource.
type batch struct {
	limiter *limiter
	sender  string
	now     time.Time
	refused verdict
	dropped map[verdict]int64
	name    uint64
}

// pass drops points of a metric, and tells whether none is left.
func (b *batch) pass(one pmetric.Metric) bool {
	one.SetName(b.limiter.cut(one.Name()))
	one.SetDescription(b.limiter.cut(one.Description()))
	one.SetUnit(b.limiter.cut(one.Unit()))
	b.name = maphash.String(b.limiter.seed, one.Name())
	switch one.Type() {
	case pmetric.MetricTypeGauge:
		return b.numbers(one.Gauge().DataPoints())
	case pmetric.MetricTypeSum:
		return b.numbers(one.Sum().DataPoints())
	case pmetric.MetricTypeHistogram:
		points := one.Histogram().DataPoints()
		points.RemoveIf(func(point pmetric.HistogramDataPoint) bool {
			return b.drops(point.Attributes(), point.Exemplars(), max(point.ExplicitBounds().Len(), point.BucketCounts().Len())+3)
		})
		return points.Len() == 0
	case pmetric.MetricTypeExponentialHistogram:
		points := one.ExponentialHistogram().DataPoints()
		points.RemoveIf(func(point pmetric.ExponentialHistogramDataPoint) bool {
			return b.drops(point.Attributes(), point.Exemplars(), 1+(point.Positive().BucketCounts().Len()+point.Negative().BucketCounts().Len())/200)
		})
		return points.Len() == 0
	case pmetric.MetricTypeSummary:
		points := one.Summary().DataPoints()
		points.RemoveIf(func(point pmetric.SummaryDataPoint) bool {
			return b.drops(point.Attributes(), pmetric.NewExemplarSlice(), point.QuantileValues().Len()+2)
		})
		return points.Len() == 0
	}
	return true
}

func (b *batch) numbers(points pmetric.NumberDataPointSlice) bool {
	points.RemoveIf(func(point pmetric.NumberDataPoint) bool {
		return b.drops(point.Attributes(), point.Exemplars(), 1)
	})
	return points.Len() == 0
}

func (b *batch) drops(attributes pcommon.Map, exemplars pmetric.ExemplarSlice, cost int) bool {
	verdict := b.refused
	if attributes.Len() > b.limiter.config.MaxAttributes {
		verdict = overAttributes
	}
	if verdict == passed {
		b.limiter.shorten(attributes)
		verdict = b.limiter.known.admit(b.sender, b.identity(attributes), cost, b.now)
	}
	if verdict != passed {
		b.dropped[verdict]++
		return true
	}
	kept := 0
	exemplars.RemoveIf(func(pmetric.Exemplar) bool { kept++; return kept > maxExemplars })
	for _, exemplar := range exemplars.All() {
		b.limiter.shorten(exemplar.FilteredAttributes())
	}
	return false
}

// identity tells series of one sender apart, whatever the order of the attributes.
func (b *batch) identity(attributes pcommon.Map) uint64 {
	sum := b.name
	for key, value := range attributes.All() {
		sum += maphash.String(b.limiter.seed, key+"\x00"+value.AsString())
	}
	return sum
}
