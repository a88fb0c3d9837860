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
	cells *keyed.Map[slot] // nil without keys
}

// Keyed is a Breaker with a state of its own for each Call.Key, such as a host. At most about MaxKeys active keys are
// told apart; idle ones are forgotten without loss, and new ones beyond the bound share one state. Make one with
// NewKeyed.
type Keyed struct{ Breaker }

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

// NewKeyed returns a breaker with a state for each key. Errors are those of New.
func NewKeyed(name string, c Config, h Hooks) (*Keyed, error) {
	b := &Keyed{}
	if err := b.start(name, c, h); err != nil {
		return nil, err
	}
	b.cells = keyed.New(b.Config().MaxKeys, keyed.Rules[slot]{Start: b.openCell, Retire: b.closeCell})
	return b, nil
}

func (b *Breaker) start(name string, c Config, h Hooks) error {
	b.count, b.hooks = stripe.NewTally(), h
	return b.live.Start(core.KindBreaker, name, c, h, live.Rules[Config, struct{}]{
		Prepare: prepare, Describe: describe, Derive: func(*settings, Config, core.Time) (none struct{}) { return },
		Changed: b.changed,
	})
}

// Acquire admits the call unless the breaker is open, or half-open with every probe taken. It never waits.
//
// Reasons: ReasonOpen, ReasonProbing, ReasonForced.
func (b *Breaker) Acquire(_ context.Context, c core.Call) (p core.Permit, d core.Decision) {
	s := b.live.Load()
	if s.Overridden() {
		s = b.live.At(c.Now)
	}
	d.By, d.Remaining, d.Now = &s.Policy, -1, c.Now
	if s.Policy.Mode >= core.Disabled {
		p = b.forced(s, c, &d)
		return
	}
	cl := b.cell(c)
	ph := cl.phase.Load()
	for ph.state == Closed {
		if cl.pin() {
			p = core.NewPermit(cl, tag(ph.era, noPlace), 0)
			return
		}
		cl = b.cell(c) // the cell had just been retired
		ph = cl.phase.Load()
	}
	d.Now = c.Now.Or()
	p = cl.acquireGated(s, ph, &d)
	if d.Reason == 0 {
		return
	}
	if s.Policy.Mode == core.Shadow {
		b.count.Add(countShadowed, 1)
		d.Reason = d.Reason.InShadow()
		cl.pin()
		p = core.NewPermit(cl, tag(0, bystander), 0)
		return
	}
	b.count.Add(countRejected, 1)
	return
}

// forced decides in the modes that do not ask the state.
func (b *Breaker) forced(s *settings, c core.Call, d *core.Decision) core.Permit {
	place := uint32(bystander)
	switch s.Policy.Mode {
	case core.ForcedOpen:
		b.count.Add(countRejected, 1)
		d.Reason = core.ReasonForced
		if _, until, ok := s.Override(); ok && until != 0 {
			d.RetryAfter = max(until.Sub(c.Now.Or()), 0)
		}
		return core.Permit{}
	case core.ForcedClosed:
		place = noPlace
	}
	cl := b.pinned(c)
	return core.NewPermit(cl, tag(cl.phase.Load().era, place), 0)
}

// pinned returns the cell of a call with a pin on it.
func (b *Breaker) pinned(c core.Call) *cell {
	for {
		if cl := b.cell(c); cl.pin() {
			return cl
		}
	}
}

// Peek reports what Acquire would decide, and changes nothing.
func (b *Breaker) Peek(c core.Call) (d core.Decision) {
	now := c.Now.Or()
	s := b.live.At(now)
	d.By, d.Remaining, d.Now = &s.Policy, -1, now
	switch s.Policy.Mode {
	case core.Disabled, core.ForcedClosed:
		return d
	case core.ForcedOpen:
		d.Reason = core.ReasonForced
		return d
	}
	ph := b.look(c.Key).phase.Load()
	if ph.state != Closed && now < core.Time(ph.until.Load()) {
		ph.reject(&d, now)
	}
	if d.Reason != 0 && s.Policy.Mode == core.Shadow {
		d.Reason = d.Reason.InShadow()
	}
	return d
}

// cell returns the cell of a call.
func (b *Breaker) cell(c core.Call) *cell {
	if b.cells == nil {
		return b.own
	}
	e := b.cells.Find(c.Key)
	for {
		if e != nil {
			if cl := e.Cell.cell.Load(); cl != nil && b.cells.Owns(e, c.Key) && cl.pins.Load() >= 0 {
				return cl
			}
		}
		e = b.cells.Get(c.Key, c.Now.Or())
	}
}

// look returns a key's cell without giving it one: that of a key never seen looks like a new one.
func (b *Breaker) look(k core.Key) *cell {
	if b.cells == nil {
		return b.own
	}
	if e := b.cells.Find(k); e != nil {
		if cl := e.Cell.cell.Load(); cl != nil && b.cells.Owns(e, k) {
			return cl
		}
	}
	return newCell(b, k, core.Now(), 1)
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
// probes as usual. d is held between 1ms and MaxOpenFor.
func (b *Breaker) Trip(d time.Duration) { b.byHand(core.Key{}, d) }

// Reset closes the breaker by hand, with empty counts.
func (b *Breaker) Reset() { b.byHand(core.Key{}, 0) }

// TripKey is Trip for one key.
func (b *Keyed) TripKey(k core.Key, d time.Duration) { b.byHand(k, d) }

// ResetKey is Reset for one key.
func (b *Keyed) ResetKey(k core.Key) { b.byHand(k, 0) }

// State returns the state of one key.
func (b *Keyed) State(k core.Key) State { return b.look(k).phase.Load().state }

// State returns where the breaker stands. An open breaker turns half-open when a call comes after its time, not before.
func (b *Breaker) State() State { return b.look(core.Key{}).phase.Load().state }

func (b *Breaker) byHand(k core.Key, d time.Duration) {
	c := core.Call{Key: k, Now: core.Now()}
	cl := b.pinned(c)
	defer cl.unpin()
	cl.change(b.live.Load(), c.Now, func(m control, _ *Config) control {
		if d == 0 {
			return m.reset(c.Now)
		}
		return m.trip(c.Now, min(max(d, time.Millisecond), b.Config().MaxOpenFor))
	})
}

// changed moves what depends on the settings, in every cell.
func (b *Breaker) changed(_, fresh *settings, now core.Time) {
	retune := func(cl *cell) { // the settings' lock is held: nobody is told here, and nothing changes state
		cl.apply(fresh, now, func(m control, c *Config) control { return m.retuned(c) })
	}
	if b.own != nil {
		retune(b.own)
	}
	if b.cells == nil {
		return
	}
	b.cells.SetBound(fresh.Config.MaxKeys)
	b.cells.Range(func(_ core.Key, sl *slot) {
		if cl := sl.cell.Load(); cl != nil && cl.phase.Load().state != Closed {
			retune(cl)
		}
	})
}

// Do runs fn if b admits the call, and returns a *core.Rejection otherwise. For keys use core.Do.
func Do[T any](ctx context.Context, b *Breaker, fn func(context.Context) (T, error)) (T, error) {
	return core.Do(ctx, b, core.Call{}, b.hooks.Classify, fn)
}
