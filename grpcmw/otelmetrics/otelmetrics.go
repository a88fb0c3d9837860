// Package otelmetrics counts and times calls over gRPC for OpenTelemetry, on both sides: the twin of package metrics.
//
//	server, err := otelmetrics.Server(otelmetrics.Config{Meter: provider.Meter("shop")})
//	client, err := otelmetrics.Client(otelmetrics.Config{Meter: provider.Meter("shop")})
//
// Instruments and attributes are those of the semantic conventions: rpc.server.call.duration and rpc.client.call.duration with
// rpc.system.name, rpc.method, rpc.response.status_code and error.type, on a client also server.address and server.port; one
// that does not apply is absent. Beside them stand rpc.server.active_calls and rpc.client.active_calls with rpc.system.name and
// rpc.method, which the conventions do not know; they are read when somebody collects.
//
// What the values mean, their bounds and what they cost is as in package metrics.
package otelmetrics

import (
	"context"
	"errors"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/internal/series"
)

// Config says what is measured and where it goes.
type Config struct {
	// Meter makes the instruments. Required.
	Meter metric.Meter `key:"-"`
	// Services are those whose methods have names of their own; all others are _OTHER. nil means whatever comes first.
	Services []*grpc.ServiceDesc `key:"-"`
	// MaxMethods is how many methods are told apart; no fewer than the Services have. Default 500. Range 1 to 10000.
	MaxMethods int `default:"500" range:"1..10000"`
	// MaxTargets is how many targets Client tells apart. Default 100. Range 1 to 10000.
	MaxTargets int `default:"100" range:"1..10000"`
	// MaxSeries is how many combinations of attributes are told apart; no fewer than one for each method and code of the
	// Services. Default 1000. Range 1 to 100000. An SDK has a limit of its own, 2000 by default.
	MaxSeries int `default:"1000" range:"1..100000"`
	// Everything measures health checks, reflection and channelz as well. Default false.
	Everything bool
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c Config) Validate() error {
	var faults []error
	if c.Meter == nil {
		faults = append(faults, schema.Fault("meter", "nil", "a metric.Meter"))
	}
	for _, s := range c.Services {
		if s == nil {
			faults = append(faults, schema.Fault("services", "nil", "a *grpc.ServiceDesc"))
			break
		}
	}
	return schema.Validate(c, faults...)
}

// codesOf is how many codes gRPC knows.
const codesOf = int(codes.Unauthenticated) + 1

// check returns c with its defaults.
func (c Config) check() (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	c = schema.Fill(c)
	known := len(c.known())
	c.MaxMethods, c.MaxSeries = max(c.MaxMethods, known), max(c.MaxSeries, known*(codesOf+1))
	return c, nil
}

// known are the methods of the Services, such as /shop.Orders/Place.
func (c *Config) known() (methods []string) {
	for _, s := range c.Services {
		for _, m := range s.Methods {
			methods = append(methods, "/"+s.ServiceName+"/"+m.MethodName)
		}
		for _, m := range s.Streams {
			methods = append(methods, "/"+s.ServiceName+"/"+m.StreamName)
		}
	}
	return methods
}

// The attributes.
const (
	attrSystem = attribute.Key("rpc.system.name")
	attrMethod = attribute.Key("rpc.method")
	attrCode   = attribute.Key("rpc.response.status_code")
	attrError  = attribute.Key("error.type")
	attrHost   = attribute.Key("server.address")
	attrPort   = attribute.Key("server.port")
)

var system = attrSystem.String("grpc")

// register makes the instruments of a side, server or client.
func register(c Config, side string, methods *series.RPCMethods) (metric.Float64Histogram, error) {
	var faults [2]error
	duration, err := c.Meter.Float64Histogram("rpc."+side+".call.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of gRPC "+side+" calls."),
		metric.WithExplicitBucketBoundaries(series.Seconds()...))
	faults[0] = err
	_, faults[1] = c.Meter.Int64ObservableUpDownCounter("rpc."+side+".active_calls", metric.WithUnit("{call}"),
		metric.WithDescription("gRPC "+side+" calls in flight."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			methods.Each(func(name string, n int64) { o.Observe(n, metric.WithAttributes(system, attrMethod.String(name))) })
			return nil
		}))
	return duration, errors.Join(faults[:]...)
}

// options are the attributes of one combination, as the instruments take them: made once, so that recording makes no slice.
type options []metric.RecordOption

func optionsOf(kvs ...attribute.KeyValue) options {
	return options{metric.WithAttributeSet(attribute.NewSet(append(kvs, system)...))}
}

func optionsFor(k series.RPC) options {
	kvs := []attribute.KeyValue{attrMethod.String(k.Method), attrCode.String(k.Code)}
	if k.ErrorType != "" {
		kvs = append(kvs, attrError.String(k.ErrorType))
	}
	if k.Target.Name != "" {
		kvs = append(kvs, attrHost.String(k.Target.Name))
	}
	if n, err := strconv.Atoi(k.Target.Port); err == nil {
		kvs = append(kvs, attrPort.Int(n))
	}
	return optionsOf(kvs...)
}
