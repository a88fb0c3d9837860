package breaker

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/window"
	"github.com/mw-go/mw/core/latency"
)

// cell is the concurrent shell round one control. While it is closed, results go into the phase's window without a
// lock; transitions, and everything in the half-open state, go through mu. Locks are taken in this order: the settings',
// a shard's of the map of keys, mu. No listener is called under any of them.
type cell struct {
	b       *Breaker
	key     core.Key
	stripes int
	phase   atomic.Pointer[phase]
	pins    atomic.Int64 // keyed: permits out, so that a cell in use is never retired; far below zero: retired

	limit atomic.Int64 // how long a call may take before it is slow, as of the last judgement

	mu   sync.Mutex // guards what follows and the change of phase
	m    control
	pace pace
}

// phase is what readers see of one era: state, era, since and window never change (but for a Tune of the window's
// length). So a result of another era cannot reach this era's window: it records into the window of the phase it has
// read.
type phase struct {
	state   State
	era     uint32
	since   core.Time
	until   atomic.Int64 // before this every call is rejected without a lock; not for Closed
	window  atomic.Pointer[window.Counter]
	inARow  atomic.Int64 // failures since the last success
	lastBad atomic.Int64 // when

	pace atomic.Pointer[latency.Window] // nil until the rules on slow calls are on
	due  atomic.Int64                   // when they judge next
}

// A permit's tag is its era, cut to 24 bits, and its place.
func tag(era, place uint32) uint32 { return era<<5&(1<<core.TagBits-1) | place }

func sameEra(tag, era uint32) bool { return (tag>>5^era)<<8 == 0 }

func newCell(b *Breaker, k core.Key, now core.Time, stripes int) *cell {
	cl := &cell{b: b, key: k, stripes: stripes, m: control{since: now, until: longAgo}}
	cl.limit.Store(int64(core.Never))
	cl.phase.Store(cl.newPhase(b.live.Load()))
	return cl
}

// newPhase makes the phase that shows cl.m.
func (cl *cell) newPhase(s *settings) *phase {
	ph := &phase{state: cl.m.state, era: cl.m.era, since: cl.m.since}
	ph.until.Store(int64(cl.m.until))
	ph.due.Store(unwatched)
	if ph.state == Closed {
		ph.window.Store(window.NewCounter(window.NewLayout(ph.since, s.Config.Window), cl.stripes))
	}
	return ph
}

// change makes a transition, by the settings in force once the lock is held: a Tune first stores its settings and then
// comes to every cell, so whichever is later sees the other. It reports whether there is news for the listener; the
// caller then delivers it when it holds neither lock nor pin.
func (cl *cell) change(now core.Time, f func(control, *Config) control) (news bool) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	s := cl.b.live.Load()
	old := cl.m
	cl.m = f(old, &s.Config)
	return cl.show(s, &old, now)
}

// show publishes cl.m, which was old before. mu is held.
func (cl *cell) show(s *settings, old *control, now core.Time) (news bool) {
	if cl.m.era == old.era {
		if cl.m.state != Closed {
			cl.phase.Load().until.Store(int64(cl.m.until))
		}
		return false
	}
	cl.phase.Store(cl.newPhase(s))
	if cl.m.state == old.state { // a Reset of a closed breaker
		return false
	}
	cl.b.live.Feed.Push(core.Event{
		By: &s.Policy, Key: cl.key, Type: core.StateChanged, At: now, Era: cl.m.era,
		From: old.state.String(), To: cl.m.state.String(), Cause: cl.m.cause,
	})
	return true
}

// shut reports whether ph rejects a call at time now without a look at the control. d is the decision if it does, and
// carries now if it does not.
func (ph *phase) shut(by *core.Policy, now core.Time) (d core.Decision, yes bool) {
	until := core.Time(ph.until.Load())
	if now >= until {
		return core.Decision{By: by, Now: now, Verdict: core.Verdict{Remaining: -1}}, false
	}
	since := max(now, ph.since)
	reason, after := core.ReasonOpen, until.Sub(since)
	if ph.state == HalfOpen {
		reason, after = core.ReasonProbing, probing(until, since)
	}
	return core.Decision{By: by, RetryAfter: after, Now: now, Verdict: core.Verdict{Reason: reason, Remaining: -1}}, true
}

// admit decides where shut did not. The caller has pinned the cell; a rejection takes the pin back.
func (cl *cell) admit(d *core.Decision) (p core.Permit) {
	var a admission
	var era uint32
	news := cl.change(d.Now, func(m control, c *Config) control {
		m, a = m.admit(c, d.Now, rand.Float64())
		era = m.era
		return m
	})
	d.Reason, d.RetryAfter = a.reason, a.after
	t := tag(era, a.place)
	switch {
	case a.reason != 0:
		cl.unpin()
		if news {
			cl.b.live.Feed.Deliver()
		}
		return
	case news:
		cl.deliverBeforeCall(t)
	}
	if a.place == noPlace {
		p = core.NewPermit(cl, t, 0)
		return
	}
	p = core.NewTrackedPermit(cl, t, d.Now)
	return
}

// deliverBeforeCall delivers events while the permit with tag t has not reached its caller. A listener that ends the
// goroutine by runtime.Goexit must not take the permit with it.
func (cl *cell) deliverBeforeCall(t uint32) {
	returned := false
	defer func() {
		if !returned {
			cl.Settle(t, 0, 0, false, core.Canceled)
		}
	}()
	cl.b.live.Feed.Deliver()
	returned = true
}

// peek fills in what admit would decide.
func (cl *cell) peek(d *core.Decision) {
	ph := cl.phase.Load()
	if ph.state == Closed {
		cl.peekPace(ph, d)
		return
	}
	shut, yes := ph.shut(d.By, d.Now.Or())
	if *d = shut; yes {
		return
	}
	cl.mu.Lock()
	m := cl.m
	cl.mu.Unlock()
	_, a := m.admit(&cl.b.live.Load().Config, d.Now, 0.5)
	d.Reason, d.RetryAfter = a.reason, a.after
}

// window returns the phase's window, after giving it the length that the settings ask for by now. ph is Closed.
func (cl *cell) window(ph *phase, s *settings, now core.Time) *window.Counter {
	w := ph.window.Load()
	if w.Layout().Spans(s.Config.Window) {
		return w
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	length := cl.b.live.Load().Config.Window // s may be older than another caller's
	if w = ph.window.Load(); !w.Layout().Spans(length) {
		w = w.Resize(window.NewLayout(now.Add(-length), length), now)
		ph.window.Store(w)
	}
	return w
}
