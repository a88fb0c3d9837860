// Package otelmetrics counts and times HTTP requests for OpenTelemetry, on both sides: the twin of package metrics.
//
//	server, err := otelmetrics.Server(otelmetrics.Config{Meter: provider.Meter("shop")})
//	client, err := otelmetrics.Client(otelmetrics.Config{Meter: provider.Meter("shop")})
//
// Instruments and attributes are those of the semantic conventions: http.server.request.duration, active_requests and,
// with Config.Sizes, request.body.size and response.body.size; the same of http.client. The attributes of the durations
// are http.request.method, http.route, http.response.status_code, error.type and url.scheme on a server, and
// http.request.method, server.address, server.port, http.response.status_code and error.type on a client; one that does
// not apply is absent. active_requests has http.request.method alone, and is read when somebody collects.
//
// What the values mean, their bounds and what they cost is as in package metrics.
package otelmetrics

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/internal/series"
)

// Config says what is measured and where it goes.
type Config struct {
	// Meter makes the instruments. Required.
	Meter metric.Meter `key:"-"`
	// MaxSeries is how many combinations of attributes are told apart. Default 1000. Range 1 to 100000. An SDK has a limit of
	// its own, 2000 by default.
	MaxSeries int `default:"1000" range:"1..100000"`
	// MaxHosts is how many hosts Client tells apart. Default 100. Range 1 to 10000.
	MaxHosts int `default:"100" range:"1..10000"`
	// Sizes measures the bodies of requests and responses as well. Default false.
	Sizes bool
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c Config) Validate() error {
	var fault error
	if c.Meter == nil {
		fault = schema.Fault("meter", "nil", "a metric.Meter")
	}
	return schema.Validate(c, fault)
}

// The attributes.
const (
	attrMethod = attribute.Key("http.request.method")
	attrRoute  = attribute.Key("http.route")
	attrStatus = attribute.Key("http.response.status_code")
	attrError  = attribute.Key("error.type")
	attrScheme = attribute.Key("url.scheme")
	attrHost   = attribute.Key("server.address")
	attrPort   = attribute.Key("server.port")
)

// instruments are those of one side.
type instruments struct {
	duration metric.Float64Histogram
	in, out  metric.Int64Histogram // bodies of requests and responses; nil without Config.Sizes
	active   series.Active
}

func register(c Config, side string) (*instruments, error) {
	i := &instruments{}
	var faults [4]error
	prefix := "http." + side + "."
	i.duration, faults[0] = c.Meter.Float64Histogram(prefix+"request.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of HTTP "+side+" requests."),
		metric.WithExplicitBucketBoundaries(series.Seconds()...))
	_, faults[1] = c.Meter.Int64ObservableUpDownCounter(prefix+"active_requests", metric.WithUnit("{request}"),
		metric.WithDescription("HTTP "+side+" requests in flight."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			i.active.Each(func(method string, n int64) { o.Observe(n, metric.WithAttributes(attrMethod.String(method))) })
			return nil
		}))
	if c.Sizes {
		size := func(what string) (metric.Int64Histogram, error) {
			return c.Meter.Int64Histogram(prefix+what+".body.size", metric.WithUnit("By"),
				metric.WithDescription("Size of the bodies of HTTP "+side+" "+what+"s."),
				metric.WithExplicitBucketBoundaries(series.Bytes()...))
		}
		i.in, faults[2] = size("request")
		i.out, faults[3] = size("response")
	}
	return i, errors.Join(faults[:]...)
}

// options are the attributes of one combination, as the instruments take them: made once, so that recording makes no slice.
type options []metric.RecordOption

func optionsOf(kvs ...attribute.KeyValue) *options {
	return &options{metric.WithAttributeSet(attribute.NewSet(kvs...))}
}

// observe adds one request. A size below zero is not known.
func (i *instruments) observe(ctx context.Context, o *options, took time.Duration, in, out int64) {
	i.duration.Record(ctx, took.Seconds(), *o...)
	if i.in == nil {
		return
	}
	if in >= 0 {
		i.in.Record(ctx, in, *o...)
	}
	if out >= 0 {
		i.out.Record(ctx, out, *o...)
	}
}

// common are the attributes of both sides.
func common(method string, status int, errorType string) []attribute.KeyValue {
	kvs := []attribute.KeyValue{attrMethod.String(method)}
	if status != 0 {
		kvs = append(kvs, attrStatus.Int(status))
	}
	if errorType != "" {
		kvs = append(kvs, attrError.String(errorType))
	}
	return kvs
}

// port is the attribute of a port, if it is a number.
func port(kvs []attribute.KeyValue, text string) []attribute.KeyValue {
	if n, err := strconv.Atoi(text); err == nil {
		return append(kvs, attrPort.Int(n))
	}
	return kvs
}
