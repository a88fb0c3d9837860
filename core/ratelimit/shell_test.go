package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

var bg = context.Background()

// acquire asks for tokens of a key at a given time.
func acquire(g core.Guard, key, cost int, now core.Time) core.Decision {
	_, d := g.Acquire(bg, core.Call{Now: now, Key: keyOf(key), Cost: uint32(cost)})
	return d
}

func keyOf(i int) core.Key { return core.KeyOfWords(uint64(i), uint64(i>>1)) }

// TestShellEqualsMachine: under one goroutine the limiter is the pure machine, with Tunes, sweeps, keys that come and go,
// and a table of keys that is too small for none of them.
func TestShellEqualsMachine(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 3))
			random := func() Config {
				return Config{
					Limit: 1 + rng.Int64N(1e9)>>rng.UintN(30), Burst: 1 + rng.Int64N(1000), MaxKeys: 100,
				}
			}
			c := random()
			now := core.Now()
			b, l := newBook(t, c, now), keyedLimiter(t, c)
			for range 1500 {
				if rng.IntN(4) == 0 {
					time.Sleep(time.Duration(rng.Int64N(int64(time.Hour)) >> rng.UintN(42)))
				}
				now = core.Now()
				if rng.IntN(8) == 0 {
					c = random()
					if rng.IntN(2) == 0 {
						c = Config{Limit: b.c.Limit, Burst: 1 + rng.Int64N(b.c.Burst), MaxKeys: 100}
					}
					b.virtual(t, now) // the call before would have swept
					b.tune(t, c, now)
					if err := l.Tune(c); err != nil {
						t.Fatal(err)
					}
					continue
				}
				key, cost := rng.IntN(40), 1+rng.Int64N(b.c.Burst)
				peek := l.Peek(core.Call{Key: keyOf(key), Cost: uint32(cost)})
				want, got := b.call(t, key, cost, now), acquire(l, key, int(cost), 0)
				if got.Admitted() != want.ok || got.RetryAfter != want.retry || int64(got.Remaining) != want.left || got.Now != now {
					t.Fatalf("seed %d: got %+v, want %+v", seed, got, want)
				}
				if peek.Admitted() != want.ok || peek.RetryAfter != want.retry {
					t.Fatalf("seed %d: Peek said %+v, Acquire %+v", seed, peek, got)
				}
			}
		})
	}
}

func TestPeekTakesNothing(t *testing.T) {
	l := keyedLimiter(t, Config{Limit: 1, Burst: 2})
	for range 10 {
		if d := l.Peek(core.Call{Key: keyOf(1), Cost: 2, Now: 1}); d.Reason != 0 || d.Remaining != 0 {
			t.Fatalf("%+v", d)
		}
	}
	if n := l.Snapshot().Keys; n != 0 {
		t.Errorf("Peek gave %d keys a cell", n)
	}
	if d := l.Peek(core.Call{Key: keyOf(1), Cost: 3, Now: 1}); d.Reason != core.ReasonTooCostly || d.RetryAfter != core.Never {
		t.Errorf("more than the burst: %+v", d)
	}
	acquire(l, 1, 2, 1)
	if d := l.Peek(core.Call{Key: keyOf(1), Now: 1}); d.Reason != core.ReasonLimited || d.RetryAfter != time.Second {
		t.Errorf("an empty bucket: %+v", d)
	}
}

func TestReasons(t *testing.T) {
	l := limiter(t, Config{Limit: 10, Burst: 2})
	if d := acquire(l, 0, 3, 1); d.Reason != core.ReasonTooCostly || d.RetryAfter != core.Never || d.Remaining != 2 {
		t.Errorf("more than the burst: %+v", d)
	}
	if d := acquire(l, 5, 2, 1); d.Reason != 0 || d.Remaining != 0 {
		t.Errorf("the whole burst: %+v", d)
	}
	d := acquire(l, 6, 1, 1)
	if d.Reason != core.ReasonLimited || d.RetryAfter != 100*time.Millisecond || d.By.Name != "test" {
		t.Errorf("empty: %+v", d)
	}
	if err := d.Err(); !errors.Is(err, core.ErrLimited) || !errors.Is(err, core.ErrRejected) {
		t.Errorf("empty: %v", err)
	}
	if s := l.Snapshot(); s.Admitted != 1 || s.Rejected != 2 || s.Shadowed != 0 {
		t.Errorf("%+v", s.Status)
	}
}

