package fallback

import (
	"context"
	"errors"
	"fmt"
)

// Step is one place to ask for an answer when those before it have failed.
type Step[T any] struct {
	// By is the step's policy. Required. Steps with the same policy share its Limit and its counts.
	By *Fallback
	// Run answers. before is the last error there is: of the step before, or of what the chain was called with. ctx is done
	// when the step's Timeout is over and when Run has returned. Required.
	Run func(ctx context.Context, before error) (T, error)
}

// Chain is an order of steps. It is wiring, and read only: any number of calls may use one at once. The empty Chain just
// runs the call.
type Chain[T any] []Step[T]

// Validate reports every step without a policy or a function, each by its number, the first being 1. Do asks it too.
func (c Chain[T]) Validate() error {
	for i := range c {
		if c[i].By == nil || c[i].Run == nil {
			return c.faults()
		}
	}
	return nil
}

func (c Chain[T]) faults() error {
	var faults []error
	for i := range c {
		if c[i].By == nil {
			faults = append(faults, fmt.Errorf("fallback: step %d has no policy: By is nil", i+1))
		}
		if c[i].Run == nil {
			faults = append(faults, fmt.Errorf("fallback: step %d has no function: Run is nil", i+1))
		}
	}
	return errors.Join(faults...)
}

// From says where an answer came from.
type From struct {
	Step  string // the name of the step's policy; empty for fn itself
	Index int    // the step's number in the chain, the first being 1; 0 for fn itself
	Err   error  // what the others before it said, joined in order; nil for fn itself
}

// Do runs fn, and if it fails the steps of c in order, until one has an answer. It blocks as long as they do, each step no
// longer than its Timeout if it heeds its context.
//
// Errors: fn's own, untouched, if no step ran or was full; else all of them, joined in order (see package doc). Those of
// Validate, and a nil fn, before anything has run.
//
// A panic or runtime.Goexit in fn or in a step goes on untouched. Do itself allocates nothing while fn succeeds.
func Do[T any](ctx context.Context, c Chain[T], fn func(context.Context) (T, error)) (T, error) {
	v, _, err := DoFrom(ctx, c, fn)
	return v, err
}

// DoFrom is Do, and says where the answer came from. On error From says nothing.
func DoFrom[T any](ctx context.Context, c Chain[T], fn func(context.Context) (T, error)) (v T, from From, err error) {
	if fn == nil {
		return v, from, errNoFunction
	}
	if err := c.Validate(); err != nil {
		return v, from, err
	}
	if v, err = fn(ctx); err == nil || len(c) == 0 {
		return v, from, err
	}
	return c.fall(ctx, v, err)
}

// fall asks the steps, after fn has failed.
func (c Chain[T]) fall(ctx context.Context, v T, first error) (T, From, error) {
	var more []error // those of steps
	last := first
	for i := range c {
		if ctx.Err() != nil {
			break
		}
		s, next := c[i].By.enter(ctx, last)
		switch next {
		case full:
			last = rejection(s)
			more = append(more, last)
		case run:
			answer, err := c[i].run(ctx, s, last)
			if err == nil {
				return answer, From{Step: s.Policy.Name, Index: i + 1, Err: join(first, more)}, nil
			}
			last = err
			more = append(more, last)
		}
	}
	if more != nil {
		var zero T
		v = zero
	}
	return v, From{}, join(first, more)
}

// run runs a step that has been entered.
func (st *Step[T]) run(ctx context.Context, s *settings, before error) (v T, err error) {
	cancel, answered := nothing, false
	defer func() {
		cancel()
		st.By.leave(answered)
	}()
	inner, cancel := bound(ctx, s)
	if v, err = st.Run(inner, before); err != nil {
		return v, st.By.wrap(inner, s, err)
	}
	answered = true
	return v, nil
}

// join is errors.Join, but a single error stays as it is.
func join(first error, more []error) error {
	if more == nil {
		return first
	}
	return errors.Join(append([]error{first}, more...)...)
}
