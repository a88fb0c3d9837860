package pool

import (
	"errors"
	"fmt"
)

// ErrClosed is what Acquire and Do return, wrapped, once Close has been called.
var ErrClosed = errors.New("closed")

// CreateError is what Acquire returns when the resource that it waited for could not be created. Unwrap gives what
// Hooks.Create returned, a *core.PanicError, core.ErrGoexit, or core.ErrTimeout if it did not return in time.
type CreateError struct {
	Pool string // the pool's name
	Err  error
}

// Error returns such as `pool "db": create: connection refused`.
func (e *CreateError) Error() string { return fmt.Sprintf("pool %q: create: %v", e.Pool, e.Err) }

// Unwrap returns Err.
func (e *CreateError) Unwrap() error { return e.Err }
