package timeout

import (
	"context"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// Where no timer is needed nothing is allocated.
func TestAllocs(t *testing.T) {
	fixed := mustNew(t, Config{Limit: time.Hour}, Hooks{})
	careful := mustNew(t, Config{Limit: time.Hour, Margin: time.Second, MinRest: time.Second}, Hooks{})
	adaptive := mustNew(t, Config{Limit: time.Hour, Min: time.Hour, Adaptive: true}, Hooks{})
	shadow := mustNew(t, Config{Limit: time.Hour, Mode: core.Shadow}, Hooks{})
	disabled := mustNew(t, Config{Limit: time.Hour, Mode: core.Disabled}, Hooks{})
	soon, cancel := context.WithTimeout(bg, 30*time.Minute)
	defer cancel()
	past, cancelPast := context.WithTimeout(bg, time.Hour-time.Minute)
	defer cancelPast()
	n := 0
	count := func(context.Context) (int, error) { n++; return n, nil }
	for _, tt := range []struct {
		name string
		most float64
		f    func()
	}{
		{"the caller's deadline is earlier", 0, func() { _, _ = Do(soon, fixed, count) }},
		{"the same, with a closure of its own", 0, func() {
			v := n
			_, _ = Do(soon, fixed, func(context.Context) (int, error) { n = v + 1; return n, nil })
		}},
		{"adaptive", 0, func() { _, _ = Do(soon, adaptive, count) }},
		{"shadow", 0, func() { _, _ = Do(bg, shadow, count) }},
		{"disabled", 0, func() { _, _ = Do(bg, disabled, count) }},
		{"admit and done", 0, func() { a, _ := careful.Admit(0, time.Minute); a.Done(0, core.Success) }},
		{"turned away", 0, func() { _, _ = careful.Admit(0, time.Second) }},
		{"a timer", 4, func() { _, _ = Do(bg, fixed, count) }},
		{"a margin", 4, func() { _, _ = Do(past, careful, count) }},
	} {
		if got := testing.AllocsPerRun(1000, tt.f); got > tt.most {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.most)
		}
	}
}
