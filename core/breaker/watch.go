package breaker

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/latency"
)

// watch is the part of a closed phase that sees slowness: durations, calls in flight, and when to judge them next.
// Nothing of it exists before the rules are switched on; from then on it stays as long as the phase.

// begun counts a call that begins now as in flight; false if there is something to do first: to make the window, or to
// judge it.
func (ph *phase) begun(now core.Time) bool {
	if int64(now) >= ph.due.Load() {
		return false
	}
	ph.pace.Load().Begin(now)
	return true
}

// enter admits a call to the closed phase ph, which the caller has pinned: false if ph has ended meanwhile, and the pin
// is taken back.
func (cl *cell) enter(ph *phase, s *settings, d *core.Decision) (p core.Permit, ok bool) {
	if !s.Config.Latency.Watch {
		p, ok = core.NewPermit(cl, tag(ph.era, noPlace), 0), true
		return
	}
	d.Now = d.Now.Or()
	if !ph.begun(d.Now) {
		if cl.judge(ph, d.Now) {
			cl.unpin()
			cl.b.live.Feed.Deliver()
			return
		}
		if ph.pace.Load() == nil || cl.phase.Load() != ph {
			cl.unpin()
			return
		}
		ph.pace.Load().Begin(d.Now)
	}
	p, ok = core.NewTrackedPermit(cl, tag(ph.era, noPlace), d.Now), true
	return
}

// judge looks at the window of latencies, if that is due, and opens the breaker if a rule says so.
func (cl *cell) judge(ph *phase, now core.Time) (news bool) {
	return cl.change(now, func(m control, c *Config) control {
		if m.state != Closed || m.era != ph.era || int64(now) < ph.due.Load() {
			return m
		}
		w := cl.latencies(ph, c)
		p, cause := cl.pace.judge(c, cl.pace.read(w, c, now), now)
		cl.pace = p
		cl.limit.Store(int64(p.limit(&c.Latency)))
		ph.due.Store(int64(w.SliceEnd(now)))
		if cause == "" || cl.b.live.Load().Policy.Mode == core.ForcedClosed {
			return m
		}
		cl.pace = p.opened()
		return m.open(c, now, rand.Float64(), cause)
	})
}

// peekPace fills in what judge would do to a call, and changes no state.
func (cl *cell) peekPace(ph *phase, d *core.Decision) {
	s := cl.b.live.Load()
	if !s.Config.Latency.Watch || int64(d.Now.Or()) < ph.due.Load() {
		return
	}
	d.Now = d.Now.Or()
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.phase.Load() != ph {
		return
	}
	c := &s.Config
	if _, cause := cl.pace.judge(c, cl.pace.read(cl.latencies(ph, c), c, d.Now), d.Now); cause != "" {
		_, a := cl.m.open(c, d.Now, 0.5, cause).admit(c, d.Now, 0.5)
		d.Reason, d.RetryAfter = a.reason, a.after
	}
}

// latencies returns the phase's window of latencies as the settings want it. mu is held.
func (cl *cell) latencies(ph *phase, c *Config) *latency.Window {
	shape := latency.Config{Window: c.Latency.Window, InFlight: true}
	w := ph.pace.Load()
	if w == nil {
		var err error
		if w, err = latency.NewStriped(shape, cl.stripes); err != nil {
			panic(err) // Validate is stricter
		}
		ph.pace.Store(w)
	} else {
		shape.Buckets = w.Config().Buckets
		if err := w.Tune(shape); err != nil {
			panic(err)
		}
	}
	w.Mark([latency.Marks]time.Duration{c.Latency.SlowCall, c.Latency.Max})
	return w
}

// read takes the reading of a window for the rules.
func (p pace) read(w *latency.Window, c *Config, now core.Time) (r reading) {
	marked, n := w.Marked(now)
	r.n = float64(n)
	r.quantile, _ = w.Quantile(now, c.Latency.Quantile)
	r.slow[slowCalls], r.slow[tooSlow] = float64(marked[0]), float64(marked[1])
	for k, t := range p.thresholds(&c.Latency) {
		if t > 0 {
			r.overdue[k] = float64(w.Overdue(now, t))
		}
		if t > 0 && rule(k) == slowed {
			r.slow[k], _ = w.Above(now, t)
		}
	}
	return r
}

// ended tells the window of a call that was counted in flight; the outcome as it is after that. A caller who left a call
// that had been slow already says as much as an answer: impatient users must not hide an outage.
func (cl *cell) ended(ph *phase, start, now core.Time, progressed bool, o core.Outcome) core.Outcome {
	if progressed {
		return o // Progress has told it
	}
	sample := o == core.Success || o == core.Timeout
	if (o == core.Canceled || o == core.Expired) && now.Sub(start) >= time.Duration(cl.limit.Load()) {
		sample = true
		if o == core.Expired {
			o = core.Timeout
		}
	}
	ph.pace.Load().End(start, now, sample)
	return o
}

// late turns the vote of a probe that has taken longer than a rule on slow calls allows: the dependency is not back yet.
func (cl *cell) late(c *Config, start, now core.Time, o core.Outcome, v vote) vote {
	if !c.Latency.Watch || now.Sub(start) < cl.pace.limit(&c.Latency) {
		return v
	}
	if v == good || o == core.Canceled || o == core.Expired {
		return bad
	}
	return v
}

// unwatched is when a phase without a window of latencies is due: at once.
const unwatched = math.MinInt64
