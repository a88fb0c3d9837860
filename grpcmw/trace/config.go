package trace

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel"
	nometrics "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc/stats"
)

// Config is the Config of ServerOption and DialOption. The zero value is the default.
type Config struct {
	// Provider makes the spans. nil means that of otel.SetTracerProvider.
	Provider trace.TracerProvider
	// Propagator reads and writes the metadata that carry a trace from one service to the next. nil means that of
	// otel.SetTextMapPropagator.
	Propagator propagation.TextMapPropagator
	// Public is for servers whose callers are strangers: each call begins a trace of its own, with a link to what the caller
	// says. Default false.
	Public bool
	// Late makes an option also if no provider is set yet, and looks for one at each call. Default false.
	Late bool
	// Everything traces health checks, reflection and channelz as well. Default false.
	Everything bool
}

// options are those of otelgrpc.
func (c Config) options() []otelgrpc.Option {
	next := c.Propagator
	if next == nil {
		next = otel.GetTextMapPropagator() // passes on to the one that is set later
	}
	o := []otelgrpc.Option{
		otelgrpc.WithPropagators(entry{next}),
		otelgrpc.WithMeterProvider(nometrics.NewMeterProvider()),
	}
	if c.Provider != nil {
		o = append(o, otelgrpc.WithTracerProvider(c.Provider))
	}
	if c.Public {
		o = append(o, otelgrpc.WithPublicEndpoint())
	}
	if !c.Everything {
		o = append(o, otelgrpc.WithFilter(func(i *stats.RPCTagInfo) bool { return !operations(i.FullMethodName) }))
	}
	return o
}

// operations holds for the methods that grpcmw exempts.
func operations(method string) bool {
	return strings.HasPrefix(method, "/grpc.health.") || strings.HasPrefix(method, "/grpc.reflection.") ||
		strings.HasPrefix(method, "/grpc.channelz.")
}

// wanted reports whether there is a provider, or may be one.
func (c *Config) wanted() bool { return c.Late || c.provided() }

// on reports whether somebody wants spans: a provider is set, or a span is already there, whose provider makes this one
// too.
func (c *Config) on(ctx context.Context) bool {
	return c.provided() || c.Provider == nil && trace.SpanContextFromContext(ctx).IsValid()
}

// provided reports whether the provider is neither the one that there is before one is set, nor one that does nothing.
func (c *Config) provided() bool {
	p := c.Provider
	if p == nil {
		p = otel.GetTracerProvider()
	}
	if _, ok := p.(noop.TracerProvider); ok {
		return false
	}
	return reflect.TypeOf(p) != unset
}

// unset is the type of the global provider before one is set. It has no name outside of OpenTelemetry. If somebody's init has
// set a provider already it is nil, and every call is traced.
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
