package batch

import (
	"errors"
	"fmt"
)

// ErrClosed is what Do returns, wrapped, once Close has been called.
var ErrClosed = errors.New("closed")

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
