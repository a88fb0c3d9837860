package policy_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/policy"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/timeout"
)

// The code names what it needs, the configuration says the numbers, and a reload moves all machines or none.
func Example() {
	set, err := policy.New(policy.Config{
		RateLimits: map[string]ratelimit.Config{"login": {Limit: 2}, "serach": {Limit: 100}},
	}, func(e core.Event) { fmt.Println("event:", e.By.Kind, e.By.Name, e.Type) })
	if err != nil {
		fmt.Println(err)
		return
	}
	login, err := set.KeyedRateLimit("login", ratelimit.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	payments, err := set.Breaker("payments", breaker.Hooks{}) // no settings: the defaults
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("wired:", login.Config().Limit, payments.Config().MinCalls)

	// What the code asks for and the settings lack, or the other way round, comes out at the start.
	_, err = set.RateLimit("search", ratelimit.Hooks{})
	fmt.Println("error:", err)
	fmt.Println("check:", set.Check())

	// A reload with a fault changes nothing.
	fmt.Println("reload:", set.Tune(policy.Config{
		RateLimits: map[string]ratelimit.Config{"login": {Limit: 3, MaxWait: -1}},
	}))
	if err := set.Tune(policy.Config{
		RateLimits: map[string]ratelimit.Config{"login": {Limit: 3}, "search": {Limit: 100}},
	}); err != nil {
		fmt.Println(err)
	}
	_, d := login.Acquire(context.Background(), core.Call{Key: core.KeyOf("ann")})
	fmt.Println("call:", d.Reason, "by", d.By.Name, "at", d.By.Limit, "a", d.By.Period)
	for _, m := range set.All() {
		st := m.Status()
		fmt.Println("state:", st.Policy.Kind, st.Policy.Name, st.Admitted)
	}
	// Output:
	// wired: 2 20
	// error: rate_limits.search.limit: required; write e.g. limit: 100 (allowed: 1..1000000000)
	// check: policy: rate_limits.serach: no code asks for it; did you mean search?
	// reload: rate_limits.login.max_wait: -1ns is not allowed; allowed: 0s..1h
	// event: ratelimit login tuned
	// call: admitted by login at 3 a 1s
	// state: breaker payments 0
	// state: ratelimit login 1
}

// A client of a dependency, in the recommended order, with what the configuration has settings for. What makes no sense
// is refused with the reason, at the start and at every reload.
func ExampleSet_Client() {
	config := policy.Config{
		Timeouts: map[string]timeout.Config{"stock": {Limit: 2 * time.Second}},
		Retries:  map[string]retry.Config{"stock": {Base: time.Millisecond}},
		Hedges:   map[string]hedge.Config{"stock": {Delay: 100 * time.Millisecond}},
		Breakers: map[string]breaker.Config{"stock": {}},
	}
	set, err := policy.New(config, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	stock, err := set.Client(set.ClientPlan("stock"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range stock.Machines() {
		fmt.Println(m.Status().Policy.Kind)
	}
	n := 0
	left, err := policy.Do(context.Background(), stock, func(context.Context) (int, error) {
		if n++; n == 1 {
			return 0, errors.New("connection reset")
		}
		return 17, nil
	})
	fmt.Println(left, err)

	config.Timeouts = map[string]timeout.Config{"stock": {Limit: 50 * time.Millisecond}}
	fmt.Println(set.Tune(config))
	// Output:
	// timeout
	// retry
	// hedge
	// breaker
	// 17 <nil>
	// policy: timeout "stock" outside hedge "stock": the time of 50ms is over before the hedge's delay of 100ms is: it would never make an extra attempt
}
