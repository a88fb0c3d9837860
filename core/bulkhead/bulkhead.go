package bulkhead

import (
	"context"
	"sync/atomic"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/keyed"
	"github.com/mw-go/mw/core/internal/live"
	"github.com/mw-go/mw/core/internal/stripe"
)

// Bulkhead bounds the calls in flight, with one set of slots for all of them; Call.Key is ignored. It implements
// core.Guard. Make one with New. Safe for concurrent use; a call that finds a slot takes no lock and allocates nothing,
// and neither does one that is rejected because nobody may queue.
type Bulkhead struct {
	live   live.Live[Config, struct{}]
	count  stripe.Tally
	hooks  Hooks
	own    *cell
	roomy  atomic.Bool                 // own has so much room that a call need not look before it takes
	cells  *keyed.Map[keyed.Ref[cell]] // nil without keys
	beside atomic.Int64                // slots of calls that shadow and disabled mode let run without asking
}

// Keyed is a Bulkhead with slots for each Call.Key. At most about MaxKeys active keys are told apart; idle ones are
// forgotten without loss, and new ones beyond the bound share one set of slots. Make one with NewKeyed.
type Keyed struct{ Bulkhead }

type settings = live.Settings[Config, struct{}]

// The lifetime counters.
const (
	countRejected = iota
	countShadowed
	countBeside // admitted without asking
)

// New returns a bulkhead. Errors: a name that is not 1 to 64 of letters, digits and - _ . /, and every bad field of c.
func New(name string, c Config, h Hooks) (*Bulkhead, error) {
	b := &Bulkhead{}
	if err := b.start(name, c, h); err != nil {
		return nil, err
	}
	b.own = &cell{b: b}
	return b, nil
}

// NewKeyed returns a bulkhead with slots for each key. Errors are those of New.
func NewKeyed(name string, c Config, h Hooks) (*Keyed, error) {
	b := &Keyed{}
	if err := b.start(name, c, h); err != nil {
		return nil, err
	}
	b.cells = keyed.New(b.Config().MaxKeys, keyed.Rules[keyed.Ref[cell]]{Start: b.openCell, Retire: b.closeCell})
	return b, nil
}

func (b *Bulkhead) start(name string, c Config, h Hooks) error {
	b.count, b.hooks = stripe.NewTally(), h
	return b.live.Start(core.KindBulkhead, name, c, h, live.Rules[Config, struct{}]{
		Prepare: prepare, Describe: describe, Derive: func(*settings, Config, core.Time) (none struct{}) { return },
		Changed: b.changed,
	})
}

// Acquire takes the call's slots, or waits for them in the queue if there is one, in order of arrival.
//
// Reasons: ReasonFull (no slot, and no place in the queue), ReasonTooCostly (more than Limit), ReasonWaited (MaxWait is
// over), ReasonLeft and ReasonExpired (ctx ended while waiting).
func (b *Bulkhead) Acquire(ctx context.Context, c core.Call) (core.Permit, core.Decision) {
	s := b.live.Load()
	cl := b.own
	if cl == nil {
		cl = b.cell(c)
	}
	if s.Plain { // the common case, which keeps its results in registers
		cost, limit := c.Tokens(), int64(s.Config.Limit)
		var r room
		var ok bool
		if b.roomy.Load() && cost <= maxBlind {
			r = cl.add(cost)
			if ok = r.running() <= limit/2 && cl.waiting.Load() == 0; !ok {
				cl.takeBack(cost)
			}
		} else {
			r, ok = cl.takeExactly(cost, limit)
		}
		if ok {
			return core.NewPermit(cl, uint32(cost), 0), core.Decision{
				By: &s.Policy, Now: c.Now, Verdict: core.Verdict{Remaining: int32(limit - r.running())},
			}
		}
	}
	return b.acquire(ctx, c)
}

// acquire is the whole decision.
func (b *Bulkhead) acquire(ctx context.Context, c core.Call) (p core.Permit, d core.Decision) {
	s := b.live.Load()
	if s.Overridden() {
		s = b.live.At(c.Now)
	}
	d.By, d.Now = &s.Policy, c.Now
	if s.Policy.Mode == core.Disabled {
		d.Remaining = -1
		p = b.letRun(c)
		return
	}
	cost, limit := c.Tokens(), int64(s.Config.Limit)
	cl := b.cell(c)
	for {
		r := room(cl.room.Load())
		if r.isRetired() {
			cl = b.cell(c)
			continue
		}
		next, ok := r.take(cost, limit)
		if !ok || cl.waiting.Load() != 0 {
			d.Remaining = int32(max(limit-r.running(), 0))
			break
		}
		if cl.room.CompareAndSwap(uint64(r), uint64(next+one)) {
			d.Remaining = int32(limit - next.running())
			p = core.NewPermit(cl, uint32(cost), 0)
			return
		}
	}
	p = b.noRoom(ctx, s, cl, c, &d)
	return
}

