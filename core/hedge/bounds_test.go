package hedge

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
)

// The live delay: none until there are samples enough, then the quantile, from Min to Max.
func TestDelayFollowsTheCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := mustNew(t, Config{Ratio: 1, Max: 500 * ms}, Hooks{})
		late := attempts(works(1, time.Second), works(2, ms))
		feed(t, h, 50, works(1, 20*ms))
		if got := do(bg, h, late); got.took != time.Second || h.Snapshot().Delay >= 0 {
			t.Errorf("51 samples: %+v, delay %v", got, h.Snapshot().Delay)
		}
		feed(t, h, 60, works(1, 20*ms))
		got := do(bg, h, late)
		if d := h.Snapshot().Delay; got.v != 2 || got.took != d+ms || d < 20*ms || d > 22*ms {
			t.Errorf("111 samples: %+v, delay %v", got, d)
		}
		// Only the slowest of them move it, and no further than Max.
		feed(t, h, 8, deaf(1, nil, 2*time.Second))
		if d := h.Snapshot().Delay; d != 500*ms {
			t.Errorf("delay %v", d)
		}
		// Failures give no samples, nor do further attempts.
		time.Sleep(time.Minute)
		for range 200 {
			do(bg, h, fails(0, permanent{errDown}, ms))
		}
		time.Sleep(refresh)
		if d := h.Snapshot().Delay; d >= 0 {
			t.Errorf("only failures: delay %v", d)
		}
		feed(t, h, 110, works(1, 0))
		time.Sleep(refresh)
		if d := h.Snapshot().Delay; d != ms {
			t.Errorf("at once: delay %v", d)
		}
	})
}

// The slow ones lose, and the delay must not become a quantile of the rest: it would shrink each time it was taken.
func TestLosersAreCensored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := mustNew(t, Config{Ratio: 1, Burst: 1000}, Hooks{})
		n := 0
		// Every call takes 1ms more than the one before it, up to 100ms, and again; the further attempts answer at once.
		call := func(ctx context.Context) (int, error) {
			if Attempt(ctx) > 1 {
				return 2, nil
			}
			n++
			return works(1, time.Duration(1+n%100)*ms)(ctx)
		}
		for range 5000 {
			do(bg, h, call)
		}
		s := h.Snapshot()
		if share := float64(s.Extra) / float64(s.Admitted); s.Delay < 95*ms || s.Delay > 101*ms || share > 0.06 {
			t.Errorf("delay %v, a share of %.3f extra: it has shrunk from 95ms", s.Delay, share)
		}
		synctest.Wait()
		atRest(t, h)
	})
}

// T2: who finds no token asks again, so that one that a later call brings goes to him who has waited.
func TestAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Config{Delay: 10 * ms, Ratio: 0.5, Burst: 1}
		h := mustNew(t, c, Hooks{})
		slow := attempts(works(1, time.Hour), works(2, time.Minute))
		quick := attempts(works(1, time.Hour), works(2, ms))
		go do(bg, h, slow) // takes the token of the burst
		time.Sleep(100 * ms)
		waits := make(chan ending, 1)
		go func() { waits <- do(bg, h, quick) }() // brings half a token
		time.Sleep(45 * ms)
		if s := h.Snapshot(); s.Extra != 1 || s.Tokens != 0.5 {
			t.Errorf("%+v", s)
		}
		do(bg, h, works(1, 0)) // the other half
		if got := <-waits; got.v != 2 || got.from != (From{2, 2}) || got.took != 51*ms {
			t.Errorf("%+v", got)
		}
		if s := h.Snapshot(); s.Rejected != 0 {
			t.Errorf("%+v", s)
		}
		if got := do(bg, h, works(1, 30*ms)); got.from.Attempts != 1 || h.Snapshot().Rejected != 1 {
			t.Errorf("%+v, %+v", got, h.Snapshot())
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		atRest(t, h)
	})
}

