package ratelimit

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/keyed"
	"github.com/mw-go/mw/core/internal/live"
	"github.com/mw-go/mw/core/internal/stripe"
)

// Limiter admits calls at a rate, with one bucket for all of them; Call.Key is ignored. It implements core.Guard. Make
// one with New. Safe for concurrent use; the decision takes no lock and allocates nothing.
type Limiter struct {
	live  live.Live[Config, clock]
	count stripe.Tally
	hooks Hooks
	cells *keyed.Map[cell] // nil without keys
	own   keyed.Entry[cell]
	lines lines
}

// Keyed is a Limiter with a bucket for each Call.Key. At most about MaxKeys active keys are told apart; idle ones are
// forgotten without loss, and new ones beyond the bound share one bucket. Make one with NewKeyed.
type Keyed struct{ Limiter }

type settings = live.Settings[Config, clock]

// cell is the state of one key: its TAT, or dead when the key has lost the cell.
type cell struct{ tat atomic.Int64 }

const dead = -1 << 63

// alive returns tat, or its neighbour if it happens to be the mark of a dead cell.
func alive(tat int64) int64 {
	if tat == dead {
		return dead + 1
	}
	return tat
}

// The lifetime counters.
const (
	countAdmitted = iota
	countRejected
	countShadowed
)

// New returns a limiter. Errors: a name that is not 1 to 64 of letters, digits and - _ . /, and every bad field of c.
func New(name string, c Config, h Hooks) (*Limiter, error) {
	l := &Limiter{}
	if err := l.start(name, c, h); err != nil {
		return nil, err
	}
	return l, nil
}

// NewKeyed returns a limiter with a bucket for each key. Errors are those of New.
func NewKeyed(name string, c Config, h Hooks) (*Keyed, error) {
	l := &Keyed{}
	if err := l.start(name, c, h); err != nil {
		return nil, err
	}
	l.cells = keyed.New(l.Config().MaxKeys, keyed.Rules[cell]{Start: l.openCell, Retire: l.closeCell})
	return l, nil
}

func (l *Limiter) start(name string, c Config, h Hooks) error {
	l.count, l.hooks = stripe.NewTally(), h
	return l.live.Start(core.KindRateLimit, name, c, h, live.Rules[Config, clock]{
		Prepare: prepare, Describe: describe, Derive: l.derive, Changed: l.changed,
	})
}

// Acquire charges the call's cost if the bucket holds it, and otherwise rejects with the time until it will, or waits
// for it if MaxWait allows. Waiting calls are served in order of arrival and hold no reservation: one that leaves has
// charged nothing. The Permit is always the zero Permit: nothing is taken back.
//
// Reasons: ReasonLimited, ReasonTooCostly (more than the burst), ReasonTooLong, ReasonWaited, ReasonLeft, ReasonExpired.
func (l *Limiter) Acquire(ctx context.Context, c core.Call) (_ core.Permit, d core.Decision) {
	d.Now = c.Now.Or()
	s, v := l.moment(d.Now)
	d.By = &s.Policy
	if s.Policy.Mode == core.Disabled {
		d.Remaining = -1
		l.count.Add(countAdmitted, 1)
		return
	}
	cost := c.Tokens() << unitBits
	if l.lines.waiting.Load() == 0 {
		short, debt := l.charge(s, c.Key, d.Now, v, cost)
		d.Remaining = s.Derived.left(debt)
		if short <= 0 {
			l.count.Add(countAdmitted, 1)
			return
		}
		if s.Config.MaxWait == 0 || s.Policy.Mode == core.Shadow {
			l.refuse(&d, s, core.ReasonLimited, short, cost)
			return
		}
	}
	l.wait(ctx, c, cost, &d)
	return
}

