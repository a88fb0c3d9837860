package otelmetric

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/observe"
	"github.com/mw-go/mw/core/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// values returns what a reader collects, by name and attributes.
func values(t *testing.T, reader *sdk.ManualReader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	points := func(name string, dps []metricdata.DataPoint[float64]) {
		for _, p := range dps {
			got[name+" "+p.Attributes.Encoded(attribute.DefaultEncoder())] = p.Value
		}
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[float64]:
				if !d.IsMonotonic || d.Temporality != metricdata.CumulativeTemporality {
					t.Errorf("%s is no counter", m.Name)
				}
				points(m.Name, d.DataPoints)
			case metricdata.Gauge[float64]:
				points(m.Name, d.DataPoints)
			default:
				t.Errorf("%s is a %T", m.Name, d)
			}
		}
	}
	return got
}

// What OpenTelemetry gets is what observe.Read says, sample by sample.
func TestRegister(t *testing.T) {
	set, err := policy.New(policy.Config{
		Bulkheads: map[string]bulkhead.Config{"shop": {Limit: 1}},
		Breakers:  map[string]breaker.Config{"pay": {Latency: breaker.Latency{Watch: true}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	reader := sdk.NewManualReader()
	registration, err := Register(sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test"), set.All)
	if err != nil {
		t.Fatal(err)
	}
	shop := mw.Must(set.Bulkhead("shop", bulkhead.Hooks{}))
	p, _ := mw.Must(set.Breaker("pay", breaker.Hooks{})).Acquire(context.Background(), core.Call{})
	p.Done(0, core.Success)
	for range 3 {
		_, _ = shop.Acquire(context.Background(), core.Call{})
	}
	got := values(t, reader)
	n := 0
	for _, m := range set.All() {
		observe.Read(m, func(s observe.Sample) {
			n++
			set := attributes(s)
			key := s.Metric.Name + " " + set.Encoded(attribute.DefaultEncoder())
			if v, ok := got[key]; !ok || v != s.Value {
				t.Errorf("%s: %v (there: %v), want %v", key, v, ok, s.Value)
			}
		})
	}
	if n == 0 || n != len(got) {
		t.Errorf("%d samples, %d collected", n, len(got))
	}
	const rejected = "mw.policy.rejected mw.policy.kind=bulkhead,mw.policy.name=shop,mw.policy.reason=any"
	if got[rejected] != 2 {
		t.Errorf("rejected: %v, want 2", got[rejected])
	}
	if err := registration.Unregister(); err != nil {
		t.Fatal(err)
	}
	if got := values(t, reader); len(got) != 0 {
		t.Errorf("%d samples after Unregister", len(got))
	}
}

func TestRegisterNil(t *testing.T) {
	if _, err := Register(nil, func() []core.Machine { return nil }); err == nil {
		t.Error("a nil meter was taken")
	}
	if _, err := Register(sdk.NewMeterProvider().Meter("test"), nil); err == nil {
		t.Error("a nil function was taken")
	}
}
