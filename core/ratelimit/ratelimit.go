package ratelimit

import (
	"context"

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
	own   cell
	lines lines

	closed core.Time // when the clock in force began to hand over; guarded by the settings' lock
}

// Keyed is a Limiter with a bucket for each Call.Key. At most about MaxKeys active keys are told apart; idle ones are
// forgotten without loss, and new ones beyond the bound share one bucket. Make one with NewKeyed.
type Keyed struct{ Limiter }

type settings = live.Settings[Config, clock]

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
func (l *Limiter) Acquire(ctx context.Context, c core.Call) (core.Permit, core.Decision) {
	now, cost := c.Now.Or(), c.Tokens()<<unitBits
	s := l.live.Load()
	v, due := s.Derived.virtual(now)
	if s.Plain && !due && l.lines.waiting.Load() == 0 { // the common cases, which keep their results in registers
		short, debt := l.charge(s, c.Key, now, v, cost)
		d := core.Decision{By: &s.Policy, Now: now, Verdict: core.Verdict{Remaining: int32(s.Derived.left(debt))}}
		if short <= 0 {
			l.count.Add(countAdmitted, 1)
			return core.Permit{}, d
		}
		if s.Config.MaxWait == 0 && cost <= s.Derived.burst && l.live.Load() == s {
			l.count.Add(countRejected, 1)
			d.Reason, d.RetryAfter = core.ReasonLimited, s.Derived.wait(short)
			return core.Permit{}, d
		}
	}
	return l.acquire(ctx, c, now)
}

// acquire is the whole decision.
func (l *Limiter) acquire(ctx context.Context, c core.Call, now core.Time) (_ core.Permit, d core.Decision) {
	d.Now = now
	cost := c.Tokens() << unitBits
	for {
		s, v := l.moment(d.Now)
		d.By = &s.Policy
		if s.Policy.Mode == core.Disabled {
			d.Remaining = -1
			l.count.Add(countAdmitted, 1)
			return
		}
		if l.lines.waiting.Load() != 0 {
			break
		}
		short, debt := l.charge(s, c.Key, d.Now, v, cost)
		d.Remaining = int32(s.Derived.left(debt))
		if short <= 0 {
			l.count.Add(countAdmitted, 1)
			return
		}
		if l.live.Load() != s { // tuned under our feet: decide by what is in force
			continue
		}
		if s.Config.MaxWait != 0 && s.Policy.Mode != core.Shadow {
			break
		}
		l.refuse(&d, s, core.ReasonLimited, short, cost)
		return
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
	d.Remaining = int32(s.Derived.left(debt))
	if short += l.lines.owed(l.bucket(c.Key)); short <= 0 {
		return d
	}
	d.Reason, d.RetryAfter = core.ReasonLimited, s.Derived.wait(short)
	switch {
	case cost > s.Derived.burst:
		d.Reason, d.RetryAfter = core.ReasonTooCostly, core.Never
	case s.Policy.Mode == core.Enforce && d.RetryAfter <= s.Config.MaxWait:
		d.Reason, d.RetryAfter = 0, 0
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

// Do runs fn if l admits a call of cost 1, and returns a *core.Rejection otherwise. For keys and costs use core.Do.
func Do[T any](ctx context.Context, l *Limiter, fn func(context.Context) (T, error)) (T, error) {
	return core.Do(ctx, l, core.Call{}, l.hooks.Classify, fn)
}