func TestModes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Limit: 1, Burst: 1, MaxWait: time.Hour, Mode: core.Shadow})
		if d := acquire(l, 0, 1, 0); d.Reason != 0 {
			t.Fatalf("shadow, a token is there: %+v", d)
		}
		for range 3 { // a would-be rejection charges nothing
			d := acquire(l, 0, 1, 0)
			if !d.Admitted() || d.Reason.Base() != core.ReasonLimited || d.RetryAfter != time.Second || d.Err() != nil {
				t.Fatalf("shadow, empty: %+v", d)
			}
			if p := l.Peek(core.Call{}); p.Reason != d.Reason {
				t.Fatalf("Peek says %+v, Acquire %+v", p, d)
			}
		}
		if d := acquire(l, 0, 2, 0); d.Reason.Base() != core.ReasonTooCostly || !d.Admitted() {
			t.Errorf("shadow, more than the burst: %+v", d)
		}
		if err := l.Override(core.Disabled, time.Minute); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if d := acquire(l, 0, 1000, 0); d.Reason != 0 || d.Remaining != -1 || l.Peek(core.Call{}).Reason != 0 {
				t.Fatalf("disabled: %+v", d)
			}
		}
		if s := l.Snapshot(); s.Admitted != 8 || s.Shadowed != 4 || s.Rejected != 0 || !s.Overridden {
			t.Errorf("%+v", s.Status)
		}
		if err := l.Tune(Config{Limit: 1, Burst: 1}); err != nil {
			t.Fatal(err)
		}
		if d := acquire(l, 0, 1, 0); d.Reason != 0 || d.By.Mode != core.Disabled {
			t.Errorf("the override did not outlive a Tune: %+v", d)
		}
		time.Sleep(time.Minute)
		acquire(l, 0, 1, 0)
		if d := acquire(l, 0, 1, 0); d.Reason != core.ReasonLimited {
			t.Errorf("enforced again after the override: %+v", d)
		}
	})
}

func TestOverrideRefusesModesOfBreakers(t *testing.T) {
	l := limiter(t, Config{Limit: 1})
	for _, mode := range []core.Mode{core.ForcedOpen, core.ForcedClosed, 77} {
		if err := l.Override(mode, 0); err == nil || !strings.Contains(err.Error(), "enforce|shadow|disabled") {
			t.Errorf("Override(%v): %v", mode, err)
		}
	}
	if err := l.Override(core.Shadow, -1); err == nil {
		t.Error("a negative time is accepted")
	}
}

// TestModeChangeKeepsTheClock: switching the mode, however often, does not slow the clock by the fractions it drops.
func TestModeChangeKeepsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Limit: 1, Period: 24 * time.Hour, Burst: 1})
		acquire(l, 0, 1, 0)
		for range 24 * 60 {
			if err := l.Override(core.Shadow, 0); err != nil {
				t.Fatal(err)
			}
			l.Restore()
			if err := l.Tune(Config{Limit: 1, Period: 24 * time.Hour, Burst: 1, MaxKeys: 5 + len(fmt.Sprint(core.Now()))%2}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute - time.Millisecond)
			if err := l.Override(core.Enforce, 0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
			l.Restore()
		}
		if d := acquire(l, 0, 1, 0); d.Reason != 0 {
			t.Errorf("a day later: %+v", d)
		}
	})
}

