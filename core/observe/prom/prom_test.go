package prom

import (
	"context"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/observe"
	"github.com/mw-go/mw/core/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newSet(t testing.TB) *policy.Set {
	t.Helper()
	set, err := policy.New(policy.Config{
		Bulkheads: map[string]bulkhead.Config{"shop": {Limit: 1}},
		Breakers:  map[string]breaker.Config{"pay": {Latency: breaker.Latency{Watch: true}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// The registry is pedantic: it checks every metric against its description, and all of them for consistency.
func TestCollector(t *testing.T) {
	set := newSet(t)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(New(set.All))
	if n, err := testutil.GatherAndCount(registry); err != nil || n != 0 {
		t.Fatalf("%d metrics without machines, %v", n, err)
	}
	shop := mw.Must(set.Bulkhead("shop", bulkhead.Hooks{})) // made after the collector
	pay := mw.Must(set.Breaker("pay", breaker.Hooks{}))
	for range 3 {
		_, _ = shop.Acquire(context.Background(), core.Call{})
	}
	p, _ := pay.Acquire(context.Background(), core.Call{})
	p.Done(0, core.Failure)
	want := `
# HELP mw_policy_in_flight Calls running, resources lent, functions left behind.
# TYPE mw_policy_in_flight gauge
mw_policy_in_flight{kind="breaker",name="pay"} 0
mw_policy_in_flight{kind="bulkhead",name="shop"} 1
# HELP mw_policy_rejected_total Calls rejected.
# TYPE mw_policy_rejected_total counter
mw_policy_rejected_total{kind="breaker",name="pay",reason="any"} 0
mw_policy_rejected_total{kind="bulkhead",name="shop",reason="any"} 2
# HELP mw_policy_state 1 for the state of the breaker, 0 for the others.
# TYPE mw_policy_state gauge
mw_policy_state{kind="breaker",name="pay",state="closed"} 1
mw_policy_state{kind="breaker",name="pay",state="half-open"} 0
mw_policy_state{kind="breaker",name="pay",state="open"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want),
		"mw_policy_in_flight", "mw_policy_rejected_total", "mw_policy_state"); err != nil {
		t.Error(err)
	}
}

// Names and help follow the conventions of Prometheus; a gauge histogram is the one thing that its linter does not know.
func TestConventions(t *testing.T) {
	set := newSet(t)
	mw.Must(set.Bulkhead("shop", bulkhead.Hooks{}))
	p, _ := mw.Must(set.Breaker("pay", breaker.Hooks{})).Acquire(context.Background(), core.Call{})
	p.Done(0, core.Success)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(New(set.All))
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		if problem.Metric != "mw_policy_latency_window" {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
}

// Two machines of one name fail the scrape aloud instead of hiding one of them.
func TestSameNameTwice(t *testing.T) {
	one, two := newSet(t), newSet(t)
	a, b := mw.Must(one.Bulkhead("shop", bulkhead.Hooks{})), mw.Must(two.Bulkhead("shop", bulkhead.Hooks{}))
	registry := prometheus.NewRegistry()
	registry.MustRegister(New(func() []core.Machine { return []core.Machine{a, b} }))
	if _, err := registry.Gather(); err == nil {
		t.Error("no error")
	}
	registry = prometheus.NewRegistry()
	prometheus.WrapRegistererWith(prometheus.Labels{"set": "first"}, registry).MustRegister(New(one.All))
	prometheus.WrapRegistererWith(prometheus.Labels{"set": "second"}, registry).MustRegister(New(two.All))
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
}

func TestNilFunction(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	New(nil)
}

func TestNames(t *testing.T) {
	for otel, want := range map[string]string{
		"mw.policy.rejected": "mw_policy_rejected_total", "mw.policy.in_flight": "mw_policy_in_flight",
		"mw.policy.latency": "mw_policy_latency_seconds", "mw.policy.limit.period": "mw_policy_limit_period_seconds",
	} {
		for _, m := range observe.All() {
			if m.Name == otel && name(m) != want {
				t.Errorf("%s is %s, want %s", otel, name(m), want)
			}
		}
	}
}
