package core

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// gate is a Guard that says what it is told to say.
type gate struct {
	ledger
	reason Reason
}

func (g *gate) Acquire(_ context.Context, c Call) (p Permit, d Decision) {
	d = g.Peek(c)
	if d.Admitted() {
		p = NewPermit(g, uint32(c.Tokens()), 1)
	}
	return
}

func (g *gate) Peek(Call) Decision {
	return Decision{By: &Policy{Name: "gate"}, Verdict: Verdict{Reason: g.reason}}
}

func (g *gate) want(t *testing.T, lines ...string) {
	t.Helper()
	if !slices.Equal(g.lines, lines) {
		t.Errorf("settled %q, want %q", g.lines, lines)
	}
}

func TestDo(t *testing.T) {
	errDown := errors.New("down")
	type ctxKey struct{}
	ctx := context.WithValue(context.Background(), ctxKey{}, 1)
	g := &gate{}
	v, err := Do(ctx, g, Call{Cost: 3}, nil, func(got context.Context) (string, error) {
		if got != ctx {
			t.Error("another context")
		}
		return "v", errDown
	})
	if v != "v" || err != errDown {
		t.Errorf("%q, %v", v, err)
	}
	g.want(t, "settle 3 1->0 false failure")

	g = &gate{}
	_, err = Do(ctx, g, Call{}, func(context.Context, error) Outcome { return Overload }, func(context.Context) (int, error) { return 0, nil })
	if err != nil {
		t.Error(err)
	}
	g.want(t, "settle 1 1->0 false overload")
}

func TestDoRejected(t *testing.T) {
	g := &gate{reason: ReasonFull}
	v, err := Do(context.Background(), g, Call{}, nil, func(context.Context) (int, error) { t.Error("fn ran"); return 1, nil })
	if v != 0 || !errors.Is(err, ErrFull) {
		t.Errorf("%v, %v", v, err)
	}
	g.want(t)

	g = &gate{reason: ReasonFull.InShadow()}
	v, err = Do(context.Background(), g, Call{}, nil, func(context.Context) (int, error) { return 1, nil })
	if v != 1 || err != nil {
		t.Errorf("in shadow: %v, %v", v, err)
	}
	g.want(t, "settle 1 1->0 false success")
}

func explode(context.Context) (int, error) { panic("boom") }

// A panic goes on untouched: its value, and a stack that still shows where it began.
func TestDoPanic(t *testing.T) {
	g := &gate{}
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v", r)
			}
			if stack := string(debug.Stack()); !strings.Contains(stack, "core.explode") {
				t.Errorf("the stack lost its origin:\n%s", stack)
			}
		}()
		_, _ = Do(context.Background(), g, Call{}, nil, explode)
	}()
	g.want(t, "settle 1 1->0 false failure")

	ctx, cancel := context.WithCancel(context.Background())
	g = &gate{}
	func() {
		defer func() { _ = recover() }()
		_, _ = Do(ctx, g, Call{}, nil, func(context.Context) (int, error) { cancel(); panic("boom") })
	}()
	g.want(t, "settle 1 1->0 false canceled")
}

// bad is a context that panics when it is asked how it is.
type bad struct{ context.Context }

func (bad) Err() error { panic("context") }

// A call that panics gives its permit back though its context panics too. The last panic is the one that goes on.
func TestDoPanicsTwice(t *testing.T) {
	g := &gate{}
	func() {
		defer func() {
			if r := recover(); r != "context" {
				t.Errorf("recovered %v", r)
			}
		}()
		_, _ = Do(bad{context.Background()}, g, Call{}, nil, explode)
	}()
	g.want(t, "settle 1 1->0 false failure")
}

func TestDoNothing(t *testing.T) {
	g := &gate{}
	if v, err := Do[int](context.Background(), g, Call{}, nil, nil); v != 0 || err == nil {
		t.Errorf("%v, %v", v, err)
	}
	g.want(t)
}

func TestDoGoexit(t *testing.T) {
	g, done := &gate{}, make(chan struct{})
	go func() {
		defer close(done)
		_, _ = Do(context.Background(), g, Call{}, nil, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
	}()
	<-done
	g.want(t, "settle 1 1->0 false failure")
}

func TestDoClassifyPanics(t *testing.T) {
	g := &gate{}
	func() {
		defer func() {
			if r := recover(); r != "classify" {
				t.Errorf("recovered %v", r)
			}
		}()
		_, _ = Do(context.Background(), g, Call{}, func(context.Context, error) Outcome { panic("classify") },
			func(context.Context) (int, error) { return 1, nil })
	}()
	g.want(t, "settle 1 1->0 false failure")
}
