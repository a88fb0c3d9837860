package fallback

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
)

// Error is the error of a step that failed. errors.Is matches what its function returned, and core.ErrTimeout and
// context.DeadlineExceeded if the step's Timeout was over by then. Immutable.
type Error struct {
	Step  string        // the name of its policy
	Limit time.Duration // the step's Timeout if that was over, else 0
	Err   error         // what its function returned
}

// Error returns such as `fallback "redis": over after 50ms: i/o timeout`.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s %q: ", core.KindFallback, e.Step)
	if e.Limit > 0 {
		text += fmt.Sprintf("over after %v", e.Limit)
		if e.Err == nil {
			return text
		}
		text += ": "
	}
	return text + e.Err.Error()
}

// Is reports whether target is core.ErrTimeout or context.DeadlineExceeded, and the step's Timeout was over.
func (e *Error) Is(target error) bool {
	return e.Limit > 0 && (target == core.ErrTimeout || target == context.DeadlineExceeded)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

var errNoFunction = errors.New("fallback: the function is nil")
