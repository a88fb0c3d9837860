package breaker

import (
	"context"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/keyed"
	"github.com/mw-go/mw/core/internal/live"
	"github.com/mw-go/mw/core/internal/stripe"
)

// Breaker stops calls to a dependency that fails, with one state for all calls; Call.Key is ignored. It implements
// core.Guard. Make one with New. Safe for concurrent use; while it is closed or open the decision takes no lock and
// allocates nothing.
type Breaker struct {
	live  live.Live[Config, struct{}]
	count stripe.Tally
	hooks Hooks
	own   *cell
	cells *keyed.Map[keyed.Ref[cell]] // nil without keys
}

type settings = live.Settings[Config, struct{}]

// The lifetime counters; below them one an Outcome.
const (
	countRejected = core.Outcomes + iota
	countShadowed
)

// New returns a closed breaker. Errors: a name that is not 1 to 64 of letters, digits and - _ . /, and every bad field
// of c.
func New(name string, c Config, h Hooks) (*Breaker, error) {
	b := &Breaker{}
	if err := b.start(name, c, h); err != nil {
		return nil, err
	}
	b.own = newCell(b, core.Key{}, core.Now(), stripe.Count())
	return b, nil
}

func (b *Breaker) start(name string, c Config, h Hooks) error {
	b.count, b.hooks = stripe.NewTally(), h
	return b.live.Start(core.KindBreaker, name, c, h, live.Rules[Config, struct{}]{
		Prepare: prepare, Describe: describe, Derive: func(*settings, Config, core.Time) (none struct{}) { return },
		Changed: b.changed, Forced: true,
	})
}

// Acquire admits the call unless the breaker is open, or half-open with every probe taken. It never waits.
//
// Reasons: ReasonOpen, ReasonProbing, ReasonForced.
func (b *Breaker) Acquire(_ context.Context, c core.Call) (core.Permit, core.Decision) {
	s := b.live.Load()
	cl := b.own
	if cl == nil {
		cl = b.cell(c)
	}
	if s.Plain { // the common cases, which keep their results in registers
		if ph := cl.phase.Load(); ph.state != Closed {
			if d, yes := ph.shut(&s.Policy, c.Now.Or()); yes {
				b.count.Add(countRejected, 1)
				return core.Permit{}, d
			}
		} else if cl.pin() {
			if !s.Config.Latency.Watch {
				return core.NewPermit(cl, tag(ph.era, noPlace), 0), core.Decision{
					By: &s.Policy, Now: c.Now, Verdict: core.Verdict{Remaining: -1},
				}
			}
			if now := c.Now.Or(); ph.begun(now) {
				return core.NewTrackedPermit(cl, tag(ph.era, noPlace), now), core.Decision{
					By: &s.Policy, Now: now, Verdict: core.Verdict{Remaining: -1},
				}
			}
			cl.unpin()
		}
	}
	return b.acquire(c)
}

// acquire is the whole decision.
func (b *Breaker) acquire(c core.Call) (p core.Permit, d core.Decision) {
	s := b.live.At(c.Now)
	d.By, d.Remaining, d.Now = &s.Policy, -1, c.Now
	if s.Policy.Mode >= core.Disabled {
		p = b.unasked(s, c, &d)
		return
	}
	for {
		cl := b.cell(c)
		if ph := cl.phase.Load(); ph.state == Closed {
			if cl.pin() {
				var ok bool
				if p, ok = cl.enter(ph, &d); ok {
					return
				}
			}
		} else {
			var yes bool
			if d, yes = ph.shut(&s.Policy, c.Now.Or()); yes {
				break
			}
			if cl.pin() {
				p = cl.admit(&d)
				break
			}
		}
	} // again if the cell had just been retired
	switch {
	case d.Reason == 0:
	case s.Policy.Mode == core.Shadow:
		b.count.Add(countShadowed, 1)
		d.Reason = d.Reason.InShadow()
		p = core.NewPermit((*bystander)(b), 0, 0)
	default:
		b.count.Add(countRejected, 1)
	}
	return
}

// unasked decides in the modes that do not ask the state.
func (b *Breaker) unasked(s *settings, c core.Call, d *core.Decision) (p core.Permit) {
	switch s.Policy.Mode {
	case core.ForcedOpen:
		b.count.Add(countRejected, 1)
		forced(s, d)
		return core.Permit{}
	case core.ForcedClosed:
		for ok := false; !ok; {
			cl := b.pinned(c)
			if ph := cl.phase.Load(); ph.state == Closed {
				p, ok = cl.enter(ph, d)
			} else {
				p, ok = core.NewPermit(cl, tag(ph.era, noPlace), 0), true
			}
		}
		return
	default:
		return core.NewPermit((*bystander)(b), 0, 0)
	}
}

