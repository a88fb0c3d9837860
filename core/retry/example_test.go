package retry_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/retry"
)

var errRefused = errors.New("connection refused")

// flaky fails twice and then answers.
func flaky() func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		if n := retry.Attempt(ctx); n < 3 {
			return "", errRefused
		}
		return "paid", nil
	}
}

func Example() {
	payments, err := retry.New("payments", retry.Config{Base: time.Millisecond}, retry.Hooks{})
	if err != nil {
		panic(err)
	}
	receipt, err := retry.Do(context.Background(), payments, flaky())
	fmt.Println(receipt, err)
	// Output: paid <nil>
}

// The last real error stays in what Do returns, whatever ended the attempts.
func ExampleError() {
	payments, err := retry.New("payments", retry.Config{Base: time.Minute, MaxDelay: time.Minute, Jitter: retry.NoJitter}, retry.Hooks{})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err = retry.Do(ctx, payments, flaky())
	fmt.Println(err)
	fmt.Println(errors.Is(err, errRefused), errors.Is(err, retry.ErrDeadline))
	if e, ok := errors.AsType[*retry.Error](err); ok {
		fmt.Println(e.Attempts, e.Reason)
	}
	// Output:
	// retry "payments": deadline too near after 1 attempt: connection refused
	// true true
	// 1 deadline
}

// A call that must not be repeated says so in its error.
func ExamplePermanent() {
	payments, err := retry.New("payments", retry.Config{}, retry.Hooks{})
	if err != nil {
		panic(err)
	}
	_, err = retry.Do(context.Background(), payments, func(context.Context) (string, error) {
		return "", retry.Permanent(errors.New("card declined"))
	})
	fmt.Println(err)
	// Output: retry "payments": told not to retry after 1 attempt: card declined
}

// Retries to one backend share a budget. When it is empty, calls fail with the first error.
func ExampleHooks_budget() {
	backend, err := budget.New("backend", budget.Config{Size: 2})
	if err != nil {
		panic(err)
	}
	for _, name := range []string{"read", "write"} {
		r, err := retry.New(name, retry.Config{Base: time.Millisecond}, retry.Hooks{Budget: backend})
		if err != nil {
			panic(err)
		}
		_, err = retry.Do(context.Background(), r, func(context.Context) (int, error) { return 0, errRefused })
		fmt.Println(err)
	}
	// Output:
	// retry "read": no attempts left after 3 attempts: connection refused
	// retry "write": retry budget exhausted after 1 attempt: connection refused
}

// Which failures are worth another attempt, and when.
func ExampleHooks() {
	errBusy := errors.New("busy")
	orders, err := retry.New("orders", retry.Config{}, retry.Hooks{
		Retryable: func(_ context.Context, _ core.Outcome, err error) bool { return errors.Is(err, errBusy) },
		Backoff:   func(retry int, _ error) time.Duration { return time.Duration(retry) * time.Millisecond },
	})
	if err != nil {
		panic(err)
	}
	for _, failure := range []error{errBusy, errRefused} {
		_, err = retry.Do(context.Background(), orders, func(context.Context) (int, error) { return 0, failure })
		fmt.Println(err)
	}
	// Output:
	// retry "orders": no attempts left after 3 attempts: busy
	// retry "orders": not retryable after 1 attempt: connection refused
}

// A tier hands the number of its attempt on, as adapters do in a header; the retries of the next tier then hold back.
func ExampleWithAttempt() {
	backend, err := retry.New("backend", retry.Config{Base: time.Millisecond}, retry.Hooks{})
	if err != nil {
		panic(err)
	}
	fromTheWire := 2
	ctx := retry.WithAttempt(context.Background(), fromTheWire)
	_, err = retry.Do(ctx, backend, func(context.Context) (int, error) { return 0, errRefused })
	fmt.Println(err)
	// Output: retry "backend": retried further out after 1 attempt: connection refused
}

// New settings hold for calls that begin from now on.
func ExampleRetry_Tune() {
	payments, err := retry.New("payments", retry.Config{MaxAttempts: 1}, retry.Hooks{})
	if err != nil {
		panic(err)
	}
	_, err = retry.Do(context.Background(), payments, flaky())
	fmt.Println(err)
	if err := payments.Tune(retry.Config{Base: time.Millisecond}); err != nil {
		panic(err)
	}
	fmt.Println(retry.Do(context.Background(), payments, flaky()))
	fmt.Println(payments.Tune(retry.Config{MaxAttempts: 1000}))
	// Output:
	// retry "payments": no attempts left after 1 attempt: connection refused
	// paid <nil>
	// retry "payments": max_attempts: 1000 is not allowed; allowed: 1..100
}
