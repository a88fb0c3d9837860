package throttle

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/live"
	"github.com/mw-go/mw/core/internal/stripe"
	"github.com/mw-go/mw/core/internal/window"
)

// Throttle rejects calls that a backend would probably reject. It implements core.Guard; it never waits, and ignores
// Call.Key and Call.Cost. Make one with New. Safe for concurrent use; it takes no lock and allocates nothing.
type Throttle struct {
	live    live.Live[Config, struct{}]
	count   stripe.Tally
	hooks   Hooks
	random  func() float64 // in [0,1)
	classes [ranks]class
}

type settings = live.Settings[Config, struct{}]

// The lifetime counters. Those below core.Outcomes count results.
const (
	countRejected = core.Outcomes + iota
	countShadowed
)

// class is the state of the calls of one class.
type class struct {
	t      *Throttle
	rank   int
	hot    atomic.Bool // the window may hold something bad
	window atomic.Pointer[window.Counter]

	passed atomic.Int64 // core.Time at which a call was last admitted while hot

	mu         sync.Mutex // orders the events
	throttling atomic.Bool
	era        uint32 // guarded by mu
	_          [stripe.Line]byte
}

const longAgo = math.MinInt64

// New returns a throttle. Errors: a name that is not 1 to 64 of letters, digits and - _ . /, and every bad field of c.
func New(name string, c Config, h Hooks) (*Throttle, error) {
	t := &Throttle{count: stripe.NewTally(), hooks: h, random: rand.Float64}
	err := t.live.Start(core.KindThrottle, name, c, h, live.Rules[Config, struct{}]{
		Prepare: prepare, Describe: describe, Derive: func(*settings, Config, core.Time) (none struct{}) { return },
		Changed: t.changed,
	})
	if err != nil {
		return nil, err
	}
	layout := window.NewLayout(core.Now(), t.Config().Window)
	for r := range t.classes {
		cl := &t.classes[r]
		cl.t, cl.rank = t, r
		cl.window.Store(window.NewCounter(layout, stripe.Count()))
		cl.passed.Store(longAgo)
	}
	return t, nil
}

// Acquire rejects the call by the odds of its class. It never waits and does not look at ctx.
//
// Reasons: ReasonShed.
func (t *Throttle) Acquire(_ context.Context, c core.Call) (core.Permit, core.Decision) {
	s := t.live.Load()
	if cl := &t.classes[rank(c.Class)]; s.Plain && !cl.hot.Load() { // the common case, which keeps its results in registers
		return core.NewPermit(cl, 0, 0), core.Decision{By: &s.Policy, Now: c.Now, Verdict: core.Verdict{Remaining: -1}}
	}
	return t.acquire(c)
}

// acquire is the whole decision.
func (t *Throttle) acquire(c core.Call) (p core.Permit, d core.Decision) {
	s := t.live.Load()
	if s.Overridden() {
		s = t.live.At(c.Now)
	}
	d.By, d.Now, d.Remaining = &s.Policy, c.Now, -1
	cl := &t.classes[rank(c.Class)]
	switch {
	case s.Policy.Mode == core.Disabled:
		p = core.NewPermit((*bystander)(t), 0, 0)
		return
	case !cl.hot.Load():
		p = core.NewPermit(cl, 0, 0)
		return
	}
	d.Now = c.Now.Or()
	if cl.decide(s, d.Now) != shed {
		p = core.NewPermit(cl, 0, 0)
		return
	}
	d.Reason = core.ReasonShed
	if s.Policy.Mode == core.Shadow {
		d.Reason = d.Reason.InShadow()
		t.count.Add(countShadowed, 1)
		p = core.NewPermit((*bystander)(t), 0, 0)
		return
	}
	t.count.Add(countRejected, 1)
	return
}