// T2: first after each delay, from five of them on after a quarter of the time for which it has been wished.
func TestAsksLessOften(t *testing.T) {
	for brought, want := range map[time.Duration]time.Duration{
		5 * ms: 10 * ms, 15 * ms: 20 * ms, 45 * ms: 50 * ms, 51 * ms: 62500 * time.Microsecond, 63 * ms: 78125 * time.Microsecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			h := mustNew(t, Config{Delay: 10 * ms, Burst: 1}, Hooks{})
			for h.take(h.live.Load().Derived.rates) { // spends what is there
			}
			time.AfterFunc(brought, func() { h.put(h.live.Load().Derived.rates, token) })
			if got := do(bg, h, attempts(works(1, time.Second), works(2, 0))); got.v != 2 || got.took != want {
				t.Errorf("a token after %v: %+v, want %v", brought, got, want)
			}
			synctest.Wait()
			atRest(t, h)
		})
	}
}

// Calls that must not be made twice never are, however slow they are and however they fail.
func TestNotIdempotent(t *testing.T) {
	type post struct{}
	synctest.Test(t, func(t *testing.T) {
		h := mustNew(t, fixed, Hooks{May: func(ctx context.Context) bool { return ctx.Value(post{}) == nil }})
		made := 0
		for _, ctx := range []context.Context{Once(bg), context.WithValue(Once(bg), post{}, 0), context.WithValue(bg, post{}, 1)} {
			for _, f := range []fn{works(1, time.Hour), fails(0, errDown, 0), fails(0, errDown, time.Second)} {
				made = 0
				got := do(ctx, h, func(ctx context.Context) (int, error) { made++; return f(ctx) })
				if made != 1 || got.from != (From{1, 1}) {
					t.Errorf("made %d times: %+v", made, got)
				}
			}
		}
		if s := h.Snapshot(); s.Extra != 0 || s.Rejected != 0 || s.Admitted != 9 {
			t.Errorf("%+v", s)
		}
		if got := do(bg, h, attempts(fails(0, errDown, 0), works(2, 0))); got.v != 2 {
			t.Errorf("others are: %+v", got)
		}
	})
}

// A caller that will be gone before the delay is over is served in its own goroutine.
func TestNoTimeForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := mustNew(t, fixed, Hooks{})
		for left, want := range map[time.Duration]bool{10 * ms: false, 10*ms + 1: true} {
			ctx, cancel := context.WithTimeout(bg, left)
			own := false
			do(ctx, h, func(inner context.Context) (int, error) { own = inner != ctx; return 1, nil })
			cancel()
			if own != want {
				t.Errorf("%v left: in a goroutine of its own %v", left, own)
			}
		}
	})
}

// The shared Budget is asked for each extra attempt, beside the hedge's own bound; what one refuses the other has back.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, budgetOf(3))
		c := fixed
		c.Burst, c.Ratio = 2, 0.001
		h := mustNew(t, c, Hooks{Budget: b})
		hedged := attempts(fails(0, errDown, 0), works(2, 0))
		for range 2 {
			if got := do(bg, h, hedged); got.v != 2 {
				t.Errorf("%+v", got)
			}
		}
		if got := do(bg, h, hedged); got.err != errDown || got.from != (From{1, 1}) {
			t.Errorf("the own bound: %+v", got)
		}
		if s := b.Snapshot(); s.Balance != 1 || s.Withdrawn != 2 || s.Refused != 0 {
			t.Errorf("%+v", s)
		}
		c.Burst, c.Ratio = 100, 1
		if err := h.Tune(c); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			do(bg, h, works(1, 0))
		}
		if got := do(bg, h, hedged); got.v != 2 {
			t.Errorf("%+v", got)
		}
		tokens := h.Snapshot().Tokens
		ran := false
		got := do(bg, h, func(ctx context.Context) (int, error) { ran = ctx == bg; return 0, errDown })
		if got.err != errDown || !ran || h.Snapshot().Tokens != tokens+1 || h.Snapshot().Rejected != 2 {
			t.Errorf("the Budget is empty at the start: %+v in the caller's goroutine %v, %+v", got, ran, h.Snapshot())
		}
		// It runs out between the start and the delay.
		b.Refund(0)
		got = do(bg, h, func(ctx context.Context) (int, error) { b.Withdraw(0); return works(1, 50*ms)(ctx) })
		if s := h.Snapshot(); got.v != 1 || got.from.Attempts != 1 || s.Tokens != tokens+2 || s.Rejected != 3 || s.Losers != 0 {
			t.Errorf("it runs out: %+v, %+v", got, s)
		}
	})
}