// TestTuneIsTimedByItsEnd: what callers take by the old rate while the new settings are on their way is not paid back
// at the new rate: it would lock the key out for as long as that takes.
func TestTuneIsTimedByItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fast, slow := Config{Limit: 1e9, Period: time.Second, Burst: 1}, Config{Limit: 1, Period: time.Second, Burst: 1}
		l := limiter(t, fast)
		open := l.live.Load()
		closing := &settings{Config: slow, Derived: l.derive(open, slow, core.Now())}
		for range 1000 { // by the time that the closed clock is in force, so much has been taken by the open one
			time.Sleep(time.Microsecond)
			now := core.Now()
			v, _ := open.Derived.virtual(now)
			if short, _ := l.charge(open, core.Key{}, now, v, unit); short > 0 {
				t.Fatalf("%d units short", short)
			}
		}
		l.changed(open, closing, core.Now())
		time.Sleep(time.Second / 2)
		k := l.derive(closing, slow, core.Now())
		v, due := k.virtual(core.Now())
		_, short, _ := k.admit(l.own.tat.Load(), v, unit)
		if wait := k.wait(short); due || wait != time.Second/2 {
			t.Errorf("the next call is admitted in %v", wait)
		}
	})
}

// TestTuneInTwoSteps: between the two nobody is decided on by the old settings, and another Tune may come.
func TestTuneInTwoSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Limit: 10, Burst: 10})
		acquire(l, 0, 10, 0)
		put := func(c Config) {
			commit, err := l.live.Prepare(c) // the first step alone
			if err != nil {
				t.Fatal(err)
			}
			commit()
			if !l.live.Load().Derived.closed {
				t.Fatal("the clock is not closed")
			}
		}
		put(Config{Limit: 1, Burst: 10})
		time.Sleep(2 * time.Second)
		put(Config{Limit: 100, Burst: 5})
		time.Sleep(20 * time.Millisecond)
		// 10 owed, 2 paid at 1/s, clamped to 5, 2 paid at 100/s.
		if d := acquire(l, 0, 2, 0); d.Reason != 0 || d.Remaining != 0 || d.By.Burst != 5 {
			t.Errorf("%+v", d)
		}
		put(Config{Limit: 1, Burst: 5})
		if err := l.Override(core.Shadow, time.Second); err != nil {
			t.Fatal(err)
		}
		if l.live.Load().Derived.closed {
			t.Error("the override left the clock closed")
		}
		time.Sleep(time.Second)
		if d := acquire(l, 0, 2, 0); d.Reason != core.ReasonLimited || d.RetryAfter != time.Second {
			t.Errorf("%+v", d)
		}
	})
}

// TestNewKeyStartsWithTheOverflowCellsDebt: a key charged there must not begin anew when it gets a cell of its own.
func TestNewKeyStartsWithTheOverflowCellsDebt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := keyedLimiter(t, Config{Limit: 10, Period: time.Hour, Burst: 10, MaxKeys: 1})
		active := 0
		for l.Snapshot().Overflowed == 0 {
			active++
			acquire(l, active, 1, 0)
		}
		last := active // it was charged 1 in the overflow cell
		if d := acquire(l, last, 9, 0); d.Reason != 0 || d.Remaining != 0 {
			t.Fatalf("in the overflow cell: %+v", d)
		}
		if d := l.Peek(core.Call{Key: keyOf(1_000_000)}); d.Reason == 0 {
			t.Fatalf("a key that would overflow: %+v", d)
		}
		time.Sleep(30 * time.Minute) // the others are idle, the overflow cell owes 5
		if d := acquire(l, last, 6, 0); d.Reason != core.ReasonLimited || d.Remaining != 5 {
			t.Errorf("in its own cell: %+v", d)
		}
		if d := acquire(l, last, 5, 0); d.Reason != 0 {
			t.Errorf("in its own cell: %+v", d)
		}
	})
}

