package fallback

import (
	"context"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// While fn succeeds nothing is allocated; nor is it by a step without a timer.
func TestAllocs(t *testing.T) {
	local := mustNew(t, "local", Config{Timeout: core.None}, Hooks{})
	off := mustNew(t, "off", Config{Mode: core.Disabled}, Hooks{})
	shadow := mustNew(t, "shadow", Config{Mode: core.Shadow}, Hooks{})
	slow := mustNew(t, "slow", Config{Timeout: time.Hour}, Hooks{})
	ok, down, one := first(7, nil), first(7, errDown), answers(1)
	c := Chain[int]{{local, one}}
	soon, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	n := 0
	for _, tt := range []struct {
		name string
		most float64
		f    func()
	}{
		{"fn answers", 0, func() { _, _ = Do(bg, c, ok) }},
		{"fn answers, and one wants to know", 0, func() { _, _, _ = DoFrom(bg, c, ok) }},
		{"a chain of two closures, made for the call", 2, func() {
			v := n
			_, _ = Do(bg, Chain[int]{
				{local, func(context.Context, error) (int, error) { n = v + 1; return n, nil }},
				{slow, func(context.Context, error) (int, error) { n = v + 2; return n, nil }},
			}, func(context.Context) (int, error) { n = v; return n, nil })
		}},
		{"the first step answers", 0, func() { _, _ = Do(bg, c, down) }},
		{"no step is for it", 0, func() { _, _ = Do(bg, Chain[int]{{off, one}, {shadow, one}}, down) }},
		{"the caller's deadline is earlier", 0, func() { _, _ = Do(soon, Chain[int]{{slow, one}}, down) }},
		{"a step with a timer", 4, func() { _, _ = Do(bg, Chain[int]{{slow, one}}, down) }},
	} {
		if got := testing.AllocsPerRun(1000, tt.f); got > tt.most {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.most)
		}
	}
}
