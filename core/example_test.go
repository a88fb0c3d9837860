package core_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
)

// A guard made elsewhere is used through core.Do, which is also the way to name a key.
func ExampleDo() {
	hosts, err := breaker.NewKeyed("hosts", breaker.Config{}, breaker.Hooks{})
	if err != nil {
		panic(err)
	}
	call := core.Call{Key: core.KeyOf("api.example")}
	v, err := core.Do(context.Background(), hosts, call, nil, func(context.Context) (string, error) {
		return "hello", nil
	})
	fmt.Println(v, err)
	// Output: hello <nil>
}

// Weekday is a guard of your own: it admits calls only while its switch is on, and counts those that run. Every adapter
// of this module takes it.
type Weekday struct {
	policy  core.Policy
	on      atomic.Bool
	running atomic.Int64
}

// Peek decides, and takes nothing.
func (w *Weekday) Peek(c core.Call) (d core.Decision) {
	d.By, d.Remaining, d.Now = &w.policy, -1, c.Now
	if !w.on.Load() {
		d.Reason = core.ReasonForced
	}
	return d
}

// Acquire decides and, if the call may run, hands out a permit that comes back to Settle. The bare return keeps the
// permit from being copied.
func (w *Weekday) Acquire(_ context.Context, c core.Call) (p core.Permit, d core.Decision) {
	if d = w.Peek(c); d.Reason != 0 {
		return
	}
	w.running.Add(1)
	p = core.NewPermit(w, 0, 0) // no tag, and no start: this guard needs neither
	return
}

// Settle takes the permit back.
func (w *Weekday) Settle(_ uint32, _, _ core.Time, _ bool, _ core.Outcome) { w.running.Add(-1) }

// Restart would be told of a wait in a later guard, if the permits had a start.
func (w *Weekday) Restart(uint32, core.Time, core.Time) {}

// Progress would be told of a stream's first response, if the permits were tracked.
func (w *Weekday) Progress(uint32, core.Time, core.Time) {}

func ExampleGuard() {
	w := &Weekday{policy: core.Policy{Kind: "weekday", Name: "batch"}}
	run := func() error {
		_, err := core.Do(context.Background(), w, core.Call{}, nil, func(context.Context) (struct{}, error) {
			fmt.Println("running:", w.running.Load())
			return struct{}{}, nil
		})
		return err
	}
	err := run()
	fmt.Println(err, errors.Is(err, core.ErrForced))
	w.on.Store(true)
	fmt.Println(run(), w.running.Load())
	// Output:
	// weekday "batch": forced open true
	// running: 1
	// <nil> 0
}

func ExampleKey_Join() {
	client, route := core.KeyOf("tenant-7"), core.KeyOf("GET /orders")
	perClientAndRoute := client.Join(route)
	fmt.Println(perClientAndRoute == client.Join(route), perClientAndRoute == route.Join(client))
	// Output: true false
}
