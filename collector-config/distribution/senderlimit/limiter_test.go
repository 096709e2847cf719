package senderlimit

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
)

func limit(t *testing.T, config Config) *limiter {
	t.Helper()
	made, err := newLimiter(config, noop.NewMeterProvider(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func bounds() Config {
	return *NewFactory().CreateDefaultConfig().(*Config)
}

func gauges(service string, values ...string) pmetric.Metrics {
	md := pmetric.NewMetrics()
	resource := md.ResourceMetrics().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", service)
	one := resource.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	one.SetName("gauge")
	points := one.SetEmptyGauge().DataPoints()
	for _, value := range values {
		points.AppendEmpty().Attributes().PutStr("table_name", value)
	}
	return md
}

func names(count int) []string {
	made := make([]string, count)
	for number := range made {
		made[number] = fmt.Sprint("table", number)
	}
	return made
}

func left(t *testing.T, l *limiter, md pmetric.Metrics) int {
	t.Helper()
	passed, err := l.process(context.Background(), md)
	if err != nil {
		t.Fatal(err)
	}
	return passed.DataPointCount()
}

func TestOneSenderIsBoundedAndOthersAreNot(t *testing.T) {
	config := bounds()
	config.MaxSeries = 10
	l := limit(t, config)
	if got := left(t, l, gauges("hostile", names(1000)...)); got != 10 {
		t.Errorf("%d points of the hostile sender passed, not 10", got)
	}
	if got := left(t, l, gauges("honest", names(10)...)); got != 10 {
		t.Errorf("%d points of the honest sender passed, not 10", got)
	}
	if got := left(t, l, gauges("hostile", names(10)...)); got != 10 {
		t.Errorf("%d of the known series went on, not 10", got)
	}
}

func TestAllSendersTogetherAreBounded(t *testing.T) {
	config := bounds()
	config.MaxTotalSeries = 25
	l := limit(t, config)
	sum := 0
	for number := range 100 {
		sum += left(t, l, gauges(fmt.Sprint("sender", number), names(10)...))
	}
	if sum != 25 {
		t.Errorf("%d points passed, not 25", sum)
	}
}

func TestAHistogramCountsAsManySeriesAsPrometheusMakes(t *testing.T) {
	config := bounds()
	config.MaxSeries = 20
	l := limit(t, config)
	md := gauges("sender")
	one := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().AppendEmpty()
	one.SetName("histogram")
	points := one.SetEmptyHistogram().DataPoints()
	for number := range 5 {
		point := points.AppendEmpty()
		point.Attributes().PutInt("number", int64(number))
		point.ExplicitBounds().FromRaw([]float64{1, 2, 3, 4, 5, 6, 7})
	}
	if got := left(t, l, md); got != 2 {
		t.Errorf("%d histograms of ten series passed, not 2", got)
	}
}

func TestSeriesThatEndedMakeRoom(t *testing.T) {
	config := bounds()
	config.MaxSeries = 10
	l := limit(t, config)
	now := time.Now()
	l.now = func() time.Time { return now }
	left(t, l, gauges("sender", names(10)...))
	now = now.Add(config.Expiration + time.Second)
	if got := left(t, l, gauges("sender", "another")); got != 1 {
		t.Error("a series was dropped though the others had ended")
	}
	if l.known.total != 1 {
		t.Errorf("%d series are counted, not 1", l.known.total)
	}
}

func TestTheOrderOfAttributesMakesNoSeries(t *testing.T) {
	config := bounds()
	config.MaxSeries = 1
	l := limit(t, config)
	for _, keys := range [][]string{{"a", "b"}, {"b", "a"}} {
		md := gauges("sender", "table")
		attributes := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).Attributes()
		for _, key := range keys {
			attributes.PutStr(key, key)
		}
		if left(t, l, md) != 1 {
			t.Error("the same series in another order was dropped")
		}
	}
}

func TestLongTextsAreCutAndManyAttributesDropped(t *testing.T) {
	l := limit(t, bounds())
	md := gauges("sender", strings.Repeat("ä", 1_000_000))
	if left(t, l, md) != 1 {
		t.Error("a point with a long value was dropped")
	}
	value, _ := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).Attributes().Get("table_name")
	if len(value.Str()) > 1024 {
		t.Errorf("a value of %d bytes was kept", len(value.Str()))
	}
	md = gauges("sender", "table")
	attributes := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).Attributes()
	for number := range 1000 {
		attributes.PutInt(fmt.Sprint("key", number), 1)
	}
	if left(t, l, md) != 0 {
		t.Error("a point with a thousand attributes passed")
	}
}
