package core

import "context"

// Do runs fn under g: it acquires, calls fn with ctx, and settles with the outcome that classify names, also when fn
// panics or calls runtime.Goexit (Canceled if ctx is done by then, else Failure; the panic goes on untouched). A call that is
// not admitted returns a *Rejection and fn does not run. classify nil means Classify. Do itself does not allocate.
//
// Each guard's package has a Do of its own that fills in c and classify; this one is for keyed guards and for guards of
// your own.
func Do[T any](ctx context.Context, g Guard, c Call, classify func(context.Context, error) Outcome,
	fn func(context.Context) (T, error),
) (v T, err error) {
	if classify == nil {
		classify = Classify
	}
	p, d := g.Acquire(ctx, c)
	if !d.Admitted() {
		return v, d.Err()
	}
	finished, o := false, Failure
	defer func() {
		if !finished {
			o = Abandoned(ctx)
		}
		p.Done(0, o)
	}()
	v, err = fn(ctx)
	o = classify(ctx, err)
	finished = true
	return v, err
}

// Abandoned is the outcome of a call that ended by panic or runtime.Goexit: Canceled if ctx is done, else Failure.
func Abandoned(ctx context.Context) Outcome {
	if ctx.Err() != nil {
		return Canceled
	}
	return Failure
}
