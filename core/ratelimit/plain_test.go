package ratelimit

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// The fast path of Acquire must decide what the whole decision does: an override to enforce that ends in the far future
// changes nothing but the path.
func TestFastPathDecidesLikeTheWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
		c := Config{Limit: 10, Burst: 5}
		fast, err := New("l", c, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		whole, err := New("l", c, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		if err := whole.Override(core.Enforce, 1e6*time.Hour); err != nil {
			t.Fatal(err)
		}
		if !fast.live.Load().Plain || whole.live.Load().Plain {
			t.Fatal("the two take the same path")
		}
		reasons := map[core.Reason]int{}
		for range 3000 {
			time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
			call := core.Call{Cost: uint32(rng.IntN(7))}
			_, d := fast.Acquire(t.Context(), call)
			_, e := whole.Acquire(t.Context(), call)
			if d.Verdict != e.Verdict || d.RetryAfter != e.RetryAfter || d.Now != e.Now {
				t.Fatalf("fast %+v, whole %+v", d, e)
			}
			reasons[d.Reason]++
		}
		if len(reasons) != 3 {
			t.Errorf("not every verdict was reached: %v", reasons)
		}
	})
}
