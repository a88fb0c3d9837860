package retry

import (
	"context"
	"errors"
	"strconv"

	"github.com/mw-go/mw/core"
)

// Reason says why there was no further attempt. Zero is none.
type Reason uint8

// The reasons. Each has a sentinel error; see Reason.Err.
const (
	_                  Reason = iota
	ReasonAttempts            // MaxAttempts were made
	ReasonNotRetryable        // the outcome, or Hooks.Retryable, says that another attempt is of no use
	ReasonPermanent           // the error or Hooks.Backoff says not to retry
	ReasonRejected            // a guard of this module rejected the call
	ReasonBudget              // the budget has no token
	ReasonNested              // a retry further out is already repeating this call
	ReasonHint                // the server asks to wait longer than MaxHint
	ReasonDeadline            // the caller's deadline would pass before the next attempt
	ReasonLeft                // the caller was cancelled
	ReasonExpired             // the caller's deadline passed
	reasons
)

// Reasons is how many reasons there are with zero, for arrays indexed by one.
const Reasons = int(reasons)

// The sentinels, for errors.Is. ErrNested is ErrBudget too: an inner retry sees an exhausted budget. ReasonRejected has
// core.ErrRejected, ReasonLeft context.Canceled and ReasonExpired context.DeadlineExceeded.
var (
	ErrAttempts     = errors.New("no attempts left")
	ErrNotRetryable = errors.New("not retryable")
	ErrPermanent    = errors.New("told not to retry")
	ErrBudget       = errors.New("retry budget exhausted")
	ErrNested       = errors.New("retried further out")
	ErrHint         = errors.New("asked to wait too long")
	ErrDeadline     = errors.New("deadline too near")
)

var errNoFunction = errors.New("retry: nil function")

var reasonTable = [reasons]struct {
	name string
	err  error
}{
	0:                  {"none", nil},
	ReasonAttempts:     {"attempts", ErrAttempts},
	ReasonNotRetryable: {"not_retryable", ErrNotRetryable},
	ReasonPermanent:    {"permanent", ErrPermanent},
	ReasonRejected:     {"rejected", core.ErrRejected},
	ReasonBudget:       {"budget", ErrBudget},
	ReasonNested:       {"nested", ErrNested},
	ReasonHint:         {"hint", ErrHint},
	ReasonDeadline:     {"deadline", ErrDeadline},
	ReasonLeft:         {"left", context.Canceled},
	ReasonExpired:      {"expired", context.DeadlineExceeded},
}

// String returns the name used in logs and metrics.
func (r Reason) String() string {
	if r < reasons {
		return reasonTable[r].name
	}
	return "unknown"
}

// Err returns the reason's sentinel; nil for zero.
func (r Reason) Err() error {
	if r < reasons {
		return reasonTable[r].err
	}
	return nil
}

// Error is the error of a call that failed for good. It unwraps to the last real error; errors.Is also matches the
// sentinel of the Reason and what the Cause matches. Immutable.
type Error struct {
	Policy   string // the retry's name
	Attempts int    // made, the first one included
	Reason   Reason // why there was no further one
	Last     error  // of the last attempt; nil if there was none
	// Cause is the context's cause if the caller is gone, and core.ErrTimeout if AttemptTimeout ended the last attempt;
	// else nil.
	Cause error
}

// Error returns such as `retry "payments": no attempts left after 3 attempts: connection refused`.
func (e *Error) Error() string {
	text := string(core.KindRetry) + " " + strconv.Quote(e.Policy) + ": "
	if err := e.Reason.Err(); err != nil {
		text += err.Error()
	} else {
		text += "failed"
	}
	switch e.Attempts {
	case 0:
		text += " before the first attempt"
	case 1:
		text += " after 1 attempt"
	default:
		text += " after " + strconv.Itoa(e.Attempts) + " attempts"
	}
	if e.Last != nil {
		text += ": " + e.Last.Error()
	}
	return text
}

// Unwrap returns Last.
func (e *Error) Unwrap() error { return e.Last }

// Is reports whether target is the sentinel of the reason, or matches Cause.
func (e *Error) Is(target error) bool {
	if target == nil {
		return false
	}
	return target == e.Reason.Err() || e.Reason == ReasonNested && target == ErrBudget || errors.Is(e.Cause, target)
}

// As lets errors.As find what it looks for in Cause.
func (e *Error) As(target any) bool { return e.Cause != nil && errors.As(e.Cause, target) }

// Timeout reports whether the last error was a timeout, as a net.Error does, or the caller's deadline passed.
func (e *Error) Timeout() bool {
	if e.Reason == ReasonExpired {
		return true
	}
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](e.Last)
	return ok && t.Timeout()
}

// Permanent returns err marked as not to be retried, by this retry and by those further out. nil stays nil. An error of
// your own says the same by a method Permanent() bool that returns true.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ error }

func (e *permanentError) Unwrap() error   { return e.error }
func (e *permanentError) Permanent() bool { return true }
