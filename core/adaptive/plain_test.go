package adaptive

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// The fast path of Acquire must decide what the whole decision does: an override to enforce that ends in the far
// future changes nothing but the path.
func TestFastPathDecidesLikeTheWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
	c := fixed(20)
	c.Queue = core.None
	fast, whole := limiter(t, c), limiter(t, c)
	if err := whole.Override(core.Enforce, 1e6*time.Hour); err != nil {
		t.Fatal(err)
	}
	if !fast.live.Load().Plain || whole.live.Load().Plain {
		t.Fatal("the two take the same path")
	}
	var held []*[2]core.Permit
	reasons := map[core.Reason]int{}
	now := core.Now()
	for range 5000 {
		if now = now.Add(time.Duration(rng.IntN(1000))); len(held) > 0 && rng.IntN(2) == 0 {
			last := held[len(held)-1]
			last[0].Done(now, core.Success)
			last[1].Done(now, core.Success)
			held = held[:len(held)-1]
			continue
		}
		var d, e core.Decision
		call := core.Call{Now: now, Cost: uint32(rng.IntN(12)), Key: core.KeyOfWords(1, rng.Uint64())}
		held = append(held, new([2]core.Permit))
		last := held[len(held)-1]
		last[0], d = fast.Acquire(t.Context(), call)
		last[1], e = whole.Acquire(t.Context(), call)
		if d.Verdict != e.Verdict {
			t.Fatalf("fast %+v, whole %+v", d, e)
		}
		reasons[d.Reason]++
	}
	if len(reasons) < 2 {
		t.Errorf("not every verdict was reached: %v", reasons)
	}
	f, w := fast.Snapshot(), whole.Snapshot()
	if f.Admitted != w.Admitted || f.Rejected != w.Rejected || f.Running != w.Running {
		t.Errorf("fast %+v, whole %+v", f, w)
	}
}

func TestAllocs(t *testing.T) {
	c := fixed(2)
	c.Queue = core.None
	l, full, shadow := limiter(t, Config{}), limiter(t, c), limiter(t, Config{Mode: core.Shadow})
	enter(t, full, core.Call{Cost: 2})
	guards := []core.Guard{l, full}
	for _, tt := range []struct {
		name string
		f    func()
	}{
		{"accepted", func() { p, _ := l.Acquire(bg, core.Call{}); p.Done(0, core.Success) }},
		{"accepted, dropped", func() { p, _ := l.Acquire(bg, core.Call{}); p.Done(0, core.Timeout) }},
		{"progressed", func() { p, _ := l.Acquire(bg, core.Call{}); p.Progress(0); p.Done(0, core.Success) }},
		{"rejected, nobody may queue", func() { p, _ := full.Acquire(bg, core.Call{}); p.Done(0, core.Success) }},
		{"shadow", func() { p, _ := shadow.Acquire(bg, core.Call{}); p.Done(0, core.Success) }},
		{"peek", func() { l.Peek(core.Call{}); full.Peek(core.Call{}) }},
		{"through core.Guard", func() {
			for _, g := range guards {
				p, _ := g.Acquire(bg, core.Call{})
				p.Done(0, core.Success)
			}
		}},
		{"Do", func() { _, _ = Do(bg, l, func(context.Context) (int, error) { return 1, nil }) }},
	} {
		if n := testing.AllocsPerRun(1000, tt.f); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}
