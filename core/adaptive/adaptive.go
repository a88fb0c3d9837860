package adaptive

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/live"
	"github.com/mw-go/mw/core/internal/stripe"
)

// Limiter bounds the calls in flight by a limit that it finds itself. It implements core.Guard; Call.Key serves only
// to shed the same users throughout an overload. Make one with New. Safe for concurrent use; while slots are free a
// call takes no lock and allocates nothing.
type Limiter struct {
	live   live.Live[Config, struct{}]
	count  stripe.Tally
	hooks  Hooks
	random func() uint64

	_    [stripe.Line]byte
	gate gate // read by every call, written at ticks
	_    [stripe.Line]byte
	room atomic.Uint64 // a room; written by every call
	_    [stripe.Line]byte

	beside    atomic.Int64 // slots of calls that shadow and disabled mode let run without asking
	counters  counters
	arrived   [levels]atomic.Uint32 // calls that came while the machine is pressed, by level
	appointed atomic.Int64          // core.Time: all times before it are given away to calls that are to come back

	mu    sync.Mutex // guards what follows
	m     *machine
	queue queue
	era   uint32 // of events
}

// gate is what a call needs to know of the machine.
type gate struct {
	caps    [ranks]atomic.Int64 // the limit for each class
	pressed atomic.Bool         // calls are held back: look closer
	refused atomic.Bool         // one was, since the last tick
	waiting atomic.Int32        // calls in the queue
	seen    atomic.Uint32       // bit set of the classes that came since the last tick
	cut     atomic.Int32        // the highest level that passes
	thin    atomic.Uint64       // calls whose number has one of these bits are not timed
	due     atomic.Int64        // core.Time of the next tick
	turn    atomic.Uint64
	pace    atomic.Int64 // nanoseconds between two rejected calls that may come back
	slow    atomic.Int64 // nanoseconds after which a call that was given up counts as a slow one; 0: not known
}

type settings = live.Settings[Config, struct{}]

// The lifetime counters.
const (
	countRejected = iota
	countShadowed
	countBeside // admitted without asking
)

// New returns a limiter. Errors: a name that is not 1 to 64 of letters, digits and - _ . /, and every bad field of c.
func New(name string, c Config, h Hooks) (*Limiter, error) {
	l := &Limiter{
		count: stripe.NewTally(), hooks: h, counters: make(counters, stripe.Count()), random: rand.Uint64,
	}
	err := l.live.Start(core.KindAdaptive, name, c, h, live.Rules[Config, struct{}]{
		Prepare: prepare, Describe: describe, Derive: func(*settings, Config, core.Time) (none struct{}) { return },
		Changed: l.changed,
	})
	if err != nil {
		return nil, err
	}
	full := l.Config()
	l.m = first(&full)
	l.appointed.Store(int64(longAgo))
	l.gate.due.Store(int64(longAgo)) // the first call that ends starts the clock
	l.publish(&full, 0)
	return l, nil
}

const longAgo = core.Time(-1 << 63)

// maxBlind is the largest cost that is added without looking: many thousands at once would overflow a room.
const maxBlind = 16

// Acquire takes the call's slots, or waits for them in the queue if there is one.
//
// Reasons: ReasonShed (above the cut-off during an overload), ReasonFull (no slot, and no place in the queue; or
// pushed out of it by a more critical call), ReasonWaited (as long as the queue allows), ReasonLeft and ReasonExpired
// (ctx ended while waiting). A call that costs more than the limit takes all of it.
func (l *Limiter) Acquire(ctx context.Context, c core.Call) (core.Permit, core.Decision) {
	s := l.live.Load()
	if s.Plain && !l.gate.pressed.Load() { // the common case, which keeps its results in registers
		cost, r := c.Tokens(), rank(c.Class)
		if limit := l.gate.caps[r].Load(); cost <= min(limit, maxBlind) && l.gate.seen.Load()&(1<<r) != 0 {
			taken := room(l.room.Add(uint64(room(cost) + one)))
			if n := taken.running(); n <= limit {
				if taken.admitted()&l.gate.thin.Load() != 0 && (c.Now == 0 || c.Now < core.Time(l.gate.due.Load())) {
					return core.NewPermit(l, uint32(cost), 0), core.Decision{
						By: &s.Policy, Now: c.Now, Verdict: core.Verdict{Remaining: int32(limit - n)},
					}
				}
				now := c.Now.Or()
				return core.NewTrackedPermit(l, tagOf(cost, n), now), core.Decision{
					By: &s.Policy, Now: now, Verdict: core.Verdict{Remaining: int32(limit - n)},
				}
			}
			l.takeBack(cost)
		}
	}
	return l.acquire(ctx, c)
}

// takeBack undoes an addition that went beyond the limit. Until then it stood for a call that does not run.
func (l *Limiter) takeBack(cost int64) {
	l.room.Add(-uint64(room(cost) + one))
	if l.gate.waiting.Load() != 0 { // who took it for a call, and waits
		l.serve()
	}
}

// acquire is the whole decision.
func (l *Limiter) acquire(ctx context.Context, c core.Call) (p core.Permit, d core.Decision) {
	s := l.live.Load()
	if s.Overridden() {
		s = l.live.At(c.Now)
	}
	d.By, d.Now = &s.Policy, c.Now
	if s.Policy.Mode == core.Disabled {
		d.Remaining = -1
		p = l.letRun(c)
		return
	}
	cost, queue := l.try(s, c, &d)
	if queue {
		cost, d.Reason = l.wait(ctx, s, c, d.Now)
		d.Now = core.Now()
	}
	p = l.conclude(s, c, cost, &d)
	return
}

