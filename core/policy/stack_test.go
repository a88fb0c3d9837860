package policy

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/retry"
)

func titles(st *Stack) (list []string) {
	for _, m := range st.Machines() {
		list = append(list, title(m))
	}
	return list
}

func TestClientOrder(t *testing.T) {
	s := set(t, dependency(), nil)
	p := s.ClientPlan("db")
	st := must[*Stack](t)(s.Client(p))
	want := []string{
		`timeout "db"`, `retry "db"`, `hedge "db"`, `throttle "db"`, `ratelimit "db"`, `breaker "db"`, `bulkhead "db"`,
		`timeout "db-attempt"`,
	}
	if got := titles(st); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	r := must[*retry.Retry](t)(s.Retry("db", retry.Hooks{}))
	h := must[*hedge.Hedge](t)(s.Hedge("db", hedge.Hooks{}))
	if r.Budget() != h.Budget() || h.Outermost() {
		t.Error("retry and hedge do not share a budget")
	}
	if got := titles(must[*Stack](t)(s.Server(s.ServerPlan("db")))); !slices.Equal(got, []string{
		`timeout "db"`, `ratelimit "db"`, `adaptive "db"`, `bulkhead "db"`, `breaker "db"`,
	}) {
		t.Errorf("%q", got)
	}
}

// A plan has what the configuration names, and a hedge without a retry tells the budget itself.
func TestPlansFollowTheConfiguration(t *testing.T) {
	s := set(t, Config{Hedges: map[string]hedge.Config{"a": {}}, Breakers: map[string]breaker.Config{"a": {}, "b": {}}}, nil)
	if p := s.ClientPlan("b"); !reflect.DeepEqual(p, ClientPlan{Breaker: "b"}) {
		t.Errorf("%+v", p)
	}
	st := must[*Stack](t)(s.Client(s.ClientPlan("a")))
	if got := titles(st); !slices.Equal(got, []string{`hedge "a"`, `breaker "a"`}) {
		t.Errorf("%q", got)
	}
	if h := must[*hedge.Hedge](t)(s.Hedge("a", hedge.Hooks{})); !h.Outermost() || h.Budget() == nil {
		t.Error("nobody funds the hedge")
	}
	if _, err := s.Client(s.ClientPlan("c")); err == nil {
		t.Error("an empty plan")
	}
	if _, err := s.Client(ClientPlan{RateLimit: "c"}); err == nil {
		t.Error("a rate limit without a limit")
	}
	if _, err := s.Client(ClientPlan{Retry: "r", Budget: "bad name"}); err == nil {
		t.Error("a budget with a bad name")
	}
}

// A guard that has been asked for as a keyed one is part of the stack, and is told the call's key.
func TestKeyedGuardsInAPlan(t *testing.T) {
	s := set(t, Config{RateLimits: map[string]ratelimit.Config{"api": {Limit: 1, Period: time.Hour}}}, nil)
	must[*ratelimit.Keyed](t)(s.KeyedRateLimit("api", core.Hooks{}))
	st := must[*Stack](t)(s.Server(s.ServerPlan("api")))
	ok := func(context.Context) (int, error) { return 1, nil }
	for _, key := range []string{"a", "b"} {
		if _, err := DoCall(bg, st, core.Call{Key: core.KeyOf(key)}, ok); err != nil {
			t.Error(key, err)
		}
		if _, err := DoCall(bg, st, core.Call{Key: core.KeyOf(key)}, ok); !errors.Is(err, core.ErrRejected) {
			t.Error(key, err)
		}
	}
}

