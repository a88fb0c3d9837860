package timeout

import (
	"context"
	"time"

	"github.com/mw-go/mw/core"
)

// Allowance is the time that a call was given: by Admit to an adapter, which makes the call's context itself. It has
// one owner. The zero Allowance bounds nothing.
type Allowance struct {
	Rest time.Duration // how long the call may take; core.Never if nothing bounds it

	t      *Timeout
	by     *core.Policy
	m      *measure
	limit  *bound    // ours, that ends the call after Rest; nil if the caller's time does, or nothing
	shadow *bound    // what would have ended it
	start  core.Time // when it began; 0 if nobody asks
}

// Admit gives a call its time: the limit, or less if its caller waits less long. incoming is how long the caller will
// wait, by the deadline of its context or by what it sent along, whichever is sooner; core.Never if it has not said. now
// may be 0: the clock is read if it is needed. Every admitted call must be ended by Done. Do does all this by itself;
// Admit is for adapters.
//
// Reasons: ReasonTooLong (what the caller has left, less Margin, is below MinRest or RestQuantile, or nothing),
// ReasonExpired (it has nothing left).
func (t *Timeout) Admit(now core.Time, incoming time.Duration) (Allowance, core.Decision) {
	return t.admit(t.settings(now), now, incoming)
}

func (t *Timeout) admit(s *settings, now core.Time, incoming time.Duration) (a Allowance, d core.Decision) {
	d.By, d.Now, d.Remaining = &s.Policy, now, -1
	a.Rest, a.t, a.by = incoming, t, &s.Policy
	if s.Policy.Mode == core.Disabled {
		t.count.Add(countBegun, 1)
		return a, d
	}
	m := s.Derived
	shadow := s.Policy.Mode == core.Shadow
	if incoming != core.Never || shadow || m.learns() {
		now = now.Or()
		a.start = now
	}
	b := m.at(now)
	rest, own, reason := allow(b.cause.Limit, incoming, s.Config.Margin, b.floor)
	a.m = m
	switch {
	case shadow && reason != 0:
		d.Reason = reason.InShadow()
		t.count.Add(countShadowed, 1)
	case shadow && own:
		a.shadow = b
	case shadow:
	case reason != 0:
		d.Reason = reason
		t.count.Add(countRejected, 1)
		return Allowance{}, d
	default:
		a.Rest = rest
		if own {
			a.limit = b
		}
	}
	t.count.Add(countBegun, 1)
	return a, d
}

// Context returns a context that is done when the allowance is used up, with an *Error as its cause (it matches
// core.ErrTimeout) if our limit ends it, and that of an ordinary deadline if the caller's time does. ctx itself serves if its own
// deadline is no later: then nothing is allocated. Call it once, right after Admit, and cancel when the call is over.
func (a *Allowance) Context(ctx context.Context) (context.Context, context.CancelFunc) {
	switch {
	case a.t == nil || a.Rest == core.Never:
		return ctx, nothing
	case a.limit != nil:
		return context.WithTimeoutCause(ctx, a.Rest, a.limit.cause)
	}
	if deadline, ok := ctx.Deadline(); ok && core.TimeOf(deadline) <= a.start.Add(a.Rest) {
		return ctx, nothing
	}
	return context.WithTimeout(ctx, a.Rest)
}

func nothing() {}

// Over reports whether our limit ended ctx, the context that Context returned, or one made from it.
func (a *Allowance) Over(ctx context.Context) bool {
	return a.limit != nil && ctx.Err() != nil && context.Cause(ctx) == error(a.limit.cause)
}

// Done ends the call: it counts, and takes the sample of an adaptive limit. o must be Timeout if Over, and only then.
// now may be 0: the clock is read if it is needed.
func (a *Allowance) Done(now core.Time, o core.Outcome) {
	t := a.t
	if t == nil {
		return
	}
	a.t = nil
	if o == core.Timeout && a.limit != nil {
		t.count.Add(countTimedOut, 1)
	}
	if a.shadow == nil && !a.m.learns() {
		return
	}
	now = now.Or()
	took := now.Sub(a.start)
	if a.shadow != nil && took > a.shadow.cause.Limit {
		t.count.Add(countShadowed, 1)
	}
	if o != core.Timeout || a.limit != nil {
		a.m.learn(now, o, took, a.limit)
	}
}

// Judge turns the error that a call ended with into what Do returns, and into the outcome for Done: an *Error round it if our
// limit was over. ctx is the context that Context returned. It is called before Done.
func (a *Allowance) Judge(ctx context.Context, err error) (core.Outcome, error) {
	if a.t == nil {
		return core.Success, err
	}
	over := a.Over(ctx)
	switch {
	case over && err != nil:
		return core.Timeout, a.limit.cause.with(err)
	case over:
		a.t.count.Add(countLate, 1)
	}
	if !a.m.learns() {
		return core.Success, err // nobody asks
	}
	o := a.t.hooks.Classify(ctx, err)
	if o == core.Timeout {
		o = core.Failure // of a deadline further down, not of ours
	}
	return o, err
}
