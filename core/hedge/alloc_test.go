package hedge

import (
	"context"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
)

// Where no further attempt is possible nothing is allocated.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	answer := func(context.Context) (int, error) { return 1, nil }
	fail := func(context.Context) (int, error) { return 0, errDown }
	empty := mustBudget(t, budget.Config{Size: 1})
	empty.Withdraw(0)
	never := func(context.Context) bool { return false }
	soon, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	later := Config{Delay: time.Hour}
	shadow := later
	shadow.Mode = core.Shadow
	for _, tt := range []struct {
		name string
		most float64
		ctx  context.Context
		h    *Hedge
		fn   fn
	}{
		{"disabled", 0, bg, mustNew(t, Config{Mode: core.Disabled}, Hooks{}), answer},
		{"no quantile yet", 0, bg, mustNew(t, Config{}, Hooks{}), fail},
		{"the Budget is empty", 0, bg, mustNew(t, later, Hooks{Budget: empty}), answer},
		{"the Budget is told", 0, Once(bg), mustNew(t, later, Hooks{Budget: mustBudget(t, budget.Config{}), Outermost: true}), answer},
		{"once", 0, Once(bg), mustNew(t, later, Hooks{}), answer},
		{"may not", 0, bg, mustNew(t, later, Hooks{May: never}), answer},
		{"no time", 0, soon, mustNew(t, later, Hooks{}), answer},
		{"shadow", 0, bg, mustNew(t, shadow, Hooks{}), answer},
		{"hedged", 5, bg, mustNew(t, later, Hooks{}), answer},
	} {
		got := testing.AllocsPerRun(1000, func() { _, _ = Do(tt.ctx, tt.h, tt.fn) })
		if got > tt.most {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.most)
		}
		if got := testing.AllocsPerRun(1000, func() { _, _, release, _ := DoKeeping(tt.ctx, tt.h, tt.fn); release() }); got > tt.most+1 || tt.most == 0 && got > 0 {
			t.Errorf("%s, keeping: %v allocations", tt.name, got)
		}
	}
}
