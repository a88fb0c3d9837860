package bulkhead_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/bulkhead"
)

func ExampleDo() {
	slots, err := bulkhead.New("reports", bulkhead.Config{Limit: 1}, bulkhead.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	report := func(ctx context.Context) (string, error) { return "a report", nil }
	text, err := bulkhead.Do(context.Background(), slots, func(ctx context.Context) (string, error) {
		_, err := bulkhead.Do(ctx, slots, report) // while this one runs there is no slot for another
		fmt.Println(err, errors.Is(err, core.ErrFull))
		return report(ctx)
	})
	fmt.Println(text, err)
	fmt.Println("running:", slots.Snapshot().Running)
	// Output:
	// bulkhead "reports": full true
	// a report <nil>
	// running: 0
}

// Slots for each tenant, and calls that take more than one.
func ExampleKeyed() {
	slots, err := bulkhead.NewKeyed("exports", bulkhead.Config{Limit: 4}, bulkhead.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	try := func(tenant string, cost uint32) (p core.Permit) {
		var d core.Decision
		p, d = slots.Acquire(context.Background(), core.Call{Key: core.KeyOf(tenant), Cost: cost})
		fmt.Println(tenant, cost, d.Reason, "left:", d.Remaining)
		return
	}
	a := try("ann", 3)
	b := try("ann", 2)
	c := try("ben", 2)
	a.Done(0, core.Success) // in a defer, in earnest
	d := try("ann", 2)
	b.Done(0, core.Success) // of a call that was rejected: does nothing
	c.Done(0, core.Success)
	d.Done(0, core.Success)
	// Output:
	// ann 3 admitted left: 1
	// ann 2 full left: 1
	// ben 2 admitted left: 2
	// ann 2 admitted left: 2
}

// With a queue a call waits for a slot, for a while.
func ExampleBulkhead_Acquire_waiting() {
	slots, err := bulkhead.New("db", bulkhead.Config{Limit: 1, Queue: 1, MaxWait: time.Minute}, bulkhead.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	first, _ := slots.Acquire(context.Background(), core.Call{})
	time.AfterFunc(time.Millisecond, func() { first.Done(0, core.Success) })
	second, d := slots.Acquire(context.Background(), core.Call{})
	defer second.Done(0, core.Success)
	fmt.Println("second:", d.Reason)

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, d = slots.Acquire(ctx, core.Call{})
	fmt.Println("third:", d.Reason, d.Err())
	// Output:
	// second: admitted
	// third: expired bulkhead "db": deadline passed while waiting
}

// A smaller limit cancels nothing: what runs ends in its own time.
func ExampleBulkhead_Tune() {
	slots, err := bulkhead.New("db", bulkhead.Config{Limit: 2}, bulkhead.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	a, _ := slots.Acquire(context.Background(), core.Call{})
	b, _ := slots.Acquire(context.Background(), core.Call{})
	if err := slots.Tune(bulkhead.Config{Limit: 1}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(slots.Snapshot().Running, "running of", slots.Config().Limit)
	a.Done(0, core.Success)
	fmt.Println("next:", slots.Peek(core.Call{}).Reason)
	b.Done(0, core.Success)
	fmt.Println("next:", slots.Peek(core.Call{}).Reason)
	// Output:
	// 2 running of 1
	// next: full
	// next: admitted
}

// Shadow mode tries a limit on live traffic: it counts what it would have rejected and rejects nothing.
func ExampleBulkhead_shadow() {
	slots, err := bulkhead.New("api", bulkhead.Config{Limit: 1, Mode: core.Shadow}, bulkhead.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	a, d := slots.Acquire(context.Background(), core.Call{})
	fmt.Println(d.Admitted(), d.Reason, d.Reason.Shadow())
	b, d := slots.Acquire(context.Background(), core.Call{})
	fmt.Println(d.Admitted(), d.Reason, d.Reason.Shadow())
	s := slots.Snapshot()
	fmt.Println("running", s.Running, "admitted", s.Admitted, "shadowed", s.Shadowed)
	a.Done(0, core.Success)
	b.Done(0, core.Success)
	// Output:
	// true admitted false
	// true full true
	// running 2 admitted 2 shadowed 1
}
