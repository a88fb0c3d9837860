package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
)

var errRefused = errors.New("connection refused")

func refuse(context.Context) (string, error) { return "", errRefused }
func answer(context.Context) (string, error) { return "paid", nil }

func Example() {
	payments, err := breaker.New("payments", breaker.Config{}, breaker.Hooks{})
	if err != nil {
		panic(err)
	}
	receipt, err := breaker.Do(context.Background(), payments, answer)
	fmt.Println(receipt, err)
	// Output: paid <nil>
}

// After enough failures the function does not run any more, until the open time is over.
func ExampleDo() {
	payments, err := breaker.New("payments", breaker.Config{MinCalls: 3}, breaker.Hooks{})
	if err != nil {
		panic(err)
	}
	for range 4 {
		_, err := breaker.Do(context.Background(), payments, refuse)
		fmt.Println(errors.Is(err, core.ErrOpen), errors.Is(err, errRefused))
	}
	_, err = breaker.Do(context.Background(), payments, answer)
	if rejected, ok := errors.AsType[*core.Rejection](err); ok {
		fmt.Println(rejected.Policy, rejected.Reason, rejected.RetryAfter > time.Second)
	}
	// Output:
	// false true
	// false true
	// false true
	// true false
	// payments open true
}

// A Keyed breaker has a state for each key, here the host.
func ExampleNewKeyed() {
	hosts, err := breaker.NewKeyed("hosts", breaker.Config{MinCalls: 1}, breaker.Hooks{})
	if err != nil {
		panic(err)
	}
	get := func(host string, fn func(context.Context) (string, error)) error {
		_, err := core.Do(context.Background(), hosts, core.Call{Key: core.KeyOf(host)}, nil, fn)
		return err
	}
	fmt.Println(get("a.example", refuse))
	fmt.Println(errors.Is(get("a.example", answer), core.ErrOpen))
	fmt.Println(get("b.example", answer))
	fmt.Println(hosts.State(core.KeyOf("a.example")), hosts.State(core.KeyOf("b.example")))
	// Output:
	// connection refused
	// true
	// <nil>
	// open closed
}

// The dependency said when to come back, or an operator takes it out of use.
func ExampleBreaker_Trip() {
	payments, err := breaker.New("payments", breaker.Config{}, breaker.Hooks{})
	if err != nil {
		panic(err)
	}
	payments.Trip(2 * time.Minute)
	fmt.Println(payments.State())
	payments.Reset()
	fmt.Println(payments.State())
	// Output:
	// open
	// closed
}

// New settings judge the counts that are there.
func ExampleBreaker_Tune() {
	payments, err := breaker.New("payments", breaker.Config{MinCalls: 100}, breaker.Hooks{})
	if err != nil {
		panic(err)
	}
	for range 9 {
		_, _ = breaker.Do(context.Background(), payments, refuse)
	}
	if err := payments.Tune(breaker.Config{MinCalls: 10}); err != nil {
		panic(err)
	}
	fmt.Println(payments.State(), payments.Snapshot().Bad)
	_, _ = breaker.Do(context.Background(), payments, refuse)
	fmt.Println(payments.State())

	fmt.Println(payments.Tune(breaker.Config{MinCalls: -1, FailureRate: 7}))
	// Output:
	// closed 9
	// open
	// breaker "payments": min_calls: -1 is not allowed; allowed: 1..1000000
	// failure_rate: 7 is not allowed; allowed: 0.01..1|none
}

// In shadow mode the breaker decides and counts, and every call goes through.
func ExampleBreaker_shadow() {
	payments, err := breaker.New("payments", breaker.Config{MinCalls: 1, Mode: core.Shadow}, breaker.Hooks{})
	if err != nil {
		panic(err)
	}
	for range 3 {
		_, err := breaker.Do(context.Background(), payments, refuse)
		fmt.Println(err)
	}
	s := payments.Snapshot()
	fmt.Println(s.State, "rejected", s.Rejected, "would have rejected", s.Shadowed)
	// Output:
	// connection refused
	// connection refused
	// connection refused
	// open rejected 0 would have rejected 2
}

func ExampleHooks() {
	payments, err := breaker.New("payments", breaker.Config{MinCalls: 2}, breaker.Hooks{
		OnEvent: func(e core.Event) { fmt.Printf("%s %s: %s -> %s (%s)\n", e.Type, e.By.Name, e.From, e.To, e.Cause) },
	})
	if err != nil {
		panic(err)
	}
	_, _ = breaker.Do(context.Background(), payments, refuse)
	_, _ = breaker.Do(context.Background(), payments, refuse)
	payments.Reset()
	if err := payments.Override(core.ForcedOpen, time.Hour); err != nil {
		panic(err)
	}
	// Output:
	// state_changed payments: closed -> open (failure rate)
	// state_changed payments: open -> closed (operator)
	// mode_changed payments: enforce -> forced-open (override)
}
