package breaker

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
		c := Config{MinCalls: 3, OpenFor: time.Second, Jitter: core.None, Probes: 3, ProbesAtOnce: 1}
		fast, whole := mustNew(t, c, Hooks{}), mustNew(t, c, Hooks{})
		if err := whole.Override(core.Enforce, 1e6*time.Hour); err != nil {
			t.Fatal(err)
		}
		if !fast.live.Load().Plain || whole.live.Load().Plain {
			t.Fatal("the two take the same path")
		}
		states := map[State]int{}
		for range 3000 {
			time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
			p, d := fast.Acquire(t.Context(), core.Call{})
			q, e := whole.Acquire(t.Context(), core.Call{})
			if d.Verdict != e.Verdict || d.RetryAfter != e.RetryAfter || d.Now != e.Now {
				t.Fatalf("fast %+v, whole %+v", d, e)
			}
			o := core.Outcome(rng.IntN(core.Outcomes))
			p.Done(0, o)
			q.Done(0, o)
			states[fast.State()]++
		}
		if len(states) != 3 {
			t.Errorf("not every state was reached: %v", states)
		}
	})
}