// Each layer sees what it is for: the breaker every attempt, the retry all of them, the timeout the whole.
func TestStackRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dependency()
		c.Retries["db"] = retry.Config{MaxAttempts: 3, Base: 10 * time.Millisecond}
		c.Hedges = nil
		s := set(t, c, nil)
		st := must[*Stack](t)(s.Client(s.ClientPlan("db")))
		calls := 0
		v, err := Do(bg, st, func(ctx context.Context) (int, error) {
			calls++
			if d, ok := ctx.Deadline(); !ok || time.Until(d) != 500*time.Millisecond {
				t.Errorf("an attempt has %v", time.Until(d))
			}
			if calls < 3 {
				return 0, errors.New("down")
			}
			return 42, nil
		})
		if v != 42 || err != nil || calls != 3 {
			t.Error(v, err, calls)
		}
		b := must[*breaker.Breaker](t)(s.Breaker("db", core.Hooks{}))
		if n := b.Snapshot().Admitted; n != 3 {
			t.Errorf("the breaker heard of %d attempts", n)
		}
		_, err = Do(bg, st, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		if !errors.Is(err, core.ErrTimeout) {
			t.Errorf("a hang: %v", err)
		}
		if n := must[*bulkhead.Bulkhead](t)(s.Bulkhead("db", core.Hooks{})).Snapshot().Running; n != 0 {
			t.Errorf("%d slots lost", n)
		}
	})
}

// The hedge makes its attempt through the guards, and the winner answers.
func TestStackHedges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := set(t, dependency(), nil)
		st := must[*Stack](t)(s.Client(s.ClientPlan("db")))
		v, err := Do(bg, st, func(ctx context.Context) (int, error) {
			if n := hedge.Attempt(ctx); n > 1 {
				return n, nil
			}
			<-ctx.Done()
			return 1, ctx.Err()
		})
		if v != 2 || err != nil {
			t.Error(v, err)
		}
		synctest.Wait()
		snap := must[*bulkhead.Bulkhead](t)(s.Bulkhead("db", core.Hooks{})).Snapshot()
		if snap.Running != 0 || snap.Admitted != 2 {
			t.Errorf("%+v", snap)
		}
	})
}

// Panic and Goexit go through all layers, and every slot comes back.
func TestStackPanics(t *testing.T) {
	s := set(t, dependency(), nil)
	st := must[*Stack](t)(s.Client(ClientPlan{Timeout: "db", Retry: "db", Breaker: "db", Bulkhead: "db", AttemptTimeout: "db-attempt"}))
	func() {
		defer func() {
			if p := recover(); p != "boom" {
				t.Errorf("panic %v", p)
			}
		}()
		_, _ = Do(bg, st, func(context.Context) (int, error) { panic("boom") })
	}()
	done := make(chan bool)
	go func() {
		defer close(done)
		_, _ = Do(bg, st, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
		t.Error("it returned")
	}()
	<-done
	if n := must[*bulkhead.Bulkhead](t)(s.Bulkhead("db", core.Hooks{})).Snapshot().Running; n != 0 {
		t.Errorf("%d slots lost", n)
	}
	if _, err := Do[int](bg, st, nil); err == nil {
		t.Error("a nil function")
	}
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, err := Do(ctx, st, func(context.Context) (int, error) { return 1, nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// The guards hear what the plan's Classify says.
func TestStackClassifies(t *testing.T) {
	s := set(t, Config{Breakers: map[string]breaker.Config{"db": {MinCalls: 1}}}, nil)
	p := s.ClientPlan("db")
	p.Hooks.Classify = func(_ context.Context, err error) core.Outcome { return core.Success }
	st := must[*Stack](t)(s.Client(p))
	for range 50 {
		if _, err := Do(bg, st, func(context.Context) (int, error) { return 0, errors.New("not found") }); errors.Is(err, core.ErrRejected) {
			t.Fatal("the breaker opened")
		}
	}
}

func TestStackOfGuardsAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := set(t, dependency(), nil)
	st := must[*Stack](t)(s.Client(ClientPlan{RateLimit: "db", Breaker: "db", Bulkhead: "db"}))
	fn := func(context.Context) (int, error) { return 1, nil }
	if n := testing.AllocsPerRun(200, func() {
		if _, err := Do(bg, st, fn); err != nil && !errors.Is(err, core.ErrRejected) {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	r := must[*Stack](t)(s.Client(ClientPlan{Retry: "db"}))
	if n := testing.AllocsPerRun(200, func() { _, _ = Do(bg, r, fn) }); n != 0 {
		t.Errorf("%v allocations of a retry", n)
	}
}
