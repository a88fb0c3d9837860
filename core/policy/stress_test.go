package policy_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/fallback"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/throttle"
	"github.com/mw-go/mw/core/timeout"
)

// stressed is a machine that many goroutines call while its settings and its mode change.
type stressed struct {
	core.Machine
	call func(ctx context.Context, fn func(context.Context) (int, error)) error
	tune func() error
	rest func() string // what is wrong when no call is under way; empty if nothing is
}

const (
	stressCallers = 8
	stressCalls   = 400
	ms            = time.Millisecond
)

// TestStressWhileModesChange: calls succeed, fail, panic, exit, and lose their callers while operators switch modes and
// reload settings. Afterwards nothing is in flight, and every call of a guard has been counted once.
func TestStressWhileModesChange(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) stressed{
		"breaker": stressBreaker, "ratelimit": stressRateLimit, "bulkhead": stressBulkhead, "adaptive": stressAdaptive,
		"throttle": stressThrottle, "retry": stressRetry, "timeout": stressTimeout, "abandoning": stressAbandoning,
		"fallback": stressFallback, "hedge": stressHedge,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { open(t).run(t) })
		})
	}
}

func (x stressed) run(t *testing.T) {
	var wg sync.WaitGroup
	var over atomic.Bool
	for range stressCallers {
		wg.Go(func() {
			for range stressCalls {
				ctx, cancel := context.WithCancel(context.Background())
				if rand.IntN(2) == 0 {
					time.AfterFunc(soon(), cancel)
				} else {
					ctx, cancel = context.WithTimeout(ctx, soon())
				}
				<-perform(func() error { return x.call(ctx, anyhow) })
				cancel()
			}
		})
	}
	operator := make(chan struct{})
	go func() {
		defer close(operator)
		for !over.Load() {
			time.Sleep(soon())
			var err error
			switch rand.IntN(4) {
			case 0:
				err = x.tune()
			case 1:
				x.Restore()
			default:
				err = x.Override(core.Mode(rand.IntN(3)), soon())
			}
			if err != nil {
				t.Error(err)
			}
			x.Status()
		}
	}()
	wg.Wait()
	over.Store(true)
	<-operator
	x.Restore()
	time.Sleep(time.Minute) // for what was left behind
	synctest.Wait()
	if wrong := x.rest(); wrong != "" {
		t.Errorf("at rest: %s", wrong)
	}
}

// soon is a few whole milliseconds, so that much happens in the same instant. It is never 0: a timer that is due at once
// runs on the scheduler's own stack in a bubble, which crashes the race detector of Go 1.26.
func soon() time.Duration { return time.Duration(1+rand.IntN(8)) * ms }

