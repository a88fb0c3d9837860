package breaker

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/window"
)

// slot is what the map of keys holds: the key's cell, nil once it has been retired.
type slot struct{ cell atomic.Pointer[cell] }

// cell is the concurrent shell round one control. While it is closed, results go into the phase's window without a
// lock; transitions, and everything in the half-open state, go through mu.
type cell struct {
	b       *Breaker
	key     core.Key
	stripes int
	phase   atomic.Pointer[phase]
	pins    atomic.Int64 // keyed: permits out, so that a cell in use is never retired; far below zero: retired

	mu sync.Mutex // guards m and the change of phase
	m  control
}

// phase is what readers see of one era: state, era and window never change. So a result of another era cannot reach this
// era's window: it records into the window of the phase it has read.
type phase struct {
	state   State
	era     uint32
	until   atomic.Int64 // before this every call is rejected without a lock; not for Closed
	window  atomic.Pointer[window.Counter]
	inARow  atomic.Int64 // failures since the last success
	lastBad atomic.Int64 // when
}

// retired is added to the pins of a cell that is out of service.
const retired = -1 << 62

// bystander is the place of a permit that has no vote.
const bystander = noPlace - 1

// A permit's tag is its era, cut to 24 bits, and its place.
func tag(era, place uint32) uint32 { return era<<5&(1<<core.TagBits-1) | place }

func sameEra(tag, era uint32) bool { return (tag>>5^era)<<8 == 0 }

func newCell(b *Breaker, k core.Key, now core.Time, stripes int) *cell {
	cl := &cell{b: b, key: k, stripes: stripes, m: control{since: now, until: longAgo}}
	cl.phase.Store(cl.newPhase(b.live.Load(), now))
	return cl
}

// newPhase makes the phase that shows cl.m.
func (cl *cell) newPhase(s *settings, now core.Time) *phase {
	ph := &phase{state: cl.m.state, era: cl.m.era}
	ph.until.Store(int64(cl.m.until))
	if ph.state == Closed {
		ph.window.Store(window.NewCounter(window.NewLayout(now, s.Config.Window), cl.stripes))
	}
	return ph
}

// pin keeps a keyed cell from being retired; false if it is.
func (cl *cell) pin() bool {
	if cl.b.cells == nil {
		return true
	}
	if cl.pins.Add(1) > 0 {
		return true
	}
	cl.pins.Add(-1)
	return false
}

func (cl *cell) unpin() {
	if cl.b.cells != nil {
		cl.pins.Add(-1)
	}
}

// change applies a transition and tells the listener. No lock may be held.
func (cl *cell) change(s *settings, now core.Time, f func(control, *Config) control) {
	if cl.apply(s, now, f) {
		cl.b.live.Feed.Deliver()
	}
}

// apply makes a transition under the lock, and reports that it began a new era, of which the listener is to be told.
func (cl *cell) apply(s *settings, now core.Time, f func(control, *Config) control) (changed bool) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	old := cl.m
	cl.m = f(old, &s.Config)
	cl.show(s, old, now)
	return cl.m.era != old.era
}

// show publishes cl.m, which was old before. mu is held.
func (cl *cell) show(s *settings, old control, now core.Time) {
	if cl.m.era == old.era {
		if cl.m.state != Closed {
			cl.phase.Load().until.Store(int64(cl.m.until))
		}
		return
	}
	cl.phase.Store(cl.newPhase(s, now))
	cl.b.live.Feed.Push(core.Event{
		By: &s.Policy, Key: cl.key, Type: core.StateChanged, At: now, Era: cl.m.era,
		From: old.state.String(), To: cl.m.state.String(), Cause: cl.m.cause,
	})
}

// reject fills in the rejection of a call that ph does not admit.
func (ph *phase) reject(d *core.Decision, now core.Time) {
	until := core.Time(ph.until.Load())
	if ph.state == HalfOpen {
		d.Reason, d.RetryAfter = core.ReasonProbing, probing(until, now)
		return
	}
	d.Reason, d.RetryAfter = core.ReasonOpen, max(until.Sub(now), 0)
}

// acquireGated decides in the open and half-open states.
func (cl *cell) acquireGated(s *settings, ph *phase, d *core.Decision) (p core.Permit) {
	if d.Now < core.Time(ph.until.Load()) {
		ph.reject(d, d.Now)
		return
	}
	var a admission
	var era uint32
	cl.pin() // a cell that is not closed is never retired
	cl.change(s, d.Now, func(m control, c *Config) control {
		m, a = m.admit(c, d.Now, rand.Float64())
		era = m.era
		return m
	})
	if d.Reason, d.RetryAfter = a.reason, a.after; a.reason != 0 {
		cl.unpin()
		return
	}
	if a.place == noPlace {
		p = core.NewPermit(cl, tag(era, noPlace), 0)
		return
	}
	p = core.NewTrackedPermit(cl, tag(era, a.place), d.Now)
	return
}

