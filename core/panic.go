package core

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrGoexit is what callers get, perhaps wrapped, whose answer was to come from a function that called runtime.Goexit in
// another goroutine, where it was run for several of them.
var ErrGoexit = errors.New("the function called runtime.Goexit")

// PanicError is what a runner panics with in its caller's goroutine when its function has panicked in another: a panic
// cannot cross from one goroutine to another as it is, so the stack that it came from travels with it. Where a function
// was run for several callers, those get it as their error who did not start it.
type PanicError struct {
	Value any    // of the panic
	Stack []byte // of the goroutine that panicked
}

// Recovered returns the PanicError of a value that recover has just returned; call it in the same deferred function,
// where the stack still shows the panic. A value that is a PanicError already has crossed a goroutine before and comes back
// as it is.
func Recovered(value any) *PanicError {
	if e, ok := value.(*PanicError); ok {
		return e
	}
	return &PanicError{Value: value, Stack: debug.Stack()}
}

// Error returns the value and the stack, so that a program that ends by it prints both.
func (e *PanicError) Error() string { return fmt.Sprintf("%v\n\n%s", e.Value, e.Stack) }

// Unwrap returns the panic's value if that is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
