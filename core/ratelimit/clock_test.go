package ratelimit

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// configs are the corners of what is allowed, and some points between.
func configs() []Config {
	var all []Config
	for _, limit := range []int64{1, 2, 3, 7, 100, 999, 12_345, 1 << 20, 999_983, 1e9 - 1, 1e9} {
		for _, period := range []time.Duration{time.Millisecond, 7 * time.Millisecond, time.Second, time.Minute, 24 * time.Hour} {
			c := Config{Limit: limit, Period: period, Burst: 10}
			if c.Validate() == nil {
				all = append(all, c)
			}
		}
	}
	return all
}

// exact returns n*a/b as a fraction.
func exact(n uint64, a, b uint64) *big.Rat {
	big3 := func(x uint64) *big.Int { return new(big.Int).SetUint64(x) }
	return new(big.Rat).SetFrac(new(big.Int).Mul(big3(n), big3(a)), big3(b))
}

func rat(n int64) *big.Rat { return new(big.Rat).SetInt64(n) }

// TestVirtualTimeIsPrecise: never behind the exact value rounded down, so that a caller who keeps the rate is never
// rejected, and never two units or more ahead in a whole span.
func TestVirtualTimeIsPrecise(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range configs() {
		k := newClock(nil, c, -1000)
		for range 500 {
			elapsed := rng.Uint64N(k.span) >> rng.UintN(63)
			v, due := k.virtual(core.Time(-1000 + int64(elapsed)))
			if due {
				t.Fatalf("%v: due after %d of %d", c, elapsed, k.span)
			}
			want := exact(elapsed, k.tokens, k.period)
			if off := new(big.Rat).Sub(rat(v), want); off.Cmp(rat(-1)) <= 0 || off.Cmp(rat(2)) >= 0 {
				t.Fatalf("%d/%v: %d ns are %d units, exactly %s", c.Limit, c.Period, elapsed, v, want.FloatString(6))
			}
			if want.IsInt() && v < want.Num().Int64() {
				t.Fatalf("%d/%v: %d ns are %d units, exactly %s", c.Limit, c.Period, elapsed, v, want)
			}
		}
	}
}

// TestWaitIsPrecise: the wait for n units is the exact one, rounded up.
func TestWaitIsPrecise(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, c := range configs() {
		k := newClock(nil, c, 0)
		for range 1000 {
			n := 1 + rng.Int64N(1<<53)>>rng.UintN(53)
			want := exact(uint64(n), k.period, k.tokens)
			if most := rat(1 << 60); want.Cmp(most) > 0 {
				continue // 36 years
			}
			up := new(big.Int).Add(want.Num(), new(big.Int).Sub(want.Denom(), big.NewInt(1)))
			up.Div(up, want.Denom())
			if got := k.nanoseconds(n); new(big.Int).SetUint64(got).Cmp(up) != 0 {
				t.Fatalf("%d/%v: %d units take %d ns, exactly %s", c.Limit, c.Period, n, got, want.FloatString(9))
			}
		}
		if got := k.nanoseconds(math.MaxInt64); got > math.MaxInt64 {
			t.Errorf("%d/%v: the longest wait is %d", c.Limit, c.Period, got)
		}
	}
}

// TestSweepBeforeWrap: while the clock goes through more than all of an int64, debts stay what they are. The steps are
// uneven, so that the wrap is met in every position of the state.
func TestSweepBeforeWrap(t *testing.T) {
	for _, limit := range []int64{1e9, 999_999_937} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(5, uint64(limit)))
			c := Config{Limit: limit, Burst: 1000}
			b := newBook(t, c, math.MinInt64/2)
			now := core.Time(math.MinInt64 / 2)
			stop := now.Add(12 * time.Hour) // 4.5e19 units, five times the range
			for i := 0; now < stop; i++ {
				key := i % 5
				if got := b.call(t, key, 900, now); !got.ok {
					t.Fatalf("key %d, idle for long: %+v at %v", key, got, time.Duration(now))
				}
				if got := b.call(t, key, 101, now); got.ok || got.debt != 900*unit {
					t.Fatalf("key %d, owing 900: %+v at %v", key, got, time.Duration(now))
				}
				if got := b.call(t, key, 100, now); !got.ok || got.left != 0 {
					t.Fatalf("key %d, owing 900: %+v at %v", key, got, time.Duration(now))
				}
				now = now.Add(2000 + time.Duration(rng.Int64N(int64(20*time.Minute))))
			}
			if b.sweeps < 10 {
				t.Errorf("%d sweeps", b.sweeps)
			}
		})
	}
}

// TestIdleKeyAcrossManySweeps: a key not asked for since the beginning comes back with a full bucket, however far the
// clock has gone, and a debt made just before a sweep is still there just after.
func TestIdleKeyAcrossManySweeps(t *testing.T) {
	b := newBook(t, Config{Limit: 1e9, Burst: 1e9}, 0)
	b.call(t, 1, 1e9, 0)
	now := core.Time(0)
	for range 40 {
		now = now.Add(time.Duration(b.k.span) - 1)
		if got := b.call(t, 2, 1e9, now); !got.ok {
			t.Fatalf("%+v", got)
		}
		now += 2
		if got := b.call(t, 2, 3, now); got.ok || got.debt != (1e9-2)*unit {
			t.Fatalf("just after a sweep: %+v", got)
		}
	}
	if got := b.call(t, 1, 1e9, now); !got.ok {
		t.Errorf("the idle key: %+v", got)
	}
	if b.sweeps != 40 {
		t.Errorf("%d sweeps, want 40", b.sweeps)
	}
}

// TestClockFarAhead: a gap of any length is no more than an idle time.
func TestClockFarAhead(t *testing.T) {
	for _, c := range []Config{{Limit: 1e9}, {Limit: 1, Period: 24 * time.Hour}} {
		b := newBook(t, c, math.MinInt64)
		for _, now := range []core.Time{math.MinInt64, -1 << 61, 0, 1 << 61, math.MaxInt64 - 1} {
			if got := b.call(t, 1, b.c.Burst, now); !got.ok {
				t.Errorf("%d at %d: %+v", c.Limit, now, got)
			}
			if got := b.call(t, 1, 1, now); got.ok {
				t.Errorf("%d at %d: an empty bucket admits", c.Limit, now)
			}
		}
	}
}

// TestTuneLosesLessThanOneUnit: the fraction of a unit that a change of rate drops is all it costs.
func TestTuneLosesLessThanOneUnit(t *testing.T) {
	c := Config{Limit: 1000, Burst: 1e6}
	b := newBook(t, c, 0)
	b.call(t, 1, 1e6, 0)
	const tunes = 1000
	exactly := new(big.Rat)
	for i := 1; i <= tunes; i++ {
		exactly.Add(exactly, exact(1_000_001, b.k.tokens, b.k.period))
		c.Limit = 1000 + int64(i%7)
		b.tune(t, c, core.Time(i)*1_000_001)
	}
	v, _ := b.k.virtual(tunes * 1_000_001)
	if lost := new(big.Rat).Sub(exactly, rat(v)); lost.Sign() < 0 || lost.Cmp(rat(tunes)) > 0 {
		t.Errorf("virtual time is %d, exactly %s", v, exactly.FloatString(3))
	}
}
