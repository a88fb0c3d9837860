package breaker

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// The tests of this file and of listener_test.go are named for what goes wrong in other breakers.

var (
	errDown = errors.New("down")
	strict  = Config{MinCalls: 1, Jitter: core.None, OpenFor: 10 * time.Second, Probes: 1}
)

// run is Do with a result of no interest.
func run(ctx context.Context, b *Breaker, fn func(context.Context) error) error {
	_, err := Do(ctx, b, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

func fails(context.Context) error { return errDown }
func works(context.Context) error { return nil }

// failsafe-go: a panic inside a half-open probe never gave its permit back, and with the one place it had by default
// the breaker rejected everything for ever.
func TestD01_PanicInProbeGivesThePlaceBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, strict, Hooks{})
		_ = run(bg, b, fails)
		time.Sleep(10 * time.Second)
		func() {
			defer func() {
				if r := recover(); r != "boom" {
					t.Errorf("recovered %v, want the panic itself", r)
				}
			}()
			_ = run(bg, b, func(context.Context) error { panic("boom") })
		}()
		if s := b.Snapshot(); s.State != Open || s.Probing != 0 || s.Outcomes[core.Failure] != 2 {
			t.Errorf("after the panic: %+v, want open again by a failure", s)
		}
		time.Sleep(10 * time.Second)
		if err := run(bg, b, works); err != nil {
			t.Errorf("the next probe: %v", err)
		}
		wantState(t, b, Closed)
	})
}

// failsafe-go: a success that began before the breaker opened, arriving while the real probe was still running, closed
// it.
func TestD03_SuccessOfAnEarlierEraDoesNotClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, strict, Hooks{})
		stale, staleToo := enter(t, b), enter(t, b)
		call(b, core.Failure)
		stale.Done(0, core.Success)
		wantState(t, b, Open)
		time.Sleep(10 * time.Second)
		probe := enter(t, b)
		staleToo.Done(0, core.Success)
		wantState(t, b, HalfOpen)
		wantReason(t, call(b, core.Success), core.ReasonProbing) // nor has it made room for another probe
		probe.Done(0, core.Failure)
		wantState(t, b, Open)
		if got := b.Snapshot().Outcomes[core.Success]; got != 2 {
			t.Errorf("%d successes in the lifetime count, want 2", got)
		}
	})
}

// The same for a probe given up as lost, whose answer comes while the next probe is running.
func TestD03_LateProbeDoesNotVoteForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, strict, Hooks{})
		b.Trip(time.Second)
		time.Sleep(time.Second)
		lost := enter(t, b)
		time.Sleep(10 * time.Second)
		wantReason(t, call(b, core.Success), core.ReasonOpen)
		time.Sleep(10 * time.Second)
		probe := enter(t, b)
		lost.Done(0, core.Success)
		wantState(t, b, HalfOpen)
		wantReason(t, b.Peek(core.Call{}), core.ReasonProbing)
		probe.Done(0, core.Success)
		wantState(t, b, Closed)
	})
}

// failsafe-go: one caller that gave up tripped the default breaker, before the call or during it; gobreaker needed ten.
func TestD13_CallersWhoGiveUpNeverTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, Config{MinCalls: 1, ConsecutiveFailures: 1}, Hooks{})
		gone, cancel := context.WithCancel(bg)
		cancel()
		for range 50 {
			_ = run(gone, b, func(ctx context.Context) error { return ctx.Err() })                               // before
			_ = run(gone, b, func(context.Context) error { return errors.New("driver: query was interrupted") }) // in its words
			_ = run(bg, b, func(context.Context) error { return fmt.Errorf("get: %w", gone.Err()) })             // a closure's context
			ctx, stop := context.WithTimeout(bg, time.Second)
			_ = run(ctx, b, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }) // the caller's deadline
			stop()
			ctx, stop = context.WithCancel(bg)
			time.AfterFunc(time.Second, stop)
			_ = run(ctx, b, func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }) // during
		}
		if s := b.Snapshot(); s.State != Closed || s.Bad != 0 || s.Outcomes[core.Canceled] != 200 || s.Outcomes[core.Expired] != 50 {
			t.Errorf("state %v, %d bad, outcomes %v", s.State, s.Bad, s.Outcomes)
		}
		ctx, stop := context.WithTimeoutCause(bg, time.Second, core.ErrTimeout)
		defer stop()
		_ = run(ctx, b, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		wantState(t, b, Open) // our own limit is another matter
	})
}

// A caller that gives up gives its probe's place back too.
func TestD13_CanceledProbeIsNeutral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, strict, Hooks{})
		b.Trip(time.Second)
		time.Sleep(time.Second)
		for range 100 {
			wantReason(t, call(b, core.Canceled), 0)
			wantReason(t, call(b, core.Expired), 0)
		}
		wantState(t, b, HalfOpen)
		call(b, core.Success)
		wantState(t, b, Closed)
	})
}

