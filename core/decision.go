package core

import "time"

// Kind is the kind of a machine, the name of its package.
type Kind string

// The kinds of the machines in this module. A guard of your own has a kind of its own.
const (
	KindBreaker   Kind = "breaker"
	KindRateLimit Kind = "ratelimit"
	KindBulkhead  Kind = "bulkhead"
	KindAdaptive  Kind = "adaptive"
	KindThrottle  Kind = "throttle"
	KindRetry     Kind = "retry"
	KindHedge     Kind = "hedge"
	KindTimeout   Kind = "timeout"
	KindFallback  Kind = "fallback"
	KindCache     Kind = "cache"
	KindPool      Kind = "pool"
	KindBatch     Kind = "batch"
)

// Policy tells who decided and by which limits: what a Rejection and the RateLimit fields of HTTP need. It is an
// immutable snapshot; a Tune makes a new one.
type Policy struct {
	Kind   Kind
	Name   string
	Mode   Mode          // the effective mode, an operator's override included
	Limit  int64         // ratelimit: tokens a Period; bulkhead: calls at once; 0 for a breaker
	Period time.Duration // ratelimit: the period of Limit; 0 elsewhere
	Burst  int64         // ratelimit: tokens that an idle key has saved up; 0 elsewhere
}

// Decision is a guard's answer to a call. It fits four machine words in at most four fields, the largest value that the
// compiler keeps in registers all the way: one word more, and passing it on costs more than deciding.
type Decision struct {
	By         *Policy       // who decided; never nil in a Decision made by a guard
	RetryAfter time.Duration // when rejected: the earliest time another try makes sense; 0 unknown, Never if it never will
	Now        Time          // the time of the decision: later than Call.Now if the guard waited; 0 if no clock was needed
	Verdict
}

// Verdict is the decision itself. Its fields are used as those of the Decision: d.Reason, d.Remaining.
type Verdict struct {
	Reason    Reason // 0 when admitted; see Admitted for shadow mode
	Remaining int32  // tokens or slots left after this decision; -1 where that means nothing
}

// Never is the RetryAfter of a call that cannot be admitted at any time, such as one that costs more than the burst.
const Never = time.Duration(1<<63 - 1)

// Admitted reports whether the call may run: there is no reason against it, or the policy is in shadow mode.
func (d Decision) Admitted() bool { return d.Reason == 0 || d.Reason.Shadow() }

// Restart is for who asks several guards in turn: if the one that gave d made the call wait, the permits held so far are
// told that the call begins now, so that a queue is never billed to the backend. now is the time handed to the guard;
// the time to go on with is returned.
func (d Decision) Restart(held []Permit, now Time) Time {
	if d.Now == 0 || d.Now <= now { // a guard that needed no clock leaves 0, which may be later than now: times have any sign
		return now
	}
	for i := range held {
		held[i].Restart(d.Now)
	}
	return d.Now
}

// Err returns nil for an admitted call and a *Rejection otherwise. The Rejection is the only allocation of a decision
// and is made here, when somebody wants it.
func (d Decision) Err() error {
	if d.Admitted() {
		return nil
	}
	r := &Rejection{Reason: d.Reason, RetryAfter: d.RetryAfter}
	if d.By != nil {
		r.Kind, r.Policy = d.By.Kind, d.By.Name
	}
	return r
}