// forced fills in the rejection of ForcedOpen: until when is known of an override that expires.
func forced(s *settings, d *core.Decision) {
	d.Reason = core.ReasonForced
	if _, until, ok := s.Override(); ok && until != 0 {
		d.Now = d.Now.Or()
		d.RetryAfter = max(until.Sub(d.Now), 0)
	}
}

// countResult counts how a call ended. An outcome that does not exist is as good as Ignored.
func (b *Breaker) countResult(o core.Outcome) { b.count.Add(min(int(o), core.Outcomes-1), 1) }

// bystander is the side of a Breaker that takes back permits without a vote.
type bystander Breaker

// Restart has nothing to move.
func (b *bystander) Restart(uint32, core.Time, core.Time) {}

// Progress is never called: the permits are not tracked.
func (b *bystander) Progress(uint32, core.Time, core.Time) {}

// Settle counts the call.
func (b *bystander) Settle(_ uint32, _, _ core.Time, _ bool, o core.Outcome) {
	(*Breaker)(b).countResult(o)
}

// Peek reports what Acquire would decide, and changes no state. Decision.RetryAfter of a breaker that Acquire would open
// again is without jitter. It may take a lock while the breaker is half-open, or when its latencies are due to be judged.
func (b *Breaker) Peek(c core.Call) (d core.Decision) {
	s := b.live.At(c.Now)
	d.By, d.Remaining, d.Now = &s.Policy, -1, c.Now
	switch s.Policy.Mode {
	case core.Disabled, core.ForcedClosed:
		return d
	case core.ForcedOpen:
		forced(s, &d)
		return d
	}
	if cl := b.look(c.Key); cl != nil {
		cl.peek(&d)
	}
	if d.Reason != 0 && s.Policy.Mode == core.Shadow {
		d.Reason = d.Reason.InShadow()
	}
	return d
}

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail.
func (b *Breaker) Prepare(c Config) (commit func(), err error) { return b.live.Prepare(c) }

// Tune puts c in force. State, era, counts and permits survive; the end of an open time moves with the new duration. On
// error nothing changes.
func (b *Breaker) Tune(c Config) error { return b.live.Tune(c) }

// Config returns the effective settings, defaults filled in.
func (b *Breaker) Config() Config { return b.live.Load().Config }

// Override puts mode in force for d (0: until Restore) whatever the configuration says; it outlives Tune.
func (b *Breaker) Override(mode core.Mode, d time.Duration) error { return b.live.Override(mode, d) }

// Restore ends an override.
func (b *Breaker) Restore() { b.live.Restore() }

// Trip opens the breaker by hand for d, for instance because the dependency asked for it by Retry-After; then it
// probes as usual. One that is open already ends when d is over, sooner or later than it would have. d is held between
// 1ms and MaxOpenFor, and not jittered.
func (b *Breaker) Trip(d time.Duration) { b.trip(core.Key{}, d) }

// Reset closes the breaker by hand, with empty counts and without the baseline of latencies that it has learned; calls
// that run have no vote any more.
func (b *Breaker) Reset() { b.reset(core.Key{}) }

// State returns where the breaker stands. An open breaker turns half-open when a call comes after its time, not before.
func (b *Breaker) State() State { return b.look(core.Key{}).state() }

func (b *Breaker) trip(k core.Key, d time.Duration) {
	b.byHand(k, func(_ *cell, m control, c *Config, now core.Time) control { return m.trip(c, now, d) })
}

func (b *Breaker) reset(k core.Key) {
	b.byHand(k, func(cl *cell, m control, _ *Config, now core.Time) control {
		cl.pace = pace{}
		cl.limit.Store(int64(core.Never))
		return m.reset(now)
	})
}

func (b *Breaker) byHand(k core.Key, f func(*cell, control, *Config, core.Time) control) {
	c := core.Call{Key: k, Now: core.Now()}
	cl := b.pinned(c)
	news := cl.change(c.Now, func(m control, conf *Config) control { return f(cl, m, conf, c.Now) })
	cl.unpin()
	if news {
		b.live.Feed.Deliver()
	}
}

// changed moves what depends on the settings, in every cell. The settings' lock is held: nobody is told anything here,
// and nothing changes state.
func (b *Breaker) changed(_, fresh *settings, now core.Time) {
	retune := func(cl *cell) {
		cl.change(now, func(m control, c *Config) control { return m.retuned(c) })
	}
	if b.own != nil {
		retune(b.own)
	}
	if b.cells == nil {
		return
	}
	b.cells.SetBound(fresh.Config.MaxKeys)
	b.cells.Range(func(_ core.Key, ref *keyed.Ref[cell]) {
		if cl := ref.Load(); cl != nil {
			retune(cl)
		}
	})
}

// Do runs fn if b admits the call, and returns a *core.Rejection otherwise. For keys use core.Do.
func Do[T any](ctx context.Context, b *Breaker, fn func(context.Context) (T, error)) (T, error) {
	return core.Do(ctx, b, core.Call{}, b.hooks.Classify, fn)
}