// TestSweepVisitsEveryCell: keyed cells, the zero key's and the overflow cell survive a sweep with their debts.
func TestSweepVisitsEveryCell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := keyedLimiter(t, Config{Limit: 1e9, Burst: 1e9, MaxKeys: 1})
		for range 100 {
			time.Sleep(time.Duration(l.live.Load().Derived.span) - 1)
			before := l.Snapshot().Overflowed
			for key := range 300 {
				acquire(l, key, 1e9, 0)
			}
			if l.Snapshot().Overflowed == before {
				t.Fatal("nobody overflowed")
			}
			time.Sleep(2 * time.Nanosecond)
			for key := range 300 {
				if d := acquire(l, key, 3, 0); d.Reason != core.ReasonLimited || d.RetryAfter != 1 {
					t.Fatalf("key %d just after a sweep: %+v", key, d)
				}
			}
		}
	})
}

// TestIdleCellsThroughManySweeps: a bucket that nobody charges while the clock goes round several times is full.
func TestIdleCellsThroughManySweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Config{Limit: 1e9, Burst: 1e9, MaxKeys: 1}
		plain, keyed := limiter(t, c), keyedLimiter(t, c)
		acquire(plain, 0, 1e9, 0)
		for key := range 300 { // the last of them in the overflow cell
			acquire(keyed, key, 1e9, 0)
		}
		for range 40 {
			time.Sleep(time.Duration(keyed.live.Load().Derived.span) + 1)
			plain.Peek(core.Call{})
			keyed.Peek(core.Call{})
			for key := range 300 {
				if raw := keyed.look(keyOf(key), keyed.live.Load(), keyed.live.Load().Derived.origin); !isIdle(keyed, raw) {
					t.Fatalf("key %d is not idle", key)
				}
			}
		}
		if d := acquire(plain, 0, 1e9, 0); d.Reason != 0 {
			t.Errorf("plain: %+v", d)
		}
		for _, key := range []int{0, 1, 150, 299, 1_000_000} {
			if d := acquire(keyed, key, 1e9, 0); d.Reason != 0 {
				t.Errorf("key %d: %+v", key, d)
			}
			time.Sleep(time.Second)
		}
	})
}

func isIdle(l *Keyed, raw int64) bool {
	s, v := l.moment(core.Now())
	return s.Derived.tat(raw)-v <= 0
}

// TestCellsNeverHaveTheSameValueTwice: or a caller who still holds a cell for its earlier key could charge it.
func TestCellsNeverHaveTheSameValueTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := keyedLimiter(t, Config{Limit: 1e9, Burst: 1})
		time.Sleep(time.Second)
		var c cell
		now := core.Now()
		l.openCell(&c, keyOf(1), now)
		before := c.tat.Load()
		if l.closeCell(&c, now) {
			t.Fatal("a cell is retired at the moment at which it would begin anew")
		}
		if !l.closeCell(&c, now+1) || c.tat.Load() != dead || l.closeCell(&c, now+2) {
			t.Fatal("an idle cell is not retired once")
		}
		if l.openCell(&c, keyOf(2), now+1); c.tat.Load()-before <= 0 {
			t.Errorf("begun anew at %d, was at %d", c.tat.Load(), before)
		}
	})
}

func TestAcquireDoesNotAllocate(t *testing.T) {
	plain := limiter(t, Config{Limit: 1e9})
	empty := limiter(t, Config{Limit: 1, Burst: 1, Period: 24 * time.Hour})
	keyed := keyedLimiter(t, Config{Limit: 1e9})
	spilled := keyedLimiter(t, Config{Limit: 1, Period: 24 * time.Hour, Burst: 1, MaxKeys: 1})
	acquire(empty, 0, 1, 0)
	acquire(keyed, 7, 1, 0)
	for key := range 1000 {
		acquire(spilled, key, 1, 0)
	}
	for name, g := range map[string]core.Guard{"admitted": plain, "rejected": empty, "keyed": keyed, "spilled": spilled} {
		for _, call := range []core.Call{{Key: keyOf(7)}, {Key: keyOf(7), Now: core.Now(), Cost: 2}, {Key: keyOf(5555)}} {
			if n := testing.AllocsPerRun(200, func() {
				p, d := g.Acquire(bg, call)
				_ = g.Peek(call)
				p.Done(d.Now, core.Success)
			}); n != 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
	}
}
