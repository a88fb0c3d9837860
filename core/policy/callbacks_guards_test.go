package policy_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/throttle"
)

// callbackRow is one function of one machine.
type callbackRow struct {
	machine, callback string
	tells             tells
	leaves            bool // a caller whose context ends does not wait for the function
	deaf              bool // the function's context is not the caller's
	alone             bool // others need not be served meanwhile
	open              func(t *testing.T, s *scene, at string) subject
}

// callbackRows is the table of all functions that a user gives to a machine.
func callbackRows() []callbackRow {
	rows := []callbackRow{
		{machine: "breaker", callback: "probe", alone: true, open: openBreaker},
		{machine: "breaker", callback: "opening", tells: event, alone: true, open: openBreaker},
		{machine: "adaptive", callback: "shedding", tells: event, open: openAdaptive},
	}
	for machine, open := range map[string]func(*testing.T, *scene, string) subject{
		"breaker": openBreaker, "ratelimit": openRateLimit, "bulkhead": openBulkhead, "adaptive": openAdaptive,
		"throttle": openThrottle,
	} {
		rows = append(rows,
			callbackRow{machine: machine, callback: "fn", open: open},
			callbackRow{machine: machine, callback: "Classify", open: open},
			callbackRow{machine: machine, callback: "OnEvent", tells: event, open: open})
	}
	return append(rows, runnerRows()...)
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// fn is what is called; it is under attack if that is at fn or at one of the names.
func (s *scene) fn(at string, names ...string) func(context.Context) (int, error) {
	for _, name := range append(names, "fn") {
		if at == name {
			return func(ctx context.Context) (int, error) { return 1, s.strike(ctx) }
		}
	}
	return good
}

func good(context.Context) (int, error) { return 1, nil }

func fails(context.Context) (int, error) { return 0, errBoom }

// hooks are those that every machine has.
func (s *scene) hooks(at string) (h core.Hooks) {
	switch at {
	case "Classify":
		h.Classify = func(ctx context.Context, err error) core.Outcome {
			_ = s.strike(ctx)
			return core.Classify(ctx, err)
		}
	case "OnEvent", "opening", "shedding":
		h.OnEvent = func(core.Event) { s.strikeBlind() }
	}
	return h
}

// told makes an attack on OnEvent one on the calls that cause events.
func (sub subject) told(at string, m core.Machine, tune func() error) subject {
	sub.count, sub.tune = func() uint64 { return m.Status().EventPanics }, tune
	if at == "OnEvent" {
		sub.serve = sub.call
		sub.call = func(context.Context) error { return tune() }
	}
	return sub
}

func openBreaker(t *testing.T, s *scene, at string) subject {
	c := breaker.Config{MinCalls: 100, Probes: 1, OpenFor: time.Second, Jitter: core.None}
	if at == "opening" {
		c.ConsecutiveFailures = 1
	}
	b := must[*breaker.Breaker](t)(breaker.New("b", c, s.hooks(at)))
	sub := subject{
		call: func(ctx context.Context) error { _, err := breaker.Do(ctx, b, s.fn(at, "probe")); return err },
		rest: func() string {
			if snap := b.Snapshot(); snap.Probing != 0 {
				return fmt.Sprintf("%d probes", snap.Probing)
			}
			return ""
		},
	}
	reset := func(ctx context.Context) error { b.Reset(); _, err := breaker.Do(ctx, b, good); return err }
	switch at {
	case "probe":
		b.Trip(time.Second)
		time.Sleep(time.Second)
		sub.serve = sub.call
		if s.fate <= exits { // then it has failed, and the breaker is open again
			sub.serve = reset
		}
	case "opening":
		sub.serve = reset
		sub.call = func(ctx context.Context) error {
			_, err := breaker.Do(ctx, b, fails)
			return err
		}
	}
	return sub.told(at, b, func() error { c.MinCalls++; return b.Tune(c) })
}

func openRateLimit(t *testing.T, s *scene, at string) subject {
	c := ratelimit.Config{Limit: 10, Burst: 1, MaxWait: time.Hour}
	l := must[*ratelimit.Limiter](t)(ratelimit.New("l", c, s.hooks(at)))
	return subject{
		call: func(ctx context.Context) error { _, err := ratelimit.Do(ctx, l, s.fn(at)); return err },
		rest: func() string {
			if snap := l.Snapshot(); snap.Waiting != 0 {
				return fmt.Sprintf("%d wait", snap.Waiting)
			}
			return ""
		},
	}.told(at, l, func() error { c.Limit++; return l.Tune(c) })
}

func openBulkhead(t *testing.T, s *scene, at string) subject {
	c := bulkhead.Config{Limit: 1, Queue: 10, MaxWait: time.Hour}
	b := must[*bulkhead.Bulkhead](t)(bulkhead.New("b", c, s.hooks(at)))
	return subject{
		call: func(ctx context.Context) error { _, err := bulkhead.Do(ctx, b, s.fn(at)); return err },
		rest: func() string {
			if snap := b.Snapshot(); snap.Running != 0 || snap.Waiting != 0 {
				return fmt.Sprintf("%d run, %d wait", snap.Running, snap.Waiting)
			}
			return ""
		},
	}.told(at, b, func() error { c.Queue++; return b.Tune(c) })
}

func openAdaptive(t *testing.T, s *scene, at string) subject {
	c := adaptive.Config{InitialLimit: 1, MinLimit: 1, MaxLimit: 1, Queue: 10, QueueInterval: time.Minute, QueueTarget: time.Minute}
	l := must[*adaptive.Limiter](t)(adaptive.New("l", c, s.hooks(at)))
	sub := subject{
		call: func(ctx context.Context) error { _, err := adaptive.Do(ctx, l, s.fn(at)); return err },
		rest: func() string {
			if snap := l.Snapshot(); snap.Running != 0 || snap.Waiting != 0 {
				return fmt.Sprintf("%d run, %d wait", snap.Running, snap.Waiting)
			}
			return ""
		},
	}
	if at == "shedding" { // a call that finds no slot tells of it
		sub.serve = sub.call
		sub.call = func(ctx context.Context) error {
			p, _ := l.Acquire(ctx, core.Call{})
			defer p.Done(0, core.Success)
			late, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, err := adaptive.Do(late, l, good)
			return err
		}
	}
	return sub.told(at, l, func() error { c.Queue++; return l.Tune(c) })
}

func openThrottle(t *testing.T, s *scene, at string) subject {
	c, hooks := throttle.Config{K: 2}, s.hooks(at)
	th := must[*throttle.Throttle](t)(throttle.New("t", c, hooks))
	var asked atomic.Uint64
	return subject{
		call: func(ctx context.Context) error {
			asked.Add(1)
			_, err := core.Do(ctx, th, core.Call{Class: core.Sheddable}, hooks.Classify, s.fn(at))
			return err
		},
		rest: func() string {
			if snap := th.Snapshot(); snap.Admitted+snap.Rejected != asked.Load() {
				return fmt.Sprintf("of %d calls %d have ended", asked.Load(), snap.Admitted+snap.Rejected)
			}
			return ""
		},
	}.told(at, th, func() error { c.K++; return th.Tune(c) })
}
