// Package pushback reads what an error says of further attempts at the call that it ended.
package pushback

import (
	"errors"
	"time"
)

// Permanent reports whether err says that another attempt is of no use: whether the first error in its chain that has a
// method Permanent() bool returns true.
func Permanent(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Permanent() bool
	}](err)
	return ok && e.Permanent()
}

// After is how long err asks to wait before another attempt: what the first error in its chain that has a method
// RetryAfter() time.Duration returns. 0 is no wish, below 0 there must be no other attempt.
func After(err error) time.Duration {
	if e, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		return e.RetryAfter()
	}
	return 0
}
