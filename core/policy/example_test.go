package policy_test

import (
	"context"
	"fmt"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/policy"
	"github.com/mw-go/mw/core/ratelimit"
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