// decide decides on a call while the window may hold something bad, and counts a rejection.
func (cl *class) decide(s *settings, now core.Time) verdict {
	p := cl.oddsAt(s, now)
	passed := cl.passed.Load()
	v := decide(&s.Config, p, cl.t.random(), now.Sub(core.Time(passed)))
	if v == forced && !cl.passed.CompareAndSwap(passed, int64(now)) {
		v = shed // another call has just been
	}
	switch v {
	case spared:
		cl.passed.Store(int64(now))
	case shed:
		cl.window.Load().Add(now, true)
		cl.turn(s, true, now)
	}
	return v
}

// oddsAt returns the odds as of now, and ends being hot when the window has forgotten.
func (cl *class) oddsAt(s *settings, now core.Time) float64 {
	sum := cl.window.Load().Sum(now)
	if sum.Bad == 0 {
		// Who records something bad does so first and is hot then: if it is not in the second sum, it is hot after us.
		cl.hot.Store(false)
		if sum = cl.window.Load().Sum(now); sum.Bad != 0 {
			cl.hot.Store(true)
		} else {
			cl.turn(s, false, now)
		}
	}
	return odds(&s.Config, sum)
}

// turn tells when rejecting begins and ends.
func (cl *class) turn(s *settings, throttling bool, now core.Time) {
	if cl.throttling.Load() == throttling {
		return
	}
	cl.mu.Lock()
	if cl.throttling.Load() != throttling {
		cl.throttling.Store(throttling)
		cl.era++
		from, to := "passing", "throttling"
		if !throttling {
			from, to = to, from
		}
		cl.t.live.Feed.Push(core.Event{
			By: &s.Policy, Type: core.StateChanged, From: from, To: to, Cause: causes[cl.rank], Era: cl.era, At: now,
		})
	}
	cl.mu.Unlock()
	cl.t.live.Feed.Deliver()
}

// Restart has nothing to move: a throttle keeps no times of calls.
func (cl *class) Restart(uint32, core.Time, core.Time) {}

// Progress is never called: the permits are not tracked.
func (cl *class) Progress(uint32, core.Time, core.Time) {}

// Settle counts what came of the call.
func (cl *class) Settle(_ uint32, _, now core.Time, _ bool, o core.Outcome) {
	cl.t.countResult(o)
	switch effectOf(&cl.t.live.Load().Config, o) {
	case good:
		cl.window.Load().Add(now.Or(), false)
	case bad:
		cl.window.Load().Add(now.Or(), true)
		if !cl.hot.Load() {
			cl.hot.Store(true)
		}
	}
}

func (t *Throttle) countResult(o core.Outcome) { t.count.Add(min(int(o), core.Outcomes-1), 1) }

// bystander is the side of a Throttle that settles calls whose result does not count.
type bystander Throttle

// Restart has nothing to move.
func (b *bystander) Restart(uint32, core.Time, core.Time) {}

// Progress is never called: the permits are not tracked.
func (b *bystander) Progress(uint32, core.Time, core.Time) {}

// Settle ends the call.
func (b *bystander) Settle(_ uint32, _, _ core.Time, _ bool, o core.Outcome) {
	(*Throttle)(b).countResult(o)
}

// Peek reports what Acquire would decide; while calls are rejected that is up to chance, and so is the answer. It counts
// nothing.
func (t *Throttle) Peek(c core.Call) (d core.Decision) {
	s := t.live.At(c.Now)
	d.By, d.Now, d.Remaining = &s.Policy, c.Now, -1
	cl := &t.classes[rank(c.Class)]
	if s.Policy.Mode == core.Disabled || !cl.hot.Load() {
		return d
	}
	d.Now = c.Now.Or()
	if decide(&s.Config, cl.oddsAt(s, d.Now), t.random(), d.Now.Sub(core.Time(cl.passed.Load()))) == shed {
		d.Reason = core.ReasonShed
		if s.Policy.Mode == core.Shadow {
			d.Reason = d.Reason.InShadow()
		}
	}
	return d
}

// Do runs fn if t lets it pass, and returns a *core.Rejection otherwise. For classes use core.Do.
func Do[T any](ctx context.Context, t *Throttle, fn func(context.Context) (T, error)) (T, error) {
	return core.Do(ctx, t, core.Call{}, t.hooks.Classify, fn)
}
