// Package sharedscrape is an extension that lets an HTTP server make one answer at a time, for all who wait for it.
//
// What Prometheus scrapes takes memory and processor time for each series. Where that takes longer than its timeout, it
// hangs up and asks again, but the answer it left is made to its end: on a busy machine such answers would pile up, until
// the memory limiter refuses what every program sends, and no scrape succeeds any more.
package sharedscrape

import (
	"context"
	"net/http"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensionmiddleware"
)

// NewFactory gives the factory of the extension, called `shared_scrape`; a server names it among its `middlewares`.
func NewFactory() extension.Factory {
	return extension.NewFactory(
		component.MustNewType("shared_scrape"),
		func() component.Config { return &Config{} },
		func(context.Context, extension.Settings, component.Config) (extension.Extension, error) {
			return &shared{}, nil
		},
		component.StabilityLevelAlpha,
	)
}

// Config has nothing to set.
type Config struct{}

type shared struct {
	component.StartFunc
	component.ShutdownFunc
}

var _ extensionmiddleware.HTTPServer = (*shared)(nil)

// GetHTTPHandler gives what wraps the maker of the answers.
func (*shared) GetHTTPHandler(context.Context) (extensionmiddleware.WrapHTTPHandlerFunc, error) {
	return func(_ context.Context, base http.Handler) (http.Handler, error) { return newHandler(base), nil }, nil
}