// try decides on a call without waiting: its slots are taken, d has the reason against it, or it may queue for them.
func (l *Limiter) try(s *settings, c core.Call, d *core.Decision) (cost int64, queue bool) {
	r := rank(c.Class)
	if l.gate.seen.Load()&(1<<r) == 0 {
		l.gate.seen.Or(1 << r)
	}
	d.Now = c.Now.Or()
	if l.gate.pressed.Load() && !l.passes(r, c.Key, d.Now) {
		d.Reason = core.ReasonShed
		return 0, false
	}
	if cost, ok := l.take(c, r); ok {
		return cost, false
	}
	l.refuse(d.Now)
	if s.Policy.Mode == core.Shadow || s.Config.Queue == core.None {
		d.Reason = core.ReasonFull
		return 0, false
	}
	return 0, true
}

// passes counts a call that comes during an overload, and reports whether it is below the cut-off.
func (l *Limiter) passes(r int, k core.Key, now core.Time) bool {
	l.tickIfDue(now) // the calls that end may be too few to keep time by
	at := level(r, k, l.gate.turn.Load(), l.random())
	l.arrived[at].Add(1)
	return at <= int(l.gate.cut.Load())
}

// conclude counts the call and makes its permit.
func (l *Limiter) conclude(s *settings, c core.Call, cost int64, d *core.Decision) core.Permit {
	if d.Reason == 0 {
		taken := room(l.room.Add(uint64(one)))
		d.Remaining = int32(max(l.gate.caps[rank(c.Class)].Load()-taken.running(), 0))
		return core.NewTrackedPermit(l, tagOf(cost, taken.running()), d.Now)
	}
	d.Remaining = int32(max(l.gate.caps[rank(c.Class)].Load()-room(l.room.Load()).running(), 0))
	if d.Reason == reasonLetRun {
		d.Reason, d.Remaining = 0, -1
		return l.letRun(c)
	}
	if s.Policy.Mode == core.Shadow {
		d.Reason = d.Reason.InShadow()
		l.count.Add(countShadowed, 1)
		return l.letRun(c)
	}
	*d = l.hinted(s, *d)
	l.count.Add(countRejected, 1)
	return core.Permit{}
}

// appoint returns after how long a call that is rejected may come back.
func (l *Limiter) appoint(after time.Duration, now core.Time) time.Duration {
	for {
		next := l.appointed.Load()
		at, then := appoint(core.Time(next), now, after, time.Duration(l.gate.pace.Load()))
		if l.appointed.CompareAndSwap(next, int64(then)) {
			return at.Sub(now)
		}
	}
}

// fraction makes a number in [0,1) of random bits.
func fraction(random uint64) float64 { return float64(random>>11) / (1 << 53) }

// take takes a call's slots if they are free and nobody waits for them. It counts nothing.
func (l *Limiter) take(c core.Call, r int) (cost int64, ok bool) {
	if l.gate.waiting.Load() != 0 {
		return 0, false
	}
	return l.takeSlots(min(c.Tokens(), maxCost), r)
}

// takeSlots takes slots if they are free: as many as cost says, but no more than the limit.
func (l *Limiter) takeSlots(cost int64, r int) (taken int64, ok bool) {
	for {
		now, limit := room(l.room.Load()), l.gate.caps[r].Load()
		taken = min(cost, limit)
		if now.running()+taken > limit {
			return 0, false
		}
		if l.room.CompareAndSwap(uint64(now), uint64(now+room(taken))) {
			return taken, true
		}
	}
}

// Peek reports what Acquire would decide, and takes nothing; a call that would queue is admitted. During an overload the
// answer for a call without a key is one of those that such calls get.
func (l *Limiter) Peek(c core.Call) (d core.Decision) {
	s := l.live.At(c.Now)
	d.By, d.Now, d.Remaining = &s.Policy, c.Now, -1
	if s.Policy.Mode == core.Disabled {
		return d
	}
	r := rank(c.Class)
	limit, running := l.gate.caps[r].Load(), room(l.room.Load()).running()
	d.Remaining = int32(max(limit-running, 0))
	waiting := int64(l.gate.waiting.Load())
	switch {
	case l.gate.pressed.Load() && level(r, c.Key, l.gate.turn.Load(), l.random()) > int(l.gate.cut.Load()):
		d.Reason = core.ReasonShed
	case waiting == 0 && running+min(c.Tokens(), limit) <= limit:
		return d
	case waiting >= int64(s.Config.Queue) || s.Policy.Mode == core.Shadow:
		d.Reason = core.ReasonFull
	}
	if s.Policy.Mode == core.Shadow && d.Reason != 0 {
		d.Reason = d.Reason.InShadow()
	}
	return d
}

// hinted is a decision with the time to come again, if it is a rejection.
func (l *Limiter) hinted(s *settings, d core.Decision) core.Decision {
	if s.Config.RetryAfter > 0 && !d.Admitted() {
		after := l.appoint(s.Config.RetryAfter, d.Now)
		d.RetryAfter = after/2 + time.Duration(fraction(l.random())*float64(after))
	}
	return d
}

// Do runs fn in a slot of l, and returns a *core.Rejection if it gets none. For keys and classes use core.Do.
func Do[T any](ctx context.Context, l *Limiter, fn func(context.Context) (T, error)) (T, error) {
	return core.Do(ctx, l, core.Call{}, l.hooks.Classify, fn)
}
