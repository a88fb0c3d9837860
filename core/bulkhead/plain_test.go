package bulkhead

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// The fast path of Acquire must decide what the whole decision does: an override to enforce that ends in the far future
// changes nothing but the path.
func TestFastPathDecidesLikeTheWhole(t *testing.T) {
	for _, limit := range []int{10, 40} { // 40 is roomy at times
		fastLikeWhole(t, Config{Limit: limit})
	}
}

func fastLikeWhole(t *testing.T, c Config) {
	t.Helper()
	rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
	fast, err := New("b", c, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := New("b", c, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if err := whole.Override(core.Enforce, 1e6*time.Hour); err != nil {
		t.Fatal(err)
	}
	if !fast.live.Load().Plain || whole.live.Load().Plain {
		t.Fatal("the two take the same path")
	}
	var held []*[2]core.Permit
	reasons := map[core.Reason]int{}
	for range 3000 {
		if len(held) > 0 && rng.IntN(2) == 0 {
			last := held[len(held)-1]
			last[0].Done(0, core.Success)
			last[1].Done(0, core.Success)
			held = held[:len(held)-1]
			continue
		}
		var d, e core.Decision
		call := core.Call{Cost: uint32(rng.IntN(c.Limit + 2))}
		held = append(held, new([2]core.Permit))
		last := held[len(held)-1]
		last[0], d = fast.Acquire(t.Context(), call)
		last[1], e = whole.Acquire(t.Context(), call)
		if d.Verdict != e.Verdict || d.RetryAfter != e.RetryAfter {
			t.Fatalf("fast %+v, whole %+v", d, e)
		}
		reasons[d.Reason]++
	}
	if len(reasons) != 3 {
		t.Errorf("not every verdict was reached: %v", reasons)
	}
	f, w := fast.Snapshot(), whole.Snapshot()
	if f.Admitted != w.Admitted || f.Rejected != w.Rejected || f.Running != w.Running {
		t.Errorf("fast %+v, whole %+v", f, w)
	}
}
