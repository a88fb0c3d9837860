package cache

import (
	"errors"
	"fmt"
)

// ErrClosed is returned by every operation on a cache after Close, and to callers who were waiting for a load then.
var ErrClosed = errors.New("cache: closed")

// ErrNoLoad is returned by Get when it has to load and has been given no load, and Hooks has none either.
var ErrNoLoad = errors.New("cache: no load function")

// ErrKey is returned for a key that is not equal to itself, such as a NaN: nothing could ever be found under it.
var ErrKey = errors.New("cache: a key that is not equal to itself")

// ErrGoexit is what callers get who waited for a load that called runtime.Goexit. The caller who began it exits
// likewise.
var ErrGoexit = errors.New("cache: the load called runtime.Goexit")

// PanicError is what callers get who waited for a load that panicked. The caller who began it panics with it: a panic
// cannot cross from one goroutine to another, so it is carried over with the stack on which it arose.
type PanicError struct {
	Value any    // what the load panicked with
	Stack []byte // of the load's goroutine
}

// Error returns the value and the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("cache: the load panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the value if it is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
