package core

import (
	"context"
	"errors"
)

// Outcome says how an admitted call ended, as the adapter classified it. Package doc has the table of what each does to
// each machine. The zero Outcome is Failure: who forgets to say how the call went has not shown that it went well.
type Outcome uint8

// The outcomes.
const (
	Failure  Outcome = iota // the dependency failed: an error, a 5xx, a panic, a bare 503 or Unavailable
	Success                 // it answered, and the answer is no fault of the dependency (a 404 is a success)
	Timeout                 // our own timeout ended it, recognised by context.Cause
	Overload                // it said "too much": 429, 503 with Retry-After, ResourceExhausted
	Expired                 // the caller's own deadline passed
	Canceled                // the caller gave up
	Ignored                 // says nothing about the dependency, such as a rejection by one of our own guards
	outcomes                // how many there are
)

// Outcomes is how many outcomes there are, for arrays indexed by one.
const Outcomes = int(outcomes)

var outcomeNames = [outcomes]string{"failure", "success", "timeout", "overload", "expired", "canceled", "ignored"}

// String returns the lower-case name used in logs and metrics.
func (o Outcome) String() string {
	if o < outcomes {
		return outcomeNames[o]
	}
	return "unknown"
}

// ErrTimeout is the cause (context.Cause) of a context that a timeout of this module ended. It tells our own limit from
// the caller's deadline: both make ctx.Err() context.DeadlineExceeded.
var ErrTimeout = errors.New("mw: timeout")

// Classify is the default of Hooks.Classify. The first line that fits decides:
//
//	err is nil                               Success
//	a *Rejection in the chain                Ignored
//	an error with Outcome() Outcome          what that says: an adapter has classified an answer
//	ErrTimeout in the chain                  Timeout
//	ctx is done, whatever the error          ClassifyDone: Timeout, Expired or Canceled
//	context.Canceled in the chain            Canceled: somebody above us gave up, or one who shared the call
//	context.DeadlineExceeded in the chain    Timeout: a deadline set further down
//	everything else                          Failure
//
// An error that comes back after ctx is done is taken for the doing of ctx although it may not say so: many drivers
// report a cancelled call by an error of their own.
func Classify(ctx context.Context, err error) Outcome {
	if err == nil {
		return Success
	}
	if _, ok := errors.AsType[*Rejection](err); ok {
		return Ignored
	}
	if e, ok := errors.AsType[interface {
		error
		Outcome() Outcome
	}](err); ok {
		return e.Outcome()
	}
	switch {
	case errors.Is(err, ErrTimeout):
		return Timeout
	case ctx.Err() != nil:
		return ClassifyDone(ctx)
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	default:
		return Failure
	}
}

// ClassifyDone is the outcome of a call that its context ended: Timeout for our own limit, Expired for the caller's
// deadline, Canceled for the rest. ctx must be done.
func ClassifyDone(ctx context.Context) Outcome {
	switch {
	case errors.Is(context.Cause(ctx), ErrTimeout):
		return Timeout
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return Expired
	default:
		return Canceled
	}
}
