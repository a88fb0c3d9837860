package trace

import (
	"context"
	"fmt"
	"net/http"
	"reflect"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	nometrics "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Config is the Config of Server and Client. The zero value is the default.
type Config struct {
	// Provider makes the spans. nil means that of otel.SetTracerProvider, looked up at each request.
	Provider trace.TracerProvider
	// Propagator reads and writes the fields that carry a trace from one service to the next. nil means that of
	// otel.SetTextMapPropagator.
	Propagator propagation.TextMapPropagator
	// Public is for servers whose callers are strangers: each request begins a trace of its own, with a link to what
	// the caller says. Default false.
	Public bool
	// Query leaves the query in the url.full of a client's spans. Default false.
	Query bool
}

// options are those of otelhttp.
func (c Config) options() []otelhttp.Option {
	next := c.Propagator
	if next == nil {
		next = otel.GetTextMapPropagator() // passes on to the one that is set later
	}
	o := []otelhttp.Option{
		otelhttp.WithPropagators(entry{next}),
		otelhttp.WithMeterProvider(nometrics.NewMeterProvider()),
	}
	if c.Provider != nil {
		o = append(o, otelhttp.WithTracerProvider(c.Provider))
	}
	if c.Public {
		o = append(o, otelhttp.WithPublicEndpointFn(func(*http.Request) bool { return true }))
	}
	return o
}

// on reports whether somebody wants spans: a provider is set, or a span is already there, whose provider makes this one
// too.
func (c *Config) on(ctx context.Context) bool {
	p := c.Provider
	if p == nil {
		p = otel.GetTracerProvider()
	}
	if provides(p) {
		return true
	}
	return c.Provider == nil && trace.SpanContextFromContext(ctx).IsValid()
}

// provides reports whether p is neither the provider that there is before one is set, nor one that does nothing.
func provides(p trace.TracerProvider) bool {
	if _, ok := p.(noop.TracerProvider); ok {
		return false
	}
	return reflect.TypeOf(p) != unset
}

// unset is the type of the global provider before one is set. It has no name outside of OpenTelemetry, and asking it for a
// span is what is to be saved. If somebody's init has set a provider already it is nil, and every request is traced.
var unset = func() reflect.Type {
	t := reflect.TypeOf(otel.GetTracerProvider())
	if t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "go.opentelemetry.io/otel/internal/global" {
		return t
	}
	return nil
}()

func atMostOne(name string, c []Config) Config {
	switch len(c) {
	case 0:
		return Config{}
	case 1:
		return c[0]
	default:
		panic(fmt.Sprintf("trace: %s: %d Configs given, at most one is meant", name, len(c)))
	}
}
