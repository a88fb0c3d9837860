package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
)

// The rule that all closed breakers watch: half of at least 20 calls in ten seconds, in slices of one second.
const (
	window   = 10 * time.Second
	slice    = time.Second
	minCalls = 20
)

// errBackend is how the call fails that opens the breakers of the open rows.
var errBackend = errors.New("backend failed")

func breakerRows() []Row {
	return []Row{
		{
			Name: "BreakerClosed", About: "closed, time window: take a permit, record a success",
			Contestants: []Contestant{{Ours, oursPair}, {"failsafe", failsafePair}},
		},
		{
			Name: "BreakerDo", About: "closed, time window: run a function that succeeds",
			Contestants: []Contestant{{Ours, oursDo}, {"failsafe", failsafeGet}, {"gobreaker", gobreakerExecute}},
		},
		{
			Name: "BreakerOpen", About: "open: turn a call away", Verdict: Rejected,
			Contestants: []Contestant{{Ours, oursOpen}, {"failsafe", failsafeOpen}, {"gobreaker", gobreakerOpen}},
		},
		{
			Name: "BreakerOpenDo", About: "open: turn a function away, with an error", Verdict: Rejected,
			Contestants: []Contestant{{Ours, oursOpenDo}, {"failsafe", failsafeOpenGet}, {"gobreaker", gobreakerOpen}},
		},
	}
}

// work is the function that the executors run.
func work(context.Context) (int, error) { return 1, nil }

func workAlone() (int, error) { return 1, nil }

func oursClosed() *breaker.Breaker {
	c := breaker.Config{Window: window, MinCalls: minCalls, FailureRate: 0.5}
	return mw.Must(breaker.New("bench", c, breaker.Hooks{}))
}

// openedBreaker returns a breaker that one failure has opened for an hour.
func openedBreaker() *breaker.Breaker {
	b := mw.Must(breaker.New("bench", breaker.Config{
		ConsecutiveFailures: 1, OpenFor: time.Hour, MaxOpenFor: time.Hour, Jitter: core.None,
	}, breaker.Hooks{}))
	p, _ := b.Acquire(context.Background(), core.Call{})
	p.Done(0, core.Failure)
	return b
}

// recorded checks that as many successes are in a window as calls were made.
func recorded(got, calls int) error {
	if got != calls {
		return fmt.Errorf("%d successes in the window after %d calls", got, calls)
	}
	return nil
}

func oursPair() Subject {
	b, ctx := oursClosed(), context.Background()
	return Subject{
		Loop: func(_, n int) (admitted int) {
			for range n {
				p, d := b.Acquire(ctx, core.Call{})
				if d.Admitted() {
					admitted++
				}
				p.Done(0, core.Success)
			}
			return admitted
		},
		Check: func(calls int) error { return recorded(int(b.Snapshot().Good), calls) },
	}
}

func oursDo() Subject {
	b := oursClosed()
	s := oursLoopDo(b)
	s.Check = func(calls int) error { return recorded(int(b.Snapshot().Good), calls) }
	return s
}

func oursLoopDo(b *breaker.Breaker) Subject {
	ctx := context.Background()
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			if v, err := breaker.Do(ctx, b, work); err == nil {
				admitted += v
			}
		}
		return admitted
	}}
}

func oursOpen() Subject {
	b, ctx := openedBreaker(), context.Background()
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			p, d := b.Acquire(ctx, core.Call{})
			if d.Admitted() {
				admitted++
				p.Done(0, core.Success)
			}
		}
		return admitted
	}}
}

func oursOpenDo() Subject { return oursLoopDo(openedBreaker()) }

func failsafeClosed() circuitbreaker.CircuitBreaker[int] {
	return circuitbreaker.NewBuilder[int]().WithFailureRateThreshold(0.5, minCalls, window).Build()
}

func failsafeOpened() circuitbreaker.CircuitBreaker[int] {
	b := circuitbreaker.NewBuilder[int]().WithFailureThreshold(1).WithDelay(time.Hour).Build()
	b.RecordFailure()
	return b
}

func failsafePair() Subject {
	b := failsafeClosed()
	return Subject{
		Loop: func(_, n int) (admitted int) {
			for range n {
				if b.TryAcquirePermit() {
					admitted++
				}
				b.RecordSuccess()
			}
			return admitted
		},
		Check: func(calls int) error { return recorded(int(b.Metrics().Successes()), calls) },
	}
}

func failsafeOpen() Subject {
	b := failsafeOpened()
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			if b.TryAcquirePermit() {
				admitted++
				b.RecordSuccess()
			}
		}
		return admitted
	}}
}

func failsafeGet() Subject {
	b := failsafeClosed()
	s := failsafeLoopGet(b)
	s.Check = func(calls int) error { return recorded(int(b.Metrics().Successes()), calls) }
	return s
}

func failsafeOpenGet() Subject { return failsafeLoopGet(failsafeOpened()) }

// failsafeLoopGet makes the executor once, as its users do; it composes its policies anew for every call.
func failsafeLoopGet(b circuitbreaker.CircuitBreaker[int]) Subject {
	executor := failsafe.With[int](b)
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			if v, err := executor.Get(workAlone); err == nil {
				admitted += v
			}
		}
		return admitted
	}}
}

func newGobreaker(trip func(gobreaker.Counts) bool) *gobreaker.CircuitBreaker[int] {
	return gobreaker.NewCircuitBreaker[int](gobreaker.Settings{
		Interval: window, BucketPeriod: slice, Timeout: time.Hour, ReadyToTrip: trip,
	})
}

func gobreakerExecute() Subject {
	b := newGobreaker(func(c gobreaker.Counts) bool {
		return c.Requests >= minCalls && 2*c.TotalFailures >= c.Requests
	})
	s := gobreakerLoop(b)
	s.Check = func(calls int) error { return recorded(int(b.Counts().TotalSuccesses), calls) }
	return s
}

func gobreakerOpen() Subject {
	b := newGobreaker(func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 1 })
	_, _ = b.Execute(func() (int, error) { return 0, errBackend })
	return gobreakerLoop(b)
}

func gobreakerLoop(b *gobreaker.CircuitBreaker[int]) Subject {
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			if v, err := b.Execute(workAlone); err == nil {
				admitted += v
			}
		}
		return admitted
	}}
}