// noRoom decides on a call that finds no slot, or others waiting for one.
func (b *Bulkhead) noRoom(ctx context.Context, s *settings, cl *cell, c core.Call, d *core.Decision) core.Permit {
	cost := c.Tokens()
	d.Reason = overflow(&s.Config, int(cl.waiting.Load()), cost)
	switch {
	case s.Policy.Mode == core.Shadow:
		d.Reason = inShadow(d.Reason)
		b.count.Add(countShadowed, 1)
		return b.letRun(c)
	case d.Reason == 0:
		for {
			reason, ok := cl.wait(ctx, s, cost)
			if d.Reason = reason; ok {
				break
			}
			cl = b.cell(c) // the cell had just been retired
		}
		d.Now = core.Now()
	}
	switch d.Reason {
	case 0:
		cl.room.Add(uint64(one))
		d.Remaining = int32(max(int64(b.Config().Limit)-cl.load().running(), 0))
		return core.NewPermit(cl, uint32(cost), 0)
	case reasonLetRun:
		d.Reason, d.Remaining = 0, -1
		return b.letRun(c)
	case core.ReasonTooCostly:
		d.RetryAfter = core.Never
	}
	b.count.Add(countRejected, 1)
	return core.Permit{}
}

// inShadow is what shadow mode makes of a call that finds no slot: it does not queue, so to queue (0) counts as full.
func inShadow(r core.Reason) core.Reason {
	if r == 0 {
		r = core.ReasonFull
	}
	return r.InShadow()
}

// letRun admits a call beside the limit: it is counted in flight, and charges nothing.
func (b *Bulkhead) letRun(c core.Call) core.Permit {
	cost := min(c.Tokens(), 1<<28)
	b.beside.Add(cost)
	b.count.Add(countBeside, 1)
	return core.NewPermit((*bystander)(b), uint32(cost), 0)
}

// bystander is the side of a Bulkhead that settles calls let run beside the limit.
type bystander Bulkhead

// Restart has nothing to move.
func (b *bystander) Restart(uint32, core.Time, core.Time) {}

// Progress is never called: the permits are not tracked.
func (b *bystander) Progress(uint32, core.Time, core.Time) {}

// Settle ends the call.
func (b *bystander) Settle(cost uint32, _, _ core.Time, _ bool, _ core.Outcome) {
	b.beside.Add(-int64(cost))
}

// Peek reports what Acquire would decide, and takes nothing; a call that would queue is admitted.
func (b *Bulkhead) Peek(c core.Call) (d core.Decision) {
	s := b.live.At(c.Now)
	d.By, d.Now, d.Remaining = &s.Policy, c.Now, -1
	if s.Policy.Mode == core.Disabled {
		return d
	}
	cost, limit := c.Tokens(), int64(s.Config.Limit)
	r, waiting := room(0), 0
	if cl := b.look(c.Key); cl != nil {
		r, waiting = cl.load(), int(cl.waiting.Load())
	}
	d.Remaining = int32(max(limit-r.running(), 0))
	if _, ok := r.take(cost, limit); ok && waiting == 0 {
		return d
	}
	if d.Reason = overflow(&s.Config, waiting, cost); d.Reason == core.ReasonTooCostly {
		d.RetryAfter = core.Never
	}
	if s.Policy.Mode == core.Shadow {
		d.Reason = inShadow(d.Reason)
	}
	return d
}

// cell returns the cell of a call.
func (b *Bulkhead) cell(c core.Call) *cell {
	if b.cells == nil {
		return b.own
	}
	return keyed.Need(b.cells, c.Key, c.Now, (*cell).alive)
}

// look returns a key's cell without giving it one; nil if it has none.
func (b *Bulkhead) look(k core.Key) *cell {
	if b.cells == nil {
		return b.own
	}
	return keyed.Look(b.cells, k)
}

// Do runs fn in a slot of b, and returns a *core.Rejection if it gets none. For keys and costs use core.Do.
func Do[T any](ctx context.Context, b *Bulkhead, fn func(context.Context) (T, error)) (T, error) {
	return core.Do(ctx, b, core.Call{}, b.hooks.Classify, fn)
}
