package prom_test

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/observe/prom"
	"github.com/mw-go/mw/core/policy"
)

// The machines of a set, shown to Prometheus.
func Example() {
	set, err := policy.New(policy.Config{Bulkheads: map[string]bulkhead.Config{"shop": {Limit: 20}}}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(prom.New(set.All))

	shop, err := set.Bulkhead("shop", bulkhead.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = shop.Acquire(context.Background(), core.Call{})

	families, err := registry.Gather() // what promhttp.HandlerFor(registry, ...) serves
	if err != nil {
		fmt.Println(err)
	}
	for _, f := range families {
		if f.GetName() == "mw_policy_in_flight" || f.GetName() == "mw_policy_limit" {
			fmt.Println(f.GetName(), f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	// Output:
	// mw_policy_in_flight 1
	// mw_policy_limit 20
}
