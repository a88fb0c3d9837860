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
func (cl *cell) enter(ph *phase, d *core.Decision) (p core.Permit, ok bool) {
	if !cl.b.live.Load().Config.Latency.Watch { // s may be older, and then judge would never be asked
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
		if cl.phase.Load() != ph {
			cl.unpin()
			return
		}
		w := ph.pace.Load()
		if w == nil { // switched off in between
			p, ok = core.NewPermit(cl, tag(ph.era, noPlace), 0), true
			return
		}
		w.Begin(d.Now)
	}
	p, ok = core.NewTrackedPermit(cl, tag(ph.era, noPlace), d.Now), true
	return
}

// judge looks at the window of latencies, if that is due, and opens the breaker if a rule says so.
func (cl *cell) judge(ph *phase, now core.Time) (news bool) {
	return cl.change(now, func(m control, c *Config) control {
		s := cl.b.live.Load()
		if m.state != Closed || m.era != ph.era || int64(now) < ph.due.Load() ||
			!c.Latency.Watch || s.Policy.Mode == core.Disabled {
			return m
		}
		w, due := cl.latencies(ph, c, now), core.Time(ph.due.Load())
		p, cause := cl.pace.catchUp(w, c, due, now)
		cl.pace = p
		cl.limit.Store(int64(p.limit(&c.Latency)))
		ph.due.Store(int64(w.SliceEnd(now)))
		if cause == "" || s.Policy.Mode == core.ForcedClosed {
			return m
		}
		m = m.open(c, now, rand.Float64(), cause)
		if cl.pace = p.opened(); cause == ruleCauses[slowed] {
			cl.pace = cl.pace.resigned(c, m)
		}
		return m
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
	if _, cause := cl.pace.catchUp(cl.latencies(ph, c, d.Now), c, core.Time(ph.due.Load()), d.Now); cause != "" {
		_, a := cl.m.open(c, d.Now, 0.5, cause).admit(c, d.Now, 0.5)
		d.Reason, d.RetryAfter = a.reason, a.after
	}
}

// latencies returns the phase's window of latencies as the settings want it. mu is held.
func (cl *cell) latencies(ph *phase, c *Config, now core.Time) *latency.Window {
	w, err := ph.pace.Load(), error(nil)
	switch {
	case w == nil:
		w, err = latency.NewStriped(latency.Config{Window: c.Latency.Window, InFlight: true}, cl.stripes)
		ph.pace.Store(w)
	case w.Config().Window != c.Latency.Window:
		err = w.Tune(now, latency.Config{Window: c.Latency.Window, InFlight: true})
	}
	if err != nil {
		panic(err) // Validate is stricter
	}
	w.Mark([latency.Marks]time.Duration{c.Latency.SlowCall, c.Latency.Max})
	return w
}

// catchUp judges as of now, and before that as of when it was due if nobody has come for longer than a slice: the end of a
// burst is to be seen, and by now it may be out of the window.
func (p pace) catchUp(w *latency.Window, c *Config, due, now core.Time) (_ pace, cause string) {
	if due != unwatched && now.Sub(due) > c.Latency.Window/10 {
		if p, cause = p.judge(c, p.read(w, c, due), due); cause != "" {
			return p, cause
		}
	}
	return p.judge(c, p.read(w, c, now), now)
}

// read takes the reading of a window for the rules.
func (p pace) read(w *latency.Window, c *Config, now core.Time) (r reading) {
	t := p.thresholds(&c.Latency)
	marked, n := w.Marked(now)
	above, late, newest := w.Newest(now, t[slowed])
	r.n, r.newest = float64(n), float64(newest)
	r.quantile, _ = w.Quantile(now, c.Latency.Quantile)
	for k, mark := range []rule{slowCalls, tooSlow} {
		r.slow[mark], r.late[mark] = float64(marked[k]), float64(late[k])
	}
	if t[slowed] > 0 {
		r.slow[slowed], _ = w.Above(now, t[slowed])
		r.late[slowed] = above
	}
	for k := range t {
		if t[k] > 0 {
			r.overdue[k] = float64(w.Overdue(now, t[k]))
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

// unwatched is when a phase without a window of latencies is due: at once.
const unwatched = math.MinInt64
