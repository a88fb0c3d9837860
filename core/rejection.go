package core

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// Reason says why a guard rejected a call, or in shadow mode would have. Zero is admitted.
type Reason uint8

// The reasons. Each has one sentinel error of the same name; see the Err variables.
const (
	_               Reason = iota
	ReasonOpen             // breaker: open after failures
	ReasonProbing          // breaker: half-open and every probe is taken
	ReasonForced           // breaker: an operator or the configuration holds it open
	ReasonLimited          // ratelimit: no token left
	ReasonTooCostly        // ratelimit, bulkhead: the call costs more than can ever be available
	ReasonFull             // bulkhead: no slot free and no place in the queue
	ReasonWaited           // waited as long as the policy allows
	ReasonTooLong          // the predicted wait is longer than the policy or the caller's deadline allows
	ReasonLeft             // the caller was cancelled while it waited
	ReasonExpired          // the caller's deadline passed while it waited
	ReasonShed             // adaptive: shed to protect the rest
	reasons
)

// shadow marks a reason that was not acted on.
const shadow Reason = 0x80

// Shadow reports whether the policy is in shadow mode and let the call through all the same.
func (r Reason) Shadow() bool { return r&shadow != 0 }

// InShadow returns r marked as not acted on. For machines.
func (r Reason) InShadow() Reason { return r | shadow }

// Base returns r without the shadow mark.
func (r Reason) Base() Reason { return r &^ shadow }

// The sentinels, one a reason, for errors.Is. ErrRejected matches every rejection.
var (
	ErrRejected  = errors.New("rejected")
	ErrOpen      = errors.New("open")
	ErrProbing   = errors.New("half-open and probing")
	ErrForced    = errors.New("forced open")
	ErrLimited   = errors.New("rate limited")
	ErrTooCostly = errors.New("costs more than the limit")
	ErrFull      = errors.New("full")
	ErrWaited    = errors.New("waited too long")
	ErrTooLong   = errors.New("would wait too long")
	ErrLeft      = errors.New("canceled while waiting")
	ErrExpired   = errors.New("deadline passed while waiting")
	ErrShed      = errors.New("shed")
)

var reasonTable = [reasons]struct {
	name  string
	err   error
	cause error
}{
	0:               {"admitted", nil, nil},
	ReasonOpen:      {"open", ErrOpen, nil},
	ReasonProbing:   {"probing", ErrProbing, nil},
	ReasonForced:    {"forced_open", ErrForced, nil},
	ReasonLimited:   {"limited", ErrLimited, nil},
	ReasonTooCostly: {"too_costly", ErrTooCostly, nil},
	ReasonFull:      {"full", ErrFull, nil},
	ReasonWaited:    {"waited", ErrWaited, nil},
	ReasonTooLong:   {"too_long", ErrTooLong, nil},
	ReasonLeft:      {"left", ErrLeft, context.Canceled},
	ReasonExpired:   {"expired", ErrExpired, context.DeadlineExceeded},
	ReasonShed:      {"shed", ErrShed, nil},
}

// String returns the name used in logs and metrics, without the shadow mark.
func (r Reason) String() string {
	if b := r.Base(); b < reasons {
		return reasonTable[b].name
	}
	return "unknown"
}

// Err returns the reason's sentinel; nil for zero.
func (r Reason) Err() error {
	if b := r.Base(); b < reasons {
		return reasonTable[b].err
	}
	return ErrRejected
}

// Rejection is the error of a call that a guard did not admit. It is known by its Go type: every guard outside the one
// that made it classifies it as Ignored, and no retry of this module repeats it unless told to. errors.Is matches
// ErrRejected, the sentinel of its Reason, and context.Canceled or context.DeadlineExceeded if that is what ended its
// wait. Immutable.
type Rejection struct {
	Kind       Kind
	Policy     string // the policy's name
	Reason     Reason
	RetryAfter time.Duration // 0 unknown; Never if it never will be admitted
}

// Error returns such as `breaker "payments": open, retry after 4.2s`.
func (e *Rejection) Error() string {
	text := string(e.Kind) + " " + strconv.Quote(e.Policy) + ": "
	if err := e.Reason.Err(); err != nil {
		text += err.Error()
	} else {
		text += ErrRejected.Error()
	}
	if e.RetryAfter > 0 && e.RetryAfter != Never {
		text += ", retry after " + e.RetryAfter.Round(time.Millisecond).String()
	}
	return text
}

// Is reports whether target is ErrRejected or the sentinel of the reason.
func (e *Rejection) Is(target error) bool {
	return target != nil && (target == ErrRejected || target == e.Reason.Err())
}

// Unwrap returns context.Canceled or context.DeadlineExceeded if that ended the wait, else nil.
func (e *Rejection) Unwrap() error {
	if b := e.Reason.Base(); b < reasons {
		return reasonTable[b].cause
	}
	return nil
}
