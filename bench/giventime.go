package main

import (
	"context"
	"time"

	"github.com/mw-go/mw/core"
)

// step is how far the handed-in time moves with each call: windows and buckets then advance about as fast as they would
// by the clock, and the next run, which begins at the clock again, is not far behind this one.
const step = core.Time(20)

// givenTimeRows are the guards as the adapters use them: the clock has been read already, once for all guards of a
// chain, and the reading is handed in. No peer takes one, so these rows are not compared.
func givenTimeRows() []Row {
	return []Row{
		{
			Name: "GivenTimeBreaker", About: "ours, closed: Acquire and Done with a time handed in",
			Contestants: []Contestant{{Ours, func() Subject {
				b := oursClosed()
				return Subject{Loop: givenTimePair(b)}
			}}},
		},
		{
			Name: "GivenTimeLimiter", About: "ours, never dry: Acquire with a time handed in",
			Contestants: []Contestant{{Ours, givenTimeLimiter}},
		},
		{
			Name: "GivenTimeBulkhead", About: "ours, never full: Acquire and Done with a time handed in",
			Contestants: []Contestant{{Ours, func() Subject {
				b := newBulkhead()
				return Subject{Loop: givenTimePair(b)}
			}}},
		},
	}
}

// givenTimePair returns a loop over g, called as adapters call it: through the interface.
func givenTimePair(g core.Guard) func(from, n int) int {
	ctx := context.Background()
	return func(_, n int) (admitted int) {
		now := core.Now()
		for range n {
			now += step
			p, d := g.Acquire(ctx, core.Call{Now: now})
			if d.Admitted() {
				admitted++
			}
			p.Done(now, core.Success)
		}
		return admitted
	}
}

func givenTimeLimiter() Subject {
	l, ctx := newLimiter(plenty, time.Second), context.Background()
	return Subject{Loop: func(_, n int) (admitted int) {
		now := core.Now()
		for range n {
			now += step
			if _, d := l.Acquire(ctx, core.Call{Now: now}); d.Admitted() {
				admitted++
			}
		}
		return admitted
	}}
}
