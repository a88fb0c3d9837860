package bulkhead

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// model is the bulkhead as one would explain it: a number of slots taken and a queue. It knows no goroutines.
type model struct {
	c        Config
	now      time.Duration
	running  int64
	beside   int64
	admitted uint64
	rejected uint64
	shadowed uint64
	queue    []*call
}

// call is a call in the model and in the shell.
type call struct {
	cost   int64
	until  time.Duration // when it gives up waiting
	state  state
	reason core.Reason
	beside bool

	cancel context.CancelFunc
	ended  chan core.Decision
	permit core.Permit
}

type state int

const (
	queued state = iota
	running
	rejected
	finished
)

func (m *model) arrive(c *call) {
	switch {
	case m.c.Mode == core.Disabled:
		m.letRun(c)
	case len(m.queue) == 0 && m.running+c.cost <= int64(m.c.Limit):
		m.start(c)
	case m.c.Mode == core.Shadow:
		c.reason = core.ReasonFull
		if c.cost > int64(m.c.Limit) {
			c.reason = core.ReasonTooCostly
		}
		c.reason = c.reason.InShadow()
		m.shadowed++
		m.letRun(c)
	case c.cost > int64(m.c.Limit):
		m.reject(c, core.ReasonTooCostly)
	case len(m.queue) >= m.c.Queue:
		m.reject(c, core.ReasonFull)
	default:
		c.until = m.now + m.c.MaxWait
		m.queue = append(m.queue, c)
	}
}

func (m *model) start(c *call) {
	m.running += c.cost
	m.admitted++
	c.state = running
}

func (m *model) letRun(c *call) {
	m.beside += c.cost
	m.admitted++
	c.state, c.beside = running, true
}

func (m *model) reject(c *call, r core.Reason) {
	m.rejected++
	c.state, c.reason = rejected, r
}

// leave takes a queued call out.
func (m *model) leave(c *call, r core.Reason) {
	m.queue = slices.DeleteFunc(m.queue, func(x *call) bool { return x == c })
	m.reject(c, r)
	m.grant()
}

func (m *model) grant() {
	for len(m.queue) > 0 {
		c := m.queue[0]
		switch {
		case m.c.Mode != core.Enforce:
			m.letRun(c)
		case c.cost > int64(m.c.Limit):
			m.reject(c, core.ReasonTooCostly)
		case m.running+c.cost <= int64(m.c.Limit):
			m.start(c)
		default:
			return
		}
		m.queue = m.queue[1:]
	}
}

func (m *model) finish(c *call) {
	c.state = finished
	if c.beside {
		m.beside -= c.cost
		return
	}
	m.running -= c.cost
	m.grant()
}

// pass lets time pass up to now.
func (m *model) pass(now time.Duration) {
	for {
		var first *call
		for _, c := range m.queue {
			if c.until <= now && (first == nil || c.until < first.until) {
				first = c
			}
		}
		if first == nil {
			m.now = now
			return
		}
		m.leave(first, core.ReasonWaited)
	}
}

// TestShellEqualsModel drives both with random calls, ends, cancellations, Tunes and pauses.
func TestShellEqualsModel(t *testing.T) {
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 17))
			random := func() Config {
				c := Config{Limit: 1 + rng.IntN(6), Queue: rng.IntN(5), MaxWait: time.Duration(1+rng.IntN(200)) * time.Millisecond}
				if rng.IntN(4) == 0 {
					c.Mode = core.Mode(rng.IntN(3))
				}
				return c
			}
			c := random()
			m, b := &model{c: c}, bulkhead(t, c)
			start := time.Now()
			var calls []*call
			for range 300 {
				time.Sleep(time.Duration(1 + rng.IntN(20_000_000)>>rng.IntN(20)))
				synctest.Wait()
				m.pass(time.Since(start))
				compare(t, m, b, calls)
				switch op := rng.IntN(10); {
				case op < 5:
					calls = append(calls, launch(m, b, int64(1+rng.IntN(3))))
				case op < 8:
					if c := pick(rng, calls, running); c != nil {
						c.permit.Done(0, core.Success)
						m.finish(c)
					}
				case op < 9:
					if c := pick(rng, calls, queued); c != nil {
						c.cancel()
						m.leave(c, core.ReasonLeft)
					}
				default:
					m.c = random()
					if err := b.Tune(m.c); err != nil {
						t.Fatal(err)
					}
					m.grant()
				}
				synctest.Wait()
				compare(t, m, b, calls)
			}
			for _, c := range calls {
				c.cancel()
			}
			synctest.Wait()
			for _, c := range calls {
				c.permit.Done(0, core.Success)
			}
			synctest.Wait()
			for _, c := range calls { // those that were granted by the last ends, had they not been cancelled
				c.permit.Done(0, core.Success)
			}
			atRest(t, b)
		})
	}
}

func launch(m *model, b *Bulkhead, cost int64) *call {
	ctx, cancel := context.WithCancel(bg)
	c := &call{cost: cost, cancel: cancel, ended: make(chan core.Decision, 1)}
	m.arrive(c)
	go func() { c.ended <- acquire(ctx, b, core.Call{Cost: uint32(cost)}, &c.permit) }()
	return c
}

func pick(rng *rand.Rand, calls []*call, s state) *call {
	for _, i := range rng.Perm(len(calls)) {
		if calls[i].state == s {
			return calls[i]
		}
	}
	return nil
}

// compare checks every call and every number. All goroutines are at rest.
func compare(t *testing.T, m *model, b *Bulkhead, calls []*call) {
	t.Helper()
	for i, c := range calls {
		if c.ended == nil {
			continue
		}
		select {
		case d := <-c.ended:
			if c.state == queued {
				t.Fatalf("call %d ended with %v and should wait", i, d.Reason)
			}
			if d.Reason != c.reason || d.Admitted() != (c.state != rejected) {
				t.Fatalf("call %d: %v, want %v", i, d.Reason, c.reason)
			}
			c.ended = nil
		default:
			if c.state != queued {
				t.Fatalf("call %d waits and should be in state %d (%v)", i, c.state, c.reason)
			}
		}
	}
	s := b.Snapshot()
	if s.Running != m.running+m.beside || s.Waiting != len(m.queue) || s.Admitted != m.admitted ||
		s.Rejected != m.rejected || s.Shadowed != m.shadowed {
		t.Fatalf("%d running, %d waiting, %+v\nwant %+v", s.Running, s.Waiting, s.Status, *m)
	}
}
