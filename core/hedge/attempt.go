package hedge

import (
	"context"
	"time"

	"github.com/mw-go/mw/core"
)

// attempt is one run of the function.
type attempt[T any] struct {
	ctx    context.Context
	cancel context.CancelCauseFunc // nil if the call was decided before the attempt could begin
	paid   core.Time               // when it was paid for
	next   *attempt[T]             // the one made after it
	number uint8                   // 1 for the first
	rank   uint8                   // how many had ended with it before the call was decided; 0 if it had not

	// Written by the attempt's goroutine before it ends.
	exit    exit
	outcome core.Outcome
	verdict verdict
	hint    time.Duration // of the verdict later
	value   T
	err     error
	panic   *core.PanicError
}

// exit is the way an attempt ended.
type exit uint8

const (
	exited exit = iota // by runtime.Goexit, if nothing else is known
	returned
	panicked
)

// try makes an attempt, and returns the one that is to follow. It recovers from its panic, which must not end the program when
// there is a caller who can handle it.
func (r *race[T]) try(a *attempt[T]) (following *attempt[T]) {
	defer func() {
		if a.exit != returned {
			a.outcome, a.verdict = core.Abandoned(a.ctx), fatal
			if p := recover(); p != nil {
				a.exit, a.panic = panicked, core.Recovered(p)
			}
		}
		following = r.end(a)
	}()
	a.value, a.err = r.fn(a.ctx)
	a.outcome = classify(a.ctx, r.h.hooks.Classify, a.err)
	if a.err != nil {
		a.verdict, a.hint = r.h.judge(a.ctx, &r.s.Config, a.outcome, a.err)
	}
	a.exit = returned
	return nil
}

// succeeded reports whether it has brought what was asked for.
func (a *attempt[T]) succeeded() bool {
	return a.exit == returned && a.err == nil && a.outcome == core.Success
}

// telling reports whether its failure says something of the backend.
func (a *attempt[T]) telling() bool {
	return a.outcome == core.Failure || a.outcome == core.Timeout || a.outcome == core.Overload
}

// Loser tells how an attempt ended after its call was decided.
type Loser struct {
	By      *core.Policy // the policy that it ran under
	Attempt int          // 1 the first attempt of its call, 2 and so on the further ones
	Value   any          // what it returned, of the type of that call
	Err     error
	Panic   *core.PanicError // its panic, if it ended by one; if it called runtime.Goexit, Value, Err and Panic are all nil
}

// lose is the end of an attempt that has lost.
func (r *race[T]) lose(a *attempt[T]) {
	h := r.h
	defer h.losers.Add(-1)
	defer h.stragglers.Add(-1)
	h.count.Add(countLost, 1)
	h.report(core.Canceled)
	if a.exit != returned {
		h.count.Add(countPanics, 1)
	}
	if h.hooks.OnLoser != nil {
		l := Loser{By: &r.s.Policy, Attempt: int(a.number), Err: a.err, Panic: a.panic}
		if a.exit == returned {
			l.Value = a.value
		}
		h.hand(l)
	}
}

// hand calls OnLoser.
func (h *Hedge) hand(l Loser) {
	heard := false
	defer func() {
		if !heard {
			h.count.Add(countPanics, 1)
			_ = recover()
		}
	}()
	h.hooks.OnLoser(l)
	heard = true
}
