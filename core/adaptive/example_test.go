package adaptive_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
)

func ExampleDo() {
	limit, err := adaptive.New("orders", adaptive.Config{}, adaptive.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := adaptive.Do(context.Background(), limit, func(context.Context) (string, error) { return "an order", nil })
	fmt.Println(text, err)
	s := limit.Snapshot()
	fmt.Println("limit:", s.Limit, "running:", s.Running)
	// Output:
	// an order <nil>
	// limit: 20 running: 0
}

// The least critical calls go first: they may fill only a part of the limit while more critical ones come.
func ExampleLimiter_Acquire_classes() {
	limit, err := adaptive.New("api", adaptive.Config{InitialLimit: 10, Queue: core.None, RetryAfter: core.None}, adaptive.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	try := func(class core.Class) (p core.Permit) {
		var d core.Decision
		p, d = limit.Acquire(context.Background(), core.Call{Class: class})
		if err := d.Err(); err != nil {
			fmt.Println(class, err, errors.Is(err, core.ErrFull))
		}
		return
	}
	first := try(core.CriticalPlus)
	first.Done(0, core.Success)
	for range 8 {
		p := try(core.Sheddable)
		defer p.Done(0, core.Success)
	}
	p := try(core.CriticalPlus) // still finds a slot
	p.Done(0, core.Success)
	fmt.Println("running:", limit.Snapshot().Running)
	// Output:
	// 4 adaptive "api": full true
	// running: 7
}

// A Tune keeps the limit that was found.
func ExampleLimiter_Tune() {
	limit, err := adaptive.New("db", adaptive.Config{InitialLimit: 40}, adaptive.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := limit.Tune(adaptive.Config{Algorithm: adaptive.Vegas, MaxHealthyLatency: 2 * time.Second}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(limit.Config().Algorithm, limit.Snapshot().Limit)
	fmt.Println(limit.Tune(adaptive.Config{Tolerance: 0.5}))
	// Output:
	// vegas 40
	// adaptive "db": tolerance: 0.5 is not allowed; allowed: 1.05..10
}
