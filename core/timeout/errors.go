package timeout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
)

// Error is the error of a call that a Timeout ended, and the cause (context.Cause) of its context. errors.Is matches
// core.ErrTimeout, context.DeadlineExceeded and what the function returned. Immutable.
type Error struct {
	Policy string        // the policy's name
	Limit  time.Duration // how long the call might take
	Err    error         // what the function returned; nil if no more than that its context was done, or if it was left behind
}

// Error returns such as `timeout "payments": over after 2s: read tcp: i/o timeout`.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s %q: over after %v", core.KindTimeout, e.Policy, e.Limit)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Is reports whether target is core.ErrTimeout or context.DeadlineExceeded.
func (e *Error) Is(target error) bool {
	return target == core.ErrTimeout || target == context.DeadlineExceeded
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Timeout returns true, as that of net.Error does.
func (e *Error) Timeout() bool { return true }

// with returns the error of a call whose function returned err when its time was over: e itself if err says no more.
func (e *Error) with(err error) error {
	if err == nil || err == error(e) || err == context.DeadlineExceeded {
		return e
	}
	return &Error{Policy: e.Policy, Limit: e.Limit, Err: err}
}

var errNoFunction = errors.New("timeout: the function is nil")
