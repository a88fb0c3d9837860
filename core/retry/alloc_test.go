package retry

import (
	"context"
	"testing"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
)

func TestAllocs(t *testing.T) {
	cancelable, cancel := context.WithCancel(bg)
	defer cancel()
	ok := func(context.Context) (int, error) { return 1, nil }
	custom := Hooks{Hooks: core.Hooks{Classify: core.Classify}}
	shared := Hooks{Budget: mustBudget(t, budget.Config{Rule: budget.Window})}
	for name, r := range map[string]*Retry{
		"default": mustNew(t, Config{}, Hooks{}), "classified": mustNew(t, Config{}, custom), "window": mustNew(t, Config{}, shared),
		"shadow": mustNew(t, Config{Mode: core.Shadow}, Hooks{}), "disabled": mustNew(t, Config{Mode: core.Disabled}, Hooks{}),
	} {
		if n := testing.AllocsPerRun(1000, func() {
			_, _ = Do(bg, r, ok)
			_, _ = Do(cancelable, r, ok)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	captured := 0
	r := mustNew(t, Config{}, Hooks{})
	if n := testing.AllocsPerRun(1000, func() {
		v := 0
		_, _ = Do(bg, r, func(context.Context) (int, error) { v++; return v, nil })
		captured += v
	}); n != 0 {
		t.Errorf("a closure: %v allocations", n)
	}
	var err error
	empty := mustNew(t, Config{}, Hooks{Budget: mustBudget(t, budget.Config{Size: 1})})
	if n := testing.AllocsPerRun(1000, func() {
		_, err = Do(bg, empty, func(context.Context) (int, error) { return 0, errDown })
	}); n > 1 {
		t.Errorf("a failure without budget: %v allocations for %v, want the error alone", n, err)
	}
}