// Who is outermost tells the Budget of its calls: each once, and each attempt when it ends. The others do not.
func TestOutermost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, outermost := range []bool{false, true} {
			b := mustBudget(t, budget.Config{Size: 10, Ratio: 0.5})
			for range 10 {
				b.Withdraw(0)
			}
			b.Refund(0)
			h := mustNew(t, fixed, Hooks{Budget: b, Outermost: outermost})
			want := 1.0
			check := func(what string, moved float64) {
				t.Helper()
				if outermost || moved < 0 {
					want += moved
				}
				if got := b.Snapshot().Balance; got != want {
					t.Errorf("outermost %v, %s: %v tokens, want %v", outermost, what, got, want)
				}
			}
			do(bg, h, works(1, 0))
			check("a success", 0.5)
			do(Once(bg), h, works(1, 0))
			check("one with a single attempt", 0.5)
			do(bg, h, attempts(fails(0, errDown, 0), fails(0, errDown, 0)))
			check("a further attempt that fails", -1)
			b.Refund(0)
			do(bg, h, attempts(deaf(1, nil, time.Minute), works(2, ms)))
			check("one that succeeds", 0.5)
			time.Sleep(time.Hour)
			check("the loser's success is none", 0)
			do(Once(bg), h, panics)
			do(bg, h, panics)
			check("panics", 0)
		}
		// The rule window is funded by calls.
		b := mustBudget(t, budget.Config{Rule: budget.Window, Ratio: 0.5, Reserve: core.None})
		h := mustNew(t, fixed, Hooks{Budget: b, Outermost: true})
		do(bg, h, works(1, 0))
		do(bg, h, attempts(fails(0, errDown, 0), fails(0, errDown, 0)))
		if got := b.Snapshot().Balance; got != 1 {
			t.Errorf("two calls, none hedged: %v tokens", got)
		}
		do(bg, h, attempts(fails(0, errDown, 0), works(2, 0)))
		if got := b.Snapshot(); got.Balance != 0.5 || got.Withdrawn != 1 {
			t.Errorf("and one: %+v", got)
		}
	})
}

// At most MaxStragglers attempts have lost or are bound to, whatever many calls do at once.
func TestMaxStragglers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fixed
		c.MaxStragglers = 5
		h := mustNew(t, c, Hooks{})
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { do(bg, h, attempts(works(1, time.Second), works(2, 500*ms))) })
		}
		time.Sleep(20 * ms)
		if s := h.Snapshot(); s.Losers != 5 || s.Extra != 5 || s.Stragglers != 0 {
			t.Errorf("%+v", s)
		}
		all.Wait()
		synctest.Wait()
		atRest(t, h)
		// After a failure nobody else is under way, and no place is needed.
		for range 5 {
			go do(bg, h, attempts(deaf(1, nil, time.Hour), works(2, ms)))
		}
		started := make(chan ending, 1)
		go func() { started <- do(bg, h, attempts(fails(0, errDown, 50*ms), works(2, ms))) }()
		if got := <-started; got.v != 2 {
			t.Errorf("%+v", got)
		}
		time.Sleep(2 * time.Hour)
	})
}
