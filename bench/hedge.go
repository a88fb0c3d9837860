package main

import (
	"context"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/hedge"
)

func hedgeRows() []Row {
	return []Row{
		{
			Name: "Hedge", About: "a call that answers at once, an hour before another attempt would be made",
			Contestants: []Contestant{
				{Ours, func() Subject { return oursHedge(hedge.Config{Delay: time.Hour}) }},
				{"failsafe", func() Subject { return failsafeHedge(hedgepolicy.NewWithDelay[int](time.Hour)) }},
			},
		},
		{
			Name: "HedgeQuantile", About: "the same when the delay is a quantile of the calls before it",
			Contestants: []Contestant{
				{Ours, func() Subject { return warm(oursHedge(hedge.Config{Min: time.Minute, Max: time.Minute})) }},
				{"failsafe", func() Subject { return warm(failsafeHedge(hedgepolicy.NewWithDelayQuantile[int](0.95, 1000, 100))) }},
			},
		},
	}
}

func oursHedge(c hedge.Config) Subject {
	h, ctx := mw.Must(hedge.New("bench", c, hedge.Hooks{})), context.Background()
	return Subject{
		Loop: func(_, n int) (answered int) {
			for range n {
				if v, err := hedge.Do(ctx, h, work); err == nil {
					answered += v
				}
			}
			return answered
		},
		Check: func(calls int) error {
			if s := h.Snapshot(); s.Admitted < uint64(calls) || s.Extra != 0 {
				return fmt.Errorf("%d calls begun and %d extra attempts after %d calls", s.Admitted, s.Extra, calls)
			}
			return nil
		},
	}
}

func failsafeHedge(p hedgepolicy.HedgePolicy[int]) Subject {
	executor := failsafe.With[int](p)
	return Subject{Loop: func(_, n int) (answered int) {
		for range n {
			if v, err := executor.Get(workAlone); err == nil {
				answered += v
			}
		}
		return answered
	}}
}

// warm makes the calls that a quantile needs before it says anything, and waits until ours, which looks ten times a second, has
// seen it.
func warm(s Subject) Subject {
	s.Loop(0, 1000)
	time.Sleep(time.Second / 5)
	s.Loop(0, 1)
	return s
}