// Peek reports what Acquire would decide, and takes nothing; a call that would wait is admitted.
func (l *Limiter) Peek(c core.Call) (d core.Decision) {
	d.Now = c.Now.Or()
	s, v := l.moment(d.Now)
	d.By, d.Remaining = &s.Policy, -1
	if s.Policy.Mode == core.Disabled {
		return d
	}
	cost := c.Tokens() << unitBits
	_, short, debt := s.Derived.admit(l.look(c.Key, s, v), v, cost)
	d.Remaining = s.Derived.left(debt)
	if short <= 0 || cost <= s.Derived.burst && s.Derived.wait(short) <= s.Config.MaxWait {
		return d
	}
	d.Reason, d.RetryAfter = core.ReasonLimited, s.Derived.wait(short)
	if cost > s.Derived.burst {
		d.Reason, d.RetryAfter = core.ReasonTooCostly, core.Never
	}
	if s.Policy.Mode == core.Shadow {
		d.Reason = d.Reason.InShadow()
	}
	return d
}

// moment returns the settings in force at now, and the virtual time.
func (l *Limiter) moment(now core.Time) (*settings, int64) {
	s := l.live.Load()
	v, due := s.Derived.virtual(now)
	if due || s.Overridden() {
		return l.momentSlow(now)
	}
	return s, v
}

func (l *Limiter) momentSlow(now core.Time) (*settings, int64) {
	s := l.live.At(now)
	v, due := s.Derived.virtual(now)
	for due {
		s = l.live.Rederive(s, now)
		v, due = s.Derived.virtual(now)
	}
	return s, v
}

// charge takes cost from the key's bucket, or reports how much is short, both in units; debt is what the key owes then.
func (l *Limiter) charge(s *settings, k core.Key, now core.Time, v, cost int64) (short, debt int64) {
	e := l.entry(k, now)
	for {
		raw := e.Cell.tat.Load()
		if l.cells != nil && (raw == dead || !l.cells.Owns(e, k)) {
			e = l.cells.Get(k, now)
			continue
		}
		var next int64
		next, short, debt = s.Derived.admit(raw, v, cost)
		if short > 0 {
			if fresh := l.live.Load(); fresh != s { // tuned under our feet: decide by what is in force
				s, v = l.moment(now)
				continue
			}
			return short, debt
		}
		if e.Cell.tat.CompareAndSwap(raw, alive(next)) {
			return short, debt
		}
	}
}

func (l *Limiter) entry(k core.Key, now core.Time) *keyed.Entry[cell] {
	if l.cells == nil {
		return &l.own
	}
	if e := l.cells.Find(k); e != nil {
		return e
	}
	return l.cells.Get(k, now)
}

// look returns the stored TAT of a key without giving it a cell.
func (l *Limiter) look(k core.Key, s *settings, v int64) int64 {
	if l.cells == nil {
		return l.own.Cell.tat.Load()
	}
	if e := l.cells.Find(k); e != nil {
		if raw := e.Cell.tat.Load(); raw != dead && l.cells.Owns(e, k) {
			return raw
		}
	}
	return s.Derived.refresh(l.cells.Overflow().Cell.tat.Load(), v)
}

// refuse makes d a rejection for want of short units, or what the mode makes of one.
func (l *Limiter) refuse(d *core.Decision, s *settings, r core.Reason, short, cost int64) {
	d.Reason, d.RetryAfter = r, s.Derived.wait(short)
	if cost > s.Derived.burst {
		d.Reason, d.RetryAfter = core.ReasonTooCostly, core.Never
	}
	if s.Policy.Mode == core.Shadow {
		d.Reason = d.Reason.InShadow()
		l.count.Add(countAdmitted, 1)
		l.count.Add(countShadowed, 1)
		return
	}
	l.count.Add(countRejected, 1)
}

// derive makes the clock that follows old, after a sweep if one is due.
func (l *Limiter) derive(old *settings, c Config, now core.Time) clock {
	if old == nil {
		return newClock(nil, c, now)
	}
	before := &old.Derived
	if v, yes := before.overdue(now); yes {
		l.each(func(cl *cell) { cl.refresh(before, v) })
		before = before.freshened(v)
	}
	return newClock(before, c, now)
}

