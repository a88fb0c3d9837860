package batch

import (
	"errors"
	"fmt"
)

// ErrClosed is what Do returns, wrapped, once Close has been called.
var ErrClosed = errors.New("closed")

// ErrGoexit is what every caller of a batch gets, wrapped, when Hooks.Run called runtime.Goexit.
var ErrGoexit = errors.New("runtime.Goexit was called in Run")

// Errors are the errors of the items of one batch in their order, nil for those that went well. Hooks.Run returns it to
// tell each caller its own; it must be as long as the batch, and the responses too.
type Errors []error

// Error tells how many items failed, and how the first did.
func (e Errors) Error() string {
	failed, first := 0, error(nil)
	for _, err := range e {
		if err != nil {
			if failed++; first == nil {
				first = err
			}
		}
	}
	if first == nil {
		return fmt.Sprintf("none of %d items failed", len(e))
	}
	return fmt.Sprintf("%d of %d items failed, the first: %v", failed, len(e), first)
}

// Unwrap returns the errors that are not nil.
func (e Errors) Unwrap() (failed []error) {
	for _, err := range e {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

// CountError is what every caller of a batch gets when Hooks.Run returned another number of responses, or of Errors,
// than there were items: nobody can say which belongs to whom.
type CountError struct {
	Batch            string // the batcher's name
	Items, Responses int
	Err              error // what Run returned beside them
}

// Error returns such as `batch "users": Run returned 3 responses for 4 items`.
func (e *CountError) Error() string {
	text := fmt.Sprintf("batch %q: Run returned %d responses for %d items", e.Batch, e.Responses, e.Items)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *CountError) Unwrap() error { return e.Err }

// PanicError is a panic of Hooks.Run, carried from its goroutine to every caller of the batch.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // the stack at that place, as runtime/debug.Stack formats it
}

// Error returns the value; the stack is for logs.
func (e *PanicError) Error() string { return fmt.Sprintf("Run panicked: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
