package breaker

import (
	"math/rand/v2"

	"github.com/mw-go/mw/core"
)

// Restart begins a probe's lease anew.
func (cl *cell) Restart(tag uint32, _, now core.Time) {
	cl.change(now, func(m control, c *Config) control {
		if place := tag & noPlace; m.state == HalfOpen && sameEra(tag, m.era) && place != noPlace {
			m.probe.restart(place, now)
			m.until = m.gate(c)
		}
		return m
	})
}

// Progress settles a probe as a success: the dependency has answered.
func (cl *cell) Progress(tag uint32, _, now core.Time) {
	if cl.settleProbe(tag, now.Or(), good) {
		cl.b.live.Feed.Deliver()
	}
}

// Settle takes a permit back. The listener hears of it last, when nothing is left to lose.
func (cl *cell) Settle(tag uint32, _, now core.Time, progressed bool, o core.Outcome) {
	cl.b.count.Add(int(o), 1)
	news := cl.hear(tag, now, progressed, o)
	cl.unpin()
	if news {
		cl.b.live.Feed.Deliver()
	}
}

// hear gives the outcome to whom it concerns: the window, the probes or nobody.
func (cl *cell) hear(tag uint32, now core.Time, progressed bool, o core.Outcome) (news bool) {
	s := cl.b.live.Load()
	v := voteOf(&s.Config, o)
	if tag&noPlace != noPlace {
		if !progressed {
			return cl.settleProbe(tag, now.Or(), v)
		}
		// The probe has voted by Progress. If that closed the breaker, how the stream ended belongs to the new window.
		tag += 1 << 5
	}
	ph := cl.phase.Load()
	if ph.state != Closed || !sameEra(tag, ph.era) || s.Policy.Mode == core.Disabled {
		return false
	}
	switch v {
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

func (cl *cell) settleProbe(tag uint32, now core.Time, v vote) (news bool) {
	return cl.change(now, func(m control, c *Config) control {
		if m.state != HalfOpen || !sameEra(tag, m.era) {
			return m
		}
		return m.settle(c, now, tag&noPlace, v, rand.Float64())
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
