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

// few is how many permits DoAll holds without an allocation.
const few = 8

// DoAll is Do for several guards, which are asked in order: the first that does not admit ends the call, and those that
// had admitted it get their permits back as Ignored. If one made the call wait, those before it are told
// (Decision.Restart). They settle in reverse. Each hears the same outcome. It does not allocate for up to 8 guards.
func DoAll[T any](ctx context.Context, guards []Guard, c Call, classify func(context.Context, error) Outcome,
	fn func(context.Context) (T, error),
) (v T, err error) {
	if classify == nil {
		classify = Classify
	}
	var array [few]Permit
	permits := array[:]
	if len(guards) > few {
		permits = make([]Permit, len(guards))
	}
	began, finished, o := false, false, Ignored
	defer func() {
		if began && !finished {
			o = Abandoned(ctx)
		}
		var now Time
		if len(guards) > 1 {
			now = Now()
		}
		for i := len(guards) - 1; i >= 0; i-- {
			permits[i].Done(now, o) // the zero Permit of a guard that was not asked is a no-op
		}
	}()
	if len(guards) > 1 { // one reading of the clock for all
		c.Now = c.Now.Or()
	}
	for i, g := range guards {
		var d Decision
		permits[i], d = g.Acquire(ctx, c)
		if !d.Admitted() {
			return v, d.Err()
		}
		c.Now = d.Restart(permits[:i], c.Now)
	}
	began = true
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
