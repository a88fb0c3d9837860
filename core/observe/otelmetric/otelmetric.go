// Package otelmetric shows the machines of a service to OpenTelemetry.
//
//	registration, err := otelmetric.Register(provider.Meter("github.com/mw-go/mw"), set.All)
//
// The machines are read when a reader collects; nothing is added to the path of a call. Package observe lists the metrics,
// which have the same names here; the labels are the attributes mw.policy.kind, mw.policy.name, and mw.policy. before the
// name of the third.
package otelmetric

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/observe"
)

// prefix is that of the attributes.
const prefix = "mw.policy."

// Register makes the instruments and a callback that reads the machines which the function returns at each collection,
// such as policy.Set.All. Unregister of the Registration ends it. Errors: what the meter says of an instrument, and a nil
// function.
func Register(meter metric.Meter, machines func() []core.Machine) (metric.Registration, error) {
	if meter == nil || machines == nil {
		return nil, errors.New("otelmetric: nil meter or function")
	}
	instruments := map[*observe.Metric]metric.Float64Observable{}
	var all []metric.Observable
	for _, m := range observe.All() {
		i, err := instrument(meter, m)
		if err != nil {
			return nil, err
		}
		instruments[m] = i
		all = append(all, i)
	}
	return meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		for _, m := range machines() {
			if err := ctx.Err(); err != nil {
				return err
			}
			observe.Read(m, func(s observe.Sample) {
				o.ObserveFloat64(instruments[s.Metric], s.Value, metric.WithAttributeSet(attributes(s)))
			})
		}
		return nil
	}, all...)
}

func instrument(meter metric.Meter, m *observe.Metric) (metric.Float64Observable, error) {
	if m.Type == observe.Counter {
		return meter.Float64ObservableCounter(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Help))
	}
	return meter.Float64ObservableGauge(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Help))
}

func attributes(s observe.Sample) attribute.Set {
	kvs := [3]attribute.KeyValue{
		attribute.String(prefix+observe.LabelKind, string(s.Kind)),
		attribute.String(prefix+observe.LabelName, s.Name),
	}
	if s.Metric.Label == "" {
		return attribute.NewSet(kvs[:2]...)
	}
	kvs[2] = attribute.String(prefix+s.Metric.Label, s.Label)
	return attribute.NewSet(kvs[:]...)
}