// anyhow ends in one way or another, soon, now and then later than its caller waits.
func anyhow(ctx context.Context) (int, error) {
	if rand.IntN(2) == 0 {
		time.Sleep(soon())
	}
	switch rand.IntN(8) {
	case 0:
		panic(errBoom)
	case 1:
		runtime.Goexit()
	case 2:
		return 0, errBoom
	case 3:
		return 0, core.ErrTimeout
	case 4:
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return 1, nil
}

// counts says what is wrong with the counts of a guard, of which n calls were made.
func counts(s core.Status, n uint64) string {
	if s.Admitted+s.Rejected != n || s.Shadowed > s.Admitted {
		return fmt.Sprintf("%d calls: %+v", n, s)
	}
	return ""
}

// guarded is a guard under stress. Each call is made by core.Do, of any class and for one of a few keys.
func guarded(g core.Guard, m core.Machine, tune func() error, idle func() string) stressed {
	var n atomic.Uint64
	return stressed{
		Machine: m, tune: tune,
		call: func(ctx context.Context, fn func(context.Context) (int, error)) error {
			n.Add(1)
			c := core.Call{Class: core.Class(rand.IntN(6)), Key: core.KeyOfWords(0, rand.Uint64N(5)), Cost: rand.Uint32N(3)}
			_, err := core.Do(ctx, g, c, nil, fn)
			return err
		},
		rest: func() string { return idle() + counts(m.Status(), n.Load()) },
	}
}

func stressBreaker(t *testing.T) stressed {
	c := breaker.Config{MinCalls: 5, OpenFor: ms, Window: time.Second, ProbeTimeout: 5 * ms, MaxKeys: 3}
	b := must[*breaker.Keyed](t)(breaker.NewKeyed("b", c, breaker.Hooks{}))
	tune := func() error { c.MinCalls = 1 + rand.IntN(9); return b.Tune(c) }
	return guarded(b, b, tune, func() string {
		if n := b.Snapshot().Probing; n != 0 {
			return fmt.Sprintf("%d probes; ", n)
		}
		return ""
	})
}

func stressRateLimit(t *testing.T) stressed {
	c := ratelimit.Config{Limit: 2000, Burst: 2, MaxWait: 5 * ms, MaxKeys: 3}
	l := must[*ratelimit.Keyed](t)(ratelimit.NewKeyed("l", c, ratelimit.Hooks{}))
	tune := func() error { c.Limit = 500 + rand.Int64N(4000); return l.Tune(c) }
	return guarded(l, l, tune, func() string {
		if n := l.Snapshot().Waiting; n != 0 {
			return fmt.Sprintf("%d wait; ", n)
		}
		return ""
	})
}

func stressBulkhead(t *testing.T) stressed {
	c := bulkhead.Config{Limit: 2, Queue: 2, MaxWait: 5 * ms, MaxKeys: 3}
	b := must[*bulkhead.Keyed](t)(bulkhead.NewKeyed("b", c, bulkhead.Hooks{}))
	tune := func() error { c.Limit = 1 + rand.IntN(3); return b.Tune(c) }
	return guarded(b, b, tune, func() string {
		if s := b.Snapshot(); s.Running != 0 || s.Waiting != 0 {
			return fmt.Sprintf("%d run, %d wait; ", s.Running, s.Waiting)
		}
		return ""
	})
}

func stressAdaptive(t *testing.T) stressed {
	c := adaptive.Config{MaxLimit: 4, Queue: 8, QueueInterval: 6 * ms, QueueTarget: 6 * ms, MinSamples: 100, Window: 10 * ms}
	l := must[*adaptive.Limiter](t)(adaptive.New("l", c, adaptive.Hooks{}))
	tune := func() error { c.MaxLimit = 2 + rand.IntN(4); return l.Tune(c) }
	return guarded(l, l, tune, func() string {
		if s := l.Snapshot(); s.Running != 0 || s.Waiting != 0 {
			return fmt.Sprintf("%d run, %d wait; ", s.Running, s.Waiting)
		}
		return ""
	})
}

func stressThrottle(t *testing.T) stressed {
	c := throttle.Config{Window: time.Second, ForcePass: 10 * ms}
	th := must[*throttle.Throttle](t)(throttle.New("t", c, throttle.Hooks{}))
	tune := func() error { c.Window = time.Second * time.Duration(1+rand.IntN(3)); return th.Tune(c) }
	return guarded(th, th, tune, func() string { return "" })
}

func stressRetry(t *testing.T) stressed {
	b := must[*budget.Budget](t)(budget.New("b", budget.Config{Size: 100}))
	c := retry.Config{Base: ms}
	r := must[*retry.Retry](t)(retry.New("r", c, retry.Hooks{Budget: b}))
	return stressed{
		Machine: r, tune: func() error { c.MaxAttempts = 1 + rand.IntN(4); return r.Tune(c) },
		call: func(ctx context.Context, fn func(context.Context) (int, error)) error {
			_, err := retry.Do(ctx, r, fn)
			return err
		},
		rest: func() string {
			if s := r.Snapshot(); s.Budget.Withdrawn-s.Budget.Refunded != s.Retries || s.Admitted != stressCallers*stressCalls {
				return fmt.Sprintf("%+v", s)
			}
			return ""
		},
	}
}

func stressTimeout(t *testing.T) stressed {
	return stressTimeouts(t, func(to *timeout.Timeout) func(context.Context, func(context.Context) (int, error)) error {
		return func(ctx context.Context, fn func(context.Context) (int, error)) error {
			_, err := timeout.Do(ctx, to, fn)
			return err
		}
	})
}

func stressAbandoning(t *testing.T) stressed {
	return stressTimeouts(t, func(to *timeout.Timeout) func(context.Context, func(context.Context) (int, error)) error {
		return func(ctx context.Context, fn func(context.Context) (int, error)) error {
			_, err := timeout.DoAbandoning(ctx, to, fn)
			return err
		}
	})
}

func stressTimeouts(t *testing.T, call func(*timeout.Timeout) func(context.Context, func(context.Context) (int, error)) error) stressed {
	c := timeout.Config{Limit: 5 * ms, MaxAbandoned: 2, Adaptive: true}
	to := must[*timeout.Timeout](t)(timeout.New("t", c, timeout.Hooks{}))
	return stressed{
		Machine: to, call: call(to), tune: func() error { c.MaxAbandoned = 1 + rand.IntN(3); return to.Tune(c) },
		rest: func() string {
			if s := to.Snapshot(); s.Running != 0 || s.Stuck != 0 {
				return fmt.Sprintf("%d run, %d are stuck", s.Running, s.Stuck)
			}
			return ""
		},
	}
}

func stressFallback(t *testing.T) stressed {
	c := fallback.Config{Timeout: 5 * ms, Limit: 2}
	f := must[*fallback.Fallback](t)(fallback.New("f", c, fallback.Hooks{}))
	chain := fallback.Chain[int]{{By: f, Run: func(ctx context.Context, _ error) (int, error) { return anyhow(ctx) }}}
	return stressed{
		Machine: f, tune: func() error { c.Limit = core.Count(1 + rand.IntN(3)); return f.Tune(c) },
		call: func(ctx context.Context, fn func(context.Context) (int, error)) error {
			_, err := fallback.Do(ctx, chain, fn)
			return err
		},
		rest: func() string {
			if n := f.Snapshot().Running; n != 0 {
				return fmt.Sprintf("%d run", n)
			}
			return ""
		},
	}
}

func stressHedge(t *testing.T) stressed {
	b := must[*budget.Budget](t)(budget.New("b", budget.Config{Size: 100}))
	c := hedge.Config{Delay: ms, Burst: 50, Ratio: 0.5, MaxExtra: 2, MaxStragglers: 4}
	h := must[*hedge.Hedge](t)(hedge.New("h", c, hedge.Hooks{
		Budget: b, Outermost: true, OnLoser: func(l hedge.Loser) {
			if l.Err == nil {
				panic(errBoom)
			}
		},
	}))
	return stressed{
		Machine: h, tune: func() error { c.Burst = 1 + rand.IntN(100); return h.Tune(c) },
		call: func(ctx context.Context, fn func(context.Context) (int, error)) error {
			_, err := hedge.Do(ctx, h, fn)
			return err
		},
		rest: func() string {
			s, spent := h.Snapshot(), b.Snapshot()
			if s.Stragglers != 0 || s.Losers != 0 || spent.Withdrawn-spent.Refunded != s.Extra {
				return fmt.Sprintf("%+v, %+v", s, spent)
			}
			return ""
		},
	}
}
