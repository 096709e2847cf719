// Package clickhouselate is the ClickHouse exporter, but for that a ClickHouse that is away keeps no collector from starting.
//
// The original connects when the collector starts, and ends it where that fails: Prometheus and Jaeger would get nothing
// either. Here the first data connects, again and again, and what arrives until then waits in the exporter's queue.
package clickhouselate

import (
	"context"
	"sync"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/clickhouseexporter"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
)

// firstAttempt is how long the start of the collector may wait for ClickHouse.
const firstAttempt = 5 * time.Second

var original = clickhouseexporter.NewFactory()

// NewFactory gives the factory of the exporter: its name and its settings are those of the original.
func NewFactory() exporter.Factory {
	return exporter.NewFactory(
		original.Type(),
		original.CreateDefaultConfig,
		exporter.WithTraces(createTraces, original.TracesStability()),
		exporter.WithMetrics(createMetrics, original.MetricsStability()),
		exporter.WithLogs(createLogs, original.LogsStability()),
	)
}

func createTraces(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Traces, error) {
	late := newLate(set, cfg, original.CreateTraces)
	push := func(ctx context.Context, td ptrace.Traces) error {
		started, err := late.get(ctx)
		if err != nil {
			return err
		}
		return started.ConsumeTraces(ctx, td)
	}
	return exporterhelper.NewTraces(ctx, set, cfg, push, late.options(cfg)...)
}

func createMetrics(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Metrics, error) {
	late := newLate(set, cfg, original.CreateMetrics)
	push := func(ctx context.Context, md pmetric.Metrics) error {
		started, err := late.get(ctx)
		if err != nil {
			return err
		}
		return started.ConsumeMetrics(ctx, md)
	}
	return exporterhelper.NewMetrics(ctx, set, cfg, push, late.options(cfg)...)
}

func createLogs(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Logs, error) {
	late := newLate(set, cfg, original.CreateLogs)
	push := func(ctx context.Context, ld plog.Logs) error {
		started, err := late.get(ctx)
		if err != nil {
			return err
		}
		return started.ConsumeLogs(ctx, ld)
	}
	return exporterhelper.NewLogs(ctx, set, cfg, push, late.options(cfg)...)
}

// late is an exporter of the original that starts when it can.
type late[T component.Component] struct {
	create func(context.Context) (T, error)
	logger *zap.Logger
	host   component.Host

	mu      sync.Mutex
	started bool
	inner   T
}

func newLate[T component.Component](
	set exporter.Settings, cfg component.Config, create func(context.Context, exporter.Settings, component.Config) (T, error),
) *late[T] {
	inner := *cfg.(*clickhouseexporter.Config)
	// The queue and the retries are those around it, and so is the counting.
	inner.QueueSettings = configoptional.None[exporterhelper.QueueBatchConfig]()
	inner.BackOffConfig = configretry.BackOffConfig{}
	inner.TimeoutSettings = exporterhelper.TimeoutConfig{}
	quiet := set
	quiet.MeterProvider = noop.NewMeterProvider()
	return &late[T]{
		create: func(ctx context.Context) (T, error) { return create(ctx, quiet, &inner) },
		logger: set.Logger,
	}
}

func (l *late[T]) options(cfg component.Config) []exporterhelper.Option {
	config := cfg.(*clickhouseexporter.Config)
	return []exporterhelper.Option{
		exporterhelper.WithStart(l.start),
		exporterhelper.WithShutdown(l.shutdown),
		exporterhelper.WithTimeout(config.TimeoutSettings),
		exporterhelper.WithQueue(config.QueueSettings),
		exporterhelper.WithRetry(config.BackOffConfig),
	}
}

func (l *late[T]) start(ctx context.Context, host component.Host) error {
	l.host = host
	ctx, cancel := context.WithTimeout(ctx, firstAttempt)
	defer cancel()
	if _, err := l.get(ctx); err != nil {
		l.logger.Warn("ClickHouse does not answer; what arrives waits in the queue", zap.Error(err))
	}
	return nil
}

// get gives the exporter, which it makes and starts at the first call that succeeds.
func (l *late[T]) get(ctx context.Context) (T, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.started {
		return l.inner, nil
	}
	inner, err := l.create(ctx)
	if err != nil {
		return inner, err
	}
	if err := inner.Start(ctx, l.host); err != nil {
		_ = inner.Shutdown(ctx) // it never started; the error of the start is the one to tell
		return inner, err
	}
	l.inner, l.started = inner, true
	return inner, nil
}

func (l *late[T]) shutdown(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.started {
		return nil
	}
	return l.inner.Shutdown(ctx)
}
