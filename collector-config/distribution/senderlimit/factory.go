// Package senderlimit is a processor that bounds how many series one sender may make.
package senderlimit

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processorhelper"
)

// NewFactory gives the factory of the processor, called `sender_limit`.
func NewFactory() processor.Factory {
	return processor.NewFactory(
		component.MustNewType("sender_limit"),
		func() component.Config {
			return &Config{
				MaxSeries: 10_000, MaxTotalSeries: 200_000, Expiration: 2 * time.Minute, MaxAttributes: 32, MaxLength: 1024,
			}
		},
		processor.WithMetrics(create, component.StabilityLevelAlpha),
	)
}

func create(ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Metrics) (processor.Metrics, error) {
	limiter, err := newLimiter(*cfg.(*Config), set.MeterProvider, set.Logger)
	if err != nil {
		return nil, err
	}
	return processorhelper.NewMetrics(ctx, set, cfg, next, limiter.process,
		processorhelper.WithCapabilities(consumer.Capabilities{MutatesData: true}))
}