// failsafe-go: time was the wall clock's, so a step back of NTP froze the open state and a step forward cleared windows.
// Here the one reading of a clock is in package core, and monotonic.
func TestD18_NoWallClock(t *testing.T) {
	banned := map[string]bool{"Now": true, "Unix": true, "UnixNano": true, "UnixMilli": true, "Since": true, "Until": true}
	for _, dir := range []string{"..", ".", "../internal/window", "../internal/stripe", "../internal/feed", "../internal/live"} {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(names) == 0 {
			t.Fatal(dir, err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") || filepath.Clean(name) == "../time.go" {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok && banned[sel.Sel.Name] {
					if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" || sel.Sel.Name[0] == 'U' && sel.Sel.Name != "Until" {
						t.Errorf("%s reads a clock: %v", name, sel.Sel.Name)
					}
				}
				return true
			})
		}
	}
	src, err := os.ReadFile("../time.go")
	if err != nil {
		t.Fatal(err)
	}
	if s := string(src); strings.Count(s, "time.Now()") != 1 || strings.Count(s, "time.Since(epoch)") != 1 || strings.Contains(s, "Round(") {
		t.Error("core/time.go reads the clock otherwise than by time.Since on a monotonic epoch")
	}
}

// gobreaker: runtime.Goexit in a probe (t.FailNow calls it) left it half-open and refusing for ever.
func TestD19_GoexitInProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, strict, Hooks{})
		_ = run(bg, b, fails)
		time.Sleep(10 * time.Second)
		go func() { _ = run(bg, b, func(context.Context) error { runtime.Goexit(); return nil }) }()
		synctest.Wait()
		wantState(t, b, Open)
		time.Sleep(10 * time.Second)
		if err := run(bg, b, works); err != nil {
			t.Error(err)
		}
		wantState(t, b, Closed)
	})
}

// gobreaker: the same by a probe that never returns. Here it has a lease.
func TestD19_ProbeThatNeverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, strict, Hooks{})
		_ = run(bg, b, fails)
		time.Sleep(10 * time.Second)
		lost := enter(t, b)
		time.Sleep(10*time.Second - time.Nanosecond)
		wantReason(t, call(b, core.Success), core.ReasonProbing)
		time.Sleep(time.Nanosecond)
		wantReason(t, call(b, core.Success), core.ReasonOpen) // given up: it backs off and probes again
		if s := b.Snapshot(); s.Cause != "probe lost" {
			t.Errorf("opened by %q", s.Cause)
		}
		time.Sleep(10 * time.Second)
		wantReason(t, call(b, core.Success), 0)
		wantState(t, b, Closed)
		lost.Done(0, core.Failure)
		wantState(t, b, Closed)
	})
}

// gobreaker: with rolling buckets its ConsecutiveFailures decayed, so that 20 failures in a row, five buckets apart,
// never made 5.
func TestD21_FailuresInARowFarApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, Config{ConsecutiveFailures: 5}, Hooks{})
		for range 4 {
			call(b, core.Failure)
			time.Sleep(24 * time.Hour)
		}
		call(b, core.Canceled) // says nothing of the dependency
		wantState(t, b, Closed)
		call(b, core.Failure)
		wantState(t, b, Open)
	})
}

// mercari: half-open concurrency was unbounded, all of 100 concurrent callers got through; and each closed breaker had
// a goroutine that nothing ended.
func TestD22_ConcurrentProbesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		b := mustNew(t, Config{MinCalls: 1, Jitter: core.None, OpenFor: 10 * time.Second}, Hooks{})
		if after := runtime.NumGoroutine(); after > before {
			t.Errorf("New started %d goroutines", after-before)
		}
		_ = run(bg, b, fails)
		time.Sleep(10 * time.Second)
		var running, most, ran, rejected atomic.Int64
		for range 100 {
			go func() {
				err := run(bg, b, func(context.Context) error {
					most.Store(max(most.Load(), running.Add(1)))
					defer running.Add(-1)
					ran.Add(1)
					time.Sleep(time.Second)
					return nil
				})
				if errors.Is(err, core.ErrProbing) {
					rejected.Add(1)
				}
			}()
		}
		synctest.Wait()
		if most.Load() != 2 || ran.Load() != 2 || rejected.Load() != 98 {
			t.Errorf("%d at once, %d in all, %d rejected; want 2, 2, 98", most.Load(), ran.Load(), rejected.Load())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if s := b.Snapshot(); s.State != HalfOpen || s.Probing != 0 {
			t.Errorf("%v with %d probes, want half-open with none", s.State, s.Probing)
		}
	})
}

// sentinel-golang: completions were judged by the state at completion, not by the one the call began in.
func TestD23_JudgedByTheEraOfTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, strict, Hooks{})
		ofClosed, alsoOfClosed := enter(t, b), enter(t, b)
		b.Trip(time.Second)
		time.Sleep(time.Second)
		probe := enter(t, b)
		ofClosed.Done(0, core.Failure) // half-open: not its verdict
		wantState(t, b, HalfOpen)
		probe.Done(0, core.Success)
		wantState(t, b, Closed)
		alsoOfClosed.Done(0, core.Failure) // closed again, but not the closed it began in
		wantState(t, b, Closed)
		if s := b.Snapshot(); s.Bad != 0 || s.InARow != 0 || s.Outcomes[core.Failure] != 2 {
			t.Errorf("%d bad, %d in a row, outcomes %v", s.Bad, s.InARow, s.Outcomes)
		}
	})
}