func (l *Limiter) changed(_, fresh *settings, _ core.Time) {
	if l.cells != nil {
		l.cells.SetBound(fresh.Config.MaxKeys)
	}
	l.lines.retime()
}

func (l *Limiter) each(visit func(*cell)) {
	visit(&l.own.Cell)
	if l.cells != nil {
		l.cells.Range(func(_ core.Key, c *cell) { visit(c) })
	}
}

func (c *cell) refresh(k *clock, v int64) {
	for {
		raw := c.tat.Load()
		if raw == dead || c.tat.CompareAndSwap(raw, alive(k.refresh(raw, v))) {
			return
		}
	}
}

// openCell starts a cell for a new key with the debt of the overflow cell, where the key may have been charged until
// now: so no key is ever granted more than its limit, and a flood cannot launder a debt.
func (l *Limiter) openCell(c *cell, _ core.Key, now core.Time) {
	s := l.live.Load()
	v, _ := s.Derived.virtual(now)
	tat := v
	if l.cells != nil { // not yet set while the map makes its own cells
		tat = s.Derived.refresh(l.cells.Overflow().Cell.tat.Load(), v)
	}
	c.tat.Store(alive(tat))
}

func (l *Limiter) closeCell(c *cell, now core.Time) bool {
	k := &l.live.Load().Derived
	v, _ := k.virtual(now)
	raw := c.tat.Load()
	return raw != dead && k.idle(raw, v) && c.tat.CompareAndSwap(raw, dead)
}

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail.
func (l *Limiter) Prepare(c Config) (commit func(), err error) { return l.live.Prepare(c) }

// Tune puts c in force: debts are kept, settled at the old rate and clamped to the new burst, whatever the number of
// keys in constant time; waiting calls are timed anew. On error nothing changes.
func (l *Limiter) Tune(c Config) error { return l.live.Tune(c) }

// Config returns the effective settings, defaults filled in.
func (l *Limiter) Config() Config { return l.live.Load().Config }

// Override puts mode in force for d (0: until Restore) whatever the configuration says; it outlives Tune. Allowed:
// enforce, shadow, disabled.
func (l *Limiter) Override(mode core.Mode, d time.Duration) error { return l.live.Override(mode, d) }

// Restore ends an override.
func (l *Limiter) Restore() { l.live.Restore() }

// Snapshot is what a page, a metric or a test reads of a limiter.
type Snapshot struct {
	core.Status
	Config    Config
	Remaining int64 // tokens in the bucket of the zero key
	Waiting   int   // calls waiting for tokens
}

// Snapshot returns the state as of now. It may take locks; it is not for the path of a call.
func (l *Limiter) Snapshot() Snapshot {
	d := l.Peek(core.Call{})
	s := l.live.Load()
	snap := Snapshot{Status: l.live.Status(), Config: s.Config, Remaining: d.Remaining}
	snap.Admitted = l.count.Load(countAdmitted)
	snap.Rejected = l.count.Load(countRejected)
	snap.Shadowed = l.count.Load(countShadowed)
	snap.Waiting = int(l.lines.waiting.Load())
	if l.cells != nil {
		snap.Keys, snap.Overflowed = l.cells.Len(), l.cells.Spilled()
	}
	return snap
}

// Status returns the part of the Snapshot that all guards share.
func (l *Limiter) Status() core.Status { return l.Snapshot().Status }

// Do runs fn if l admits a call of cost 1, and returns a *core.Rejection otherwise. For keys and costs use core.Do.
func Do[T any](ctx context.Context, l *Limiter, fn func(context.Context) (T, error)) (T, error) {
	return core.Do(ctx, l, core.Call{}, l.hooks.Classify, fn)
}
