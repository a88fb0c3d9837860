package core

import (
	"context"
	"errors"
)

// Do runs fn under g: it acquires, calls fn with ctx, and settles with the outcome that classify names, also when fn
// panics or calls runtime.Goexit (Canceled if ctx is done by then, else Failure; the panic goes on untouched). A call that is
// not admitted returns a *Rejection and fn does not run. classify nil means Classify; a nil fn is an error. Do itself does
// not allocate.
//
// Each guard's package has a Do of its own that fills in c and classify; this one is for keyed guards and for guards of
// your own.
func Do[T any](ctx context.Context, g Guard, c Call, classify func(context.Context, error) Outcome,
	fn func(context.Context) (T, error),
) (v T, err error) {
	if fn == nil {
		return v, errNoFunction
	}
	if classify == nil {
		classify = Classify
	}
	p, d := g.Acquire(ctx, c)
	if !d.Admitted() {
		return v, d.Err()
	}
	finished, o := false, Failure
	defer func() {
		if finished {
			p.Done(0, o)
		} else {
			abandon(ctx, &p)
		}
	}()
	v, err = fn(ctx)
	o = classify(ctx, err)
	finished = true
	return v, err
}

var errNoFunction = errors.New("core: Do needs a function")

// abandon settles a call that ended by panic or runtime.Goexit. ctx is anybody's code, and may panic too.
func abandon(ctx context.Context, p *Permit) {
	o := Failure
	defer func() { p.Done(0, o) }()
	o = Abandoned(ctx)
}

// Abandoned is the outcome of a call that ended by panic or runtime.Goexit: Canceled if ctx is done, else Failure.
func Abandoned(ctx context.Context) Outcome {
	if ctx.Err() != nil {
		return Canceled
	}
	return Failure
}
