package breaker

import (
	"context"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

func TestAllocs(t *testing.T) {
	closed, open := mustNew(t, Config{}, Hooks{}), mustNew(t, Config{}, Hooks{})
	open.Trip(time.Minute)
	perKey, shadow := mustKeyed(t, Config{}, Hooks{}), mustNew(t, Config{Mode: core.Shadow}, Hooks{})
	shadow.Trip(time.Minute)
	k := core.KeyOf("a")
	callKey(perKey, k, core.Success)
	guards := []core.Guard{closed, open, perKey}
	for _, tt := range []struct {
		name string
		f    func()
	}{
		{"accepted", func() { p, _ := closed.Acquire(bg, core.Call{}); p.Done(0, core.Success) }},
		{"accepted, failed", func() { p, _ := closed.Acquire(bg, core.Call{}); p.Done(0, core.Canceled) }},
		{"rejected", func() { p, _ := open.Acquire(bg, core.Call{}); p.Done(0, core.Success) }},
		{"shadow", func() { p, _ := shadow.Acquire(bg, core.Call{}); p.Done(0, core.Success) }},
		{"keyed", func() { p, _ := perKey.Acquire(bg, core.Call{Key: k}); p.Done(0, core.Success) }},
		{"peek", func() { closed.Peek(core.Call{}); open.Peek(core.Call{}); perKey.Peek(core.Call{Key: k}) }},
		{"through core.Guard", func() {
			for _, g := range guards {
				p, _ := g.Acquire(bg, core.Call{Key: k})
				p.Done(0, core.Success)
			}
		}},
		{"Do", func() { _, _ = Do(bg, closed, func(context.Context) (int, error) { return 1, nil }) }},
		{"core.Do", func() {
			_, _ = core.Do(bg, perKey, core.Call{Key: k}, nil, func(context.Context) (int, error) { return 1, nil })
		}},
	} {
		if n := testing.AllocsPerRun(1000, tt.f); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}
