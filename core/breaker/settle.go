package breaker

import (
	"math/rand/v2"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/latency"
)

// Restart begins a probe's lease anew, or the time of a call that is watched.
func (cl *cell) Restart(tag uint32, start, now core.Time) {
	if tag&noPlace == noPlace {
		if w := cl.watched(tag); w != nil {
			w.End(start, now, false)
			w.Begin(now)
		}
		return
	}
	cl.change(now, func(m control, c *Config) control {
		if place := tag & noPlace; m.state == HalfOpen && sameEra(tag, m.era) && place != noPlace {
			m.probe.restart(place, now)
			m.until = m.gate(c)
		}
		return m
	})
}

// Progress settles a probe as a success, since the dependency has answered, and takes the latency of a call.
func (cl *cell) Progress(tag uint32, start, now core.Time) {
	now = now.Or()
	if tag&noPlace == noPlace {
		if w := cl.watched(tag); w != nil {
			w.End(start, now, true)
		}
		return
	}
	if cl.settleProbe(tag, start, now, core.Success) {
		cl.b.live.Feed.Deliver()
	}
}

// watched returns the window of latencies in which the call with this tag, no probe, was counted as in flight; nil if
// its phase has ended.
func (cl *cell) watched(tag uint32) *latency.Window {
	if ph := cl.phase.Load(); ph.state == Closed && sameEra(tag, ph.era) {
		return ph.pace.Load()
	}
	return nil
}

// Settle takes a permit back. The listener hears of it last, when nothing is left to lose.
func (cl *cell) Settle(tag uint32, start, now core.Time, progressed bool, o core.Outcome) {
	cl.b.countResult(o)
	news := cl.hear(tag, start, now, progressed, o)
	cl.unpin()
	if news {
		cl.b.live.Feed.Deliver()
	}
}

// hear gives the outcome to whom it concerns: the window, the probes or nobody.
func (cl *cell) hear(tag uint32, start, now core.Time, progressed bool, o core.Outcome) (news bool) {
	s := cl.b.live.Load()
	if tag&noPlace != noPlace {
		if !progressed {
			return cl.settleProbe(tag, start, now.Or(), o)
		}
		// The probe has voted by Progress. If that closed the breaker, how the stream ended belongs to the new window.
		tag += 1 << 5
		start = 0
	}
	ph := cl.phase.Load()
	if ph.state != Closed || !sameEra(tag, ph.era) {
		return false
	}
	if start == 0 {
		return cl.count(ph, s, now, o)
	}
	now = now.Or()
	news = cl.count(ph, s, now, cl.ended(ph, start, now, progressed, o))
	if int64(now) >= ph.due.Load() {
		news = cl.judge(ph, now) || news
	}
	return news
}

// count puts the outcome into the window of results.
func (cl *cell) count(ph *phase, s *settings, now core.Time, o core.Outcome) (news bool) {
	if s.Policy.Mode == core.Disabled {
		return false
	}
	switch voteOf(&s.Config, o) {
	case good:
		now = now.Or()
		cl.window(ph, s, now).Add(now, false)
		if ph.inARow.Load() != 0 {
			ph.inARow.Store(0)
		}
	case bad:
		return cl.fail(ph, s, now.Or())
	}
	return false
}

// settleProbe gives a probe's vote.
func (cl *cell) settleProbe(tag uint32, start, now core.Time, o core.Outcome) (news bool) {
	return cl.change(now, func(m control, c *Config) control {
		if m.state != HalfOpen || !sameEra(tag, m.era) {
			return m
		}
		v := voteOf(c, o)
		late := cl.pace.late(c, start, now, o, v)
		m = m.settle(c, now, tag&noPlace, late, rand.Float64())
		if late != v {
			cl.pace = cl.pace.resigned(c, m)
		}
		return m
	})
}

// fail counts a failure and asks whether to open.
func (cl *cell) fail(ph *phase, s *settings, now core.Time) (news bool) {
	w := cl.window(ph, s, now)
	w.Add(now, true)
	n := ph.inARow.Add(1)
	ph.lastBad.Store(int64(now))
	if s.Policy.Mode == core.ForcedClosed {
		return false
	}
	cause := tripped(&s.Config, w.Sum(now), n)
	if cause == "" {
		return false
	}
	return cl.change(now, func(m control, c *Config) control {
		if m.state != Closed || m.era != ph.era {
			return m
		}
		return m.open(c, now, rand.Float64(), cause)
	})
}