// Restart begins a probe's lease anew.
func (cl *cell) Restart(tag uint32, _, now core.Time) {
	place := tag & noPlace
	cl.change(cl.b.live.Load(), now, func(m control, c *Config) control {
		if sameEra(tag, m.era) && place < maxAtOnce {
			m.probe.started[place] = now
			m.until = m.gate(c)
		}
		return m
	})
}

// Progress settles a probe as a success: the dependency has answered.
func (cl *cell) Progress(tag uint32, _, now core.Time) {
	cl.settleProbe(cl.b.live.Load(), tag, now.Or(), good)
}

// Settle takes a permit back.
func (cl *cell) Settle(tag uint32, _, now core.Time, progressed bool, o core.Outcome) {
	cl.b.count.Add(int(o), 1)
	s := cl.b.live.Load()
	v := voteOf(&s.Config, o)
	switch place := tag & noPlace; {
	case place == bystander || s.Policy.Mode == core.Disabled && place == noPlace:
	case place == noPlace:
		if ph := cl.phase.Load(); ph.state == Closed && sameEra(tag, ph.era) {
			cl.record(s, ph, now, v)
		}
	case !progressed:
		cl.settleProbe(s, tag, now.Or(), v)
	default:
		// The probe has voted by Progress. If that closed the breaker, how the stream ended belongs to the new window.
		if ph := cl.phase.Load(); ph.state == Closed && sameEra(tag, ph.era-1) {
			cl.record(s, ph, now, v)
		}
	}
	cl.unpin()
}

func (cl *cell) settleProbe(s *settings, tag uint32, now core.Time, v vote) {
	cl.change(s, now, func(m control, c *Config) control {
		if m.state != HalfOpen || !sameEra(tag, m.era) {
			return m
		}
		return m.settle(c, now, tag&noPlace, v, rand.Float64())
	})
}

// record feeds the window of the closed state and, on a failure, asks whether to open.
func (cl *cell) record(s *settings, ph *phase, now core.Time, v vote) {
	switch v {
	case good:
		ph.window.Load().Add(now.Or(), false)
		if ph.inARow.Load() != 0 {
			ph.inARow.Store(0)
		}
	case bad:
		now = now.Or()
		w := cl.fit(s, ph, now)
		w.Add(now, true)
		n := ph.inARow.Add(1)
		ph.lastBad.Store(int64(now))
		if cause := tripped(&s.Config, w.Sum(now), n); cause != "" && s.Policy.Mode != core.ForcedClosed {
			cl.change(s, now, func(m control, c *Config) control {
				if m.state != Closed || m.era != ph.era {
					return m
				}
				return m.open(c, now, rand.Float64(), cause)
			})
		}
	}
}

// fit returns the phase's window, after giving it the length that the settings ask for by now.
func (cl *cell) fit(s *settings, ph *phase, now core.Time) *window.Counter {
	w := ph.window.Load()
	if w.Layout().Spans(s.Config.Window) {
		return w
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if w = ph.window.Load(); !w.Layout().Spans(s.Config.Window) {
		w = w.Resize(window.NewLayout(now.Add(-s.Config.Window), s.Config.Window), now)
		ph.window.Store(w)
	}
	return w
}

// openCell gives a key a new cell.
func (b *Breaker) openCell(sl *slot, k core.Key, now core.Time) {
	sl.cell.Store(newCell(b, k, now, 1))
}

// closeCell retires a cell that holds no information: closed and stable, nothing in its window, no permit out.
func (b *Breaker) closeCell(sl *slot, now core.Time) bool {
	cl := sl.cell.Load()
	if cl == nil || !cl.idle(now) || !cl.pins.CompareAndSwap(0, retired) {
		return false
	}
	if !cl.idle(now) { // a result arrived between the two looks
		cl.pins.Add(-retired)
		return false
	}
	sl.cell.Store(nil)
	return true
}

// streak is how many windows a run of consecutive failures is remembered in a cell that is otherwise idle.
const streak = 10

func (cl *cell) idle(now core.Time) bool {
	c := &cl.b.live.Load().Config
	ph := cl.phase.Load()
	if ph.state != Closed || ph.window.Load().Sum(now).Total() > 0 {
		return false
	}
	if c.ConsecutiveFailures != core.None && ph.inARow.Load() > 0 &&
		now.Sub(core.Time(ph.lastBad.Load())) < streak*c.Window {
		return false
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return cl.m.state == Closed && (cl.m.opened == 0 || now.Sub(cl.m.since) >= c.Window)
}
