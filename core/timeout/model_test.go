package timeout

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/latency"
)

// model is the timeout as one would explain it: the pure machine, and a list of what has happened. It knows no contexts.
type model struct {
	c       Config
	window  *latency.Window
	limit   time.Duration
	floor   time.Duration
	renewed bool
	at      core.Time

	begun, rejected, shadowed, timedOut, late uint64
}

// result is what a call comes back with.
type result struct {
	reason core.Reason // rejected
	over   bool        // an *Error of ours
	err    error       // else
	took   time.Duration
}

func (m *model) tune(t *testing.T, c Config) {
	window := m.c.Window
	m.c, _ = prepare(c)
	if !m.c.Adaptive && m.c.RestQuantile == core.None {
		m.window = nil
	} else if m.window == nil {
		var err error
		if m.window, err = latency.New(latency.Config{Window: m.c.Window}); err != nil {
			t.Fatal(err)
		}
	} else if window != m.c.Window {
		if err := m.window.Tune(0, latency.Config{Window: m.c.Window}); err != nil {
			t.Fatal(err)
		}
	}
	m.limit, m.floor, m.renewed = m.c.Limit, m.c.MinRest, false
}

func (m *model) renew(now core.Time) {
	if m.window == nil || m.renewed && now.Sub(m.at) < refresh {
		return
	}
	m.renewed, m.at = true, now
	q, ok := m.window.Quantile(now, float64(m.c.Quantile))
	m.limit, m.floor = adapt(&m.c, q, ok), m.c.MinRest
	if m.c.RestQuantile != core.None {
		if q, ok := m.window.Quantile(now, float64(m.c.RestQuantile)); ok {
			m.floor = max(m.floor, q)
		}
	}
}

// call is a call whose function ends after d with err, whatever its context says.
func (m *model) call(now core.Time, incoming, d time.Duration, err error) result {
	if m.c.Mode == core.Disabled {
		m.begun++
		return result{err: err, took: d}
	}
	m.renew(now)
	_, own, reason := allow(m.limit, incoming, m.c.Margin, m.floor)
	over := own && d > m.limit
	o := core.Success
	switch {
	case m.c.Mode == core.Shadow:
		if reason != 0 || over {
			m.shadowed++
		}
		over = false
	case reason != 0:
		m.rejected++
		return result{reason: reason}
	}
	m.begun++
	switch {
	case over && err != nil:
		m.timedOut++
		o = core.Timeout
	case over:
		m.late++
	}
	if o == core.Success && err != nil {
		o = core.Failure
	}
	if s, ok := sample(o, d, m.limit); ok && m.window != nil {
		m.window.Record(now.Add(d), s)
	}
	if o == core.Timeout {
		return result{over: true, err: err, took: d}
	}
	return result{err: err, took: d}
}

// TestShellEqualsMachine drives both with random calls, Tunes and pauses.
func TestShellEqualsMachine(t *testing.T) {
	seed := rand.Uint64()
	for round := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, round))
			upTo := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) + 1 }
			random := func() Config {
				c := Config{
					Limit: 20*ms + upTo(200*ms), Adaptive: rng.IntN(3) > 0, Quantile: 0.5, Factor: 1 + 2*rng.Float64(), Min: ms,
					Window: time.Duration(1+rng.IntN(2)*9) * time.Second, Mode: core.Mode(max(rng.IntN(6)-3, 0)),
				}
				if rng.IntN(2) == 0 {
					c.Margin, c.MinRest = upTo(5*ms), upTo(5*ms)
				}
				if rng.IntN(2) == 0 {
					c.RestQuantile = 0.5
				}
				return c
			}
			c := random()
			to, m := mustNew(t, c, Hooks{}), &model{}
			m.tune(t, c)
			for range 300 {
				switch rng.IntN(40) {
				case 0:
					c := random()
					tune(t, to, c)
					m.tune(t, c)
				case 1:
					time.Sleep(upTo(2 * m.c.Window))
				}
				d, incoming, ctx, cancel := upTo(100*ms), core.Never, bg, func() {}
				if rng.IntN(20) == 0 {
					d = upTo(time.Second)
				}
				if rng.IntN(2) == 0 {
					incoming = upTo(300 * ms)
					ctx, cancel = context.WithTimeout(bg, incoming)
				}
				var fails error
				if rng.IntN(4) == 0 {
					fails = errDown
				}
				want := m.call(core.Now(), incoming, d, fails)
				got := call(func() (int, error) { return forms[0].do(ctx, to, deaf(1, fails, d)) })
				cancel()
				var rejection *core.Rejection
				switch {
				case got.took != want.took:
				case want.reason != 0:
					if errors.As(got.err, &rejection) && rejection.Reason == want.reason {
						continue
					}
				case want.over == errors.Is(got.err, core.ErrTimeout) && errors.Is(got.err, want.err):
					continue
				}
				t.Fatalf("seed %d, round %d: got %+v, want %+v", seed, round, got, want)
			}
			s := to.Snapshot()
			if s.Admitted != m.begun || s.Rejected != m.rejected || s.Shadowed != m.shadowed || s.TimedOut != m.timedOut || s.Late != m.late {
				t.Errorf("seed %d, round %d: %+v, want %+v", seed, round, s, m)
			}
			m.renew(core.Now())
			if s.Limit != m.limit || s.Floor != m.floor {
				t.Errorf("seed %d, round %d: limit %v, floor %v; want %v, %v", seed, round, s.Limit, s.Floor, m.limit, m.floor)
			}
		})
	}
}
