package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/ratelimit"
)

func ExampleDo() {
	limit, err := ratelimit.New("reports", ratelimit.Config{Limit: 2, Period: time.Hour}, ratelimit.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		text, err := ratelimit.Do(context.Background(), limit, func(context.Context) (string, error) {
			return "a report", nil
		})
		if rejected, ok := errors.AsType[*core.Rejection](err); ok {
			fmt.Println(rejected.Reason, "by", rejected.Policy, "for", rejected.RetryAfter.Round(time.Minute))
			continue
		}
		fmt.Println(text)
	}
	// Output:
	// a report
	// a report
	// limited by reports for 30m0s
}

// A bucket for each client, and calls that cost what they are worth.
func ExampleKeyed() {
	limit, err := ratelimit.NewKeyed("api", ratelimit.Config{Limit: 10, Period: time.Hour}, ratelimit.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	export := func(client string, cost uint32) {
		_, err := core.Do(context.Background(), limit, core.Call{Key: core.KeyOf(client), Cost: cost}, nil,
			func(context.Context) (struct{}, error) { return struct{}{}, nil })
		fmt.Println(client, cost, err)
	}
	export("ann", 8)
	export("ben", 8)
	export("ann", 11)
	_, d := limit.Acquire(context.Background(), core.Call{Key: core.KeyOf("ann"), Cost: 1}) // the same, for adapters
	fmt.Println("ann 1", d.Reason, "left:", d.Remaining)
	// Output:
	// ann 8 <nil>
	// ben 8 <nil>
	// ann 11 ratelimit "api": costs more than the limit
	// ann 1 admitted left: 1
}

// With MaxWait a call waits for its turn, unless that is too far away.
func ExampleLimiter_Acquire_waiting() {
	limit, err := ratelimit.New("mail", ratelimit.Config{Limit: 100, Burst: 1, MaxWait: 15 * time.Millisecond}, ratelimit.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	start := core.Now()
	limit.Acquire(context.Background(), core.Call{Now: start})
	_, d := limit.Acquire(context.Background(), core.Call{Now: start})
	fmt.Println("waited at least 10ms:", d.Now.Sub(start) >= 10*time.Millisecond, d.Reason)

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, d = limit.Acquire(ctx, core.Call{Now: d.Now}) // 10ms are more than the caller has
	fmt.Println(d.Reason, d.Now.Sub(start) < time.Minute)
	// Output:
	// waited at least 10ms: true admitted
	// too_long true
}

// New settings keep what every key owes.
func ExampleLimiter_Tune() {
	limit, err := ratelimit.New("search", ratelimit.Config{Limit: 10, Period: time.Hour}, ratelimit.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, d := limit.Acquire(context.Background(), core.Call{Cost: 8})
	fmt.Println("left:", d.Remaining)
	if err := limit.Tune(ratelimit.Config{Limit: 20, Period: time.Hour}); err != nil {
		fmt.Println(err)
	}
	_, d = limit.Acquire(context.Background(), core.Call{})
	fmt.Println("left of 20:", d.Remaining) // 8 and 1 are owed
	fmt.Println(limit.Tune(ratelimit.Config{Limit: -1, Burst: -1}))
	fmt.Println("still", limit.Config().Limit)
	// Output:
	// left: 2
	// left of 20: 11
	// ratelimit "search": limit: -1 is not allowed; allowed: 1..1000000000
	// burst: -1 is not allowed; allowed: 0..1000000000
	// still 20
}

// Peek asks without taking.
func ExampleLimiter_Peek() {
	limit, err := ratelimit.New("login", ratelimit.Config{Limit: 1, Period: time.Hour}, ratelimit.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := core.Now()
	fmt.Println(limit.Peek(core.Call{Now: now}).Reason, limit.Peek(core.Call{Now: now}).Reason)
	limit.Acquire(context.Background(), core.Call{Now: now})
	d := limit.Peek(core.Call{Now: now})
	fmt.Println(d.Reason, d.RetryAfter)
	// Output:
	// admitted admitted
	// limited 1h0m0s
}

// Shadow mode tries a limit on live traffic: it counts what it would have rejected and rejects nothing.
func ExampleLimiter_shadow() {
	limit, err := ratelimit.New("api", ratelimit.Config{Limit: 1, Period: time.Hour, Mode: core.Shadow}, ratelimit.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		_, d := limit.Acquire(context.Background(), core.Call{})
		fmt.Println(d.Admitted(), d.Reason, d.Reason.Shadow())
	}
	st := limit.Status()
	fmt.Println("admitted", st.Admitted, "shadowed", st.Shadowed, "rejected", st.Rejected)
	// Output:
	// true admitted false
	// true limited true
	// true limited true
	// admitted 3 shadowed 2 rejected 0
}
