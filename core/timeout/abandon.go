package timeout

import (
	"context"
	"runtime"

	"github.com/mw-go/mw/core"
)

// Abandoned tells how a function ended that DoAbandoning had left.
type Abandoned struct {
	By    *core.Policy // the policy that it ran under
	Value any          // what it returned, of the type of that call
	Err   error
	Panic *core.PanicError // its panic, if it ended by one; if it called runtime.Goexit, Value, Err and Panic are all nil
}

// DoAbandoning is Do for a function that may not look at its context: it runs fn in a goroutine of its own, and returns when
// the limit is over or ctx is done, with an *Error or ctx.Err(), whether or not fn has returned. Then fn is left
// behind: what it captured must bear being used after DoAbandoning has returned, which is why the caller chooses this
// form and no setting does. Never leave a function that writes to something of its caller, such as a
// http.ResponseWriter.
//
// How a function left behind ends, Hooks.OnAbandoned hears. At most MaxAbandoned may run: when so many do, a call
// whose time is over waits, for its function or for one of the others to end. It is not turned away at the door:
// functions that hang for ever could then, one by one, close the service.
//
// A panic in fn before that is a panic of DoAbandoning, with a *core.PanicError, and runtime.Goexit in fn is one
// in the caller's goroutine. Later they end fn's goroutine alone, and are counted.
//
// In shadow and disabled mode nothing is cut short: fn runs in the caller's goroutine.
func DoAbandoning[T any](ctx context.Context, t *Timeout, fn func(context.Context) (T, error)) (v T, err error) {
	if fn == nil { // what follows is not shared with Do, where fn must not escape
		return v, errNoFunction
	}
	a, inner, cancel, err := t.begin(ctx)
	if err != nil {
		return v, err
	}
	finished := false
	defer func() {
		if !finished {
			a.Done(0, core.Abandoned(inner))
		}
		cancel()
	}()
	if a.by.Mode == core.Enforce {
		v, err = detach(inner, &a, fn)
	} else {
		v, err = fn(inner)
	}
	o, err := a.Judge(inner, err)
	finished = true
	a.Done(0, o)
	return v, err
}

// flight is a Detached with what came of it.
type flight[T any] struct {
	*Detached

	// Written by the function's goroutine before ended is closed.
	value T
	err   error
	exit  exit
	panic *core.PanicError
}

// exit is the way a function ended.
type exit uint8

const (
	exited exit = iota // by runtime.Goexit, if nothing else is known
	returned
	panicked
)

// detach runs fn in a goroutine of its own until it ends, or ctx is done and there is a place to leave it in.
func detach[T any](ctx context.Context, a *Allowance, fn func(context.Context) (T, error)) (v T, err error) {
	f, done := &flight[T]{Detached: a.Detach()}, ctx.Done()
	go f.run(ctx, a.by, fn)
	if f.Leave(done) {
		return v, ctx.Err()
	}
	switch f.exit {
	case panicked:
		panic(f.panic)
	case exited:
		runtime.Goexit()
	}
	return f.value, f.err
}

func (f *flight[T]) run(ctx context.Context, by *core.Policy, fn func(context.Context) (T, error)) {
	defer f.over(by)
	f.value, f.err = fn(ctx)
	f.exit = returned
}

// over is deferred by run, and recovers: a panic must not end the program when there may be a caller who can handle it.
func (f *flight[T]) over(by *core.Policy) {
	if f.exit != returned {
		if p := recover(); p != nil {
			f.exit, f.panic = panicked, core.Recovered(p)
		}
	}
	if f.end() {
		return
	}
	t := f.t
	defer t.left.give()
	if f.exit != returned {
		t.count.Add(countPanics, 1)
	}
	if t.hooks.OnAbandoned != nil {
		a := Abandoned{By: by, Err: f.err, Panic: f.panic}
		if f.exit == returned {
			a.Value = f.value
		}
		t.hand(a)
	}
}

// hand calls OnAbandoned.
func (t *Timeout) hand(a Abandoned) {
	heard := false
	defer func() {
		if !heard {
			t.count.Add(countPanics, 1)
			_ = recover()
		}
	}()
	t.hooks.OnAbandoned(a)
	heard = true
}
