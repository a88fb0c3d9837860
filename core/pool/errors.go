package pool

import (
	"errors"
	"fmt"
)

// ErrClosed is what Acquire and Do return, wrapped, once Close has been called.
var ErrClosed = errors.New("closed")

// ErrGoexit is the Err of a CreateError when Hooks.Create called runtime.Goexit.
var ErrGoexit = errors.New("runtime.Goexit was called")

// CreateError is what Acquire returns when the resource that it waited for could not be created. Unwrap gives what
// Hooks.Create returned, a *PanicError, ErrGoexit, or core.ErrTimeout if it did not return in time.
type CreateError struct {
	Pool string // the pool's name
	Err  error
}

// Error returns such as `pool "db": create: connection refused`.
func (e *CreateError) Error() string { return fmt.Sprintf("pool %q: create: %v", e.Pool, e.Err) }

// Unwrap returns Err.
func (e *CreateError) Unwrap() error { return e.Err }

// PanicError is a panic of Hooks.Create, carried from its goroutine to the caller that waits.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // the stack at that place, as runtime/debug.Stack formats it
}

// Error returns the value; the stack is for logs.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
