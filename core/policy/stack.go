package policy

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/timeout"
)

// Stack is policies in the order in which a call passes them. Make one with Set.Stack, or in the recommended order with
// Set.Client and Set.Server; run calls with Do and DoCall. Immutable, safe for concurrent use.
type Stack struct {
	machines []core.Machine
	steps    []step
	classify func(context.Context, error) core.Outcome
}

// step is a runner, or guards that follow each other: they share one reading of the clock.
type step struct {
	guards  []core.Guard
	retry   *retry.Retry
	hedge   *hedge.Hedge
	timeout *timeout.Timeout
}

// Machines returns the machines of the stack, outermost first.
func (s *Stack) Machines() []core.Machine { return slices.Clone(s.machines) }

// Stack returns machines, outermost first, as one stack; they may be of s or not. Any guard, retry, hedge and timeout
// may be in it; fallback, cache and batch take more than a function, and belong around a stack or into its function.
//
// An order or settings that make no sense are refused, each as an *OrderError that says why; package doc has the rules.
// From then on s refuses to be tuned to such settings as well, so that a reload cannot bring them in.
//
// The guards hear the outcome of a call as classify names it; nil means core.Classify. Retries, hedges and timeouts ask
// their own Hooks.Classify.
func (s *Set) Stack(classify func(context.Context, error) core.Outcome, machines ...core.Machine) (*Stack, error) {
	st := &Stack{machines: slices.Clone(machines), classify: classify}
	if len(machines) == 0 {
		return nil, errors.New("policy: a stack of no machines")
	}
	for i, m := range machines {
		if m == nil || reflect.ValueOf(m).Kind() == reflect.Pointer && reflect.ValueOf(m).IsNil() {
			return nil, fmt.Errorf("policy: machine %d of the stack is nil", i+1)
		}
		if !st.add(m) {
			return nil, fmt.Errorf("policy: %s cannot be part of a stack: it takes more than a function", title(m))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := st.faults(s, s.config); err != nil {
		return nil, err
	}
	s.stacks = append(s.stacks, st)
	return st, nil
}

func (s *Stack) add(m core.Machine) bool {
	switch m := m.(type) {
	case *retry.Retry:
		s.steps = append(s.steps, step{retry: m})
	case *hedge.Hedge:
		s.steps = append(s.steps, step{hedge: m})
	case *timeout.Timeout:
		s.steps = append(s.steps, step{timeout: m})
	case core.Guard:
		if n := len(s.steps); n == 0 || s.steps[n-1].guards == nil {
			s.steps = append(s.steps, step{})
		}
		last := &s.steps[len(s.steps)-1]
		last.guards = append(last.guards, m)
	default:
		return false
	}
	return true
}

// title is such as `breaker "payments"`.
func title(m core.Machine) string {
	p := m.Status().Policy
	return fmt.Sprintf("%s %q", p.Kind, p.Name)
}

var errNilFunc = errors.New("policy: nil function")

// Do runs fn behind the policies of s and returns what they make of it: the result, a *core.Rejection, a *retry.Error, and
// so on. fn may run several times, and with a hedge at the same time. Panic and runtime.Goexit go through all layers, which
// give back what they hold. A nil fn is an error. A stack of guards alone allocates nothing.
func Do[T any](ctx context.Context, s *Stack, fn func(context.Context) (T, error)) (T, error) {
	return DoCall(ctx, s, core.Call{}, fn)
}

// DoCall is Do for a call that the guards are told of: its key for those that are keyed, its cost, its class.
func DoCall[T any](ctx context.Context, s *Stack, c core.Call, fn func(context.Context) (T, error)) (v T, err error) {
	if fn == nil {
		return v, errNilFunc
	}
	return run(ctx, s, 0, c, fn)
}

// run runs fn behind the steps from number at on.
func run[T any](ctx context.Context, s *Stack, at int, c core.Call, fn func(context.Context) (T, error)) (T, error) {
	if at == len(s.steps) {
		return fn(ctx)
	}
	next := fn
	if at+1 < len(s.steps) {
		next = func(ctx context.Context) (T, error) {
			c := c
			c.Now = 0 // the call's is that of the first step; by now it is later
			return run(ctx, s, at+1, c, fn)
		}
	}
	switch st := &s.steps[at]; {
	case st.retry != nil:
		return retry.Do(ctx, st.retry, next)
	case st.hedge != nil:
		return hedge.Do(ctx, st.hedge, next)
	case st.timeout != nil:
		return timeout.Do(ctx, st.timeout, next)
	default:
		return core.DoAll(ctx, st.guards, c, s.classify, next)
	}
}
