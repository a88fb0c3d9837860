package main

import (
	"context"
	"errors"

	"github.com/failsafe-go/failsafe-go"
	fsfallback "github.com/failsafe-go/failsafe-go/fallback"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/fallback"
)

func fallbackRows() []Row {
	return []Row{{
		Name: "FallbackUnused", About: "a call that succeeds, with a fallback behind it",
		Contestants: []Contestant{
			{Ours, func() Subject { return oursFallback(nil) }},
			{"failsafe", func() Subject { return failsafeFallback(nil) }},
		},
	}, {
		Name: "FallbackFirst", About: "a call that fails, and the first step answers from memory",
		Contestants: []Contestant{
			{Ours, func() Subject { return oursFallback(errPrimary) }},
			{"failsafe", func() Subject { return failsafeFallback(errPrimary) }},
		},
	}}
}

var (
	errPrimary  = errors.New("the primary has failed")
	errUncalled = errors.New("the fallback has not answered every failure")
)

// oursFallback falls back from a call that fails with err; nil: that succeeds.
func oursFallback(err error) Subject {
	step := mw.Must(fallback.New("bench", fallback.Config{Timeout: core.None, Limit: 64}, fallback.Hooks{}))
	chain := fallback.Chain[int]{{By: step, Run: func(context.Context, error) (int, error) { return 1, nil }}}
	primary := func(context.Context) (int, error) { return 1, err }
	ctx := context.Background()
	return Subject{
		Loop: func(_, n int) (answered int) {
			for range n {
				if v, err := fallback.Do(ctx, chain, primary); err == nil {
					answered += v
				}
			}
			return answered
		},
		Check: func(calls int) error {
			want := uint64(calls)
			if err == nil {
				want = 0
			}
			if s := step.Snapshot(); s.Answered != want || s.Running != 0 {
				return errUncalled
			}
			return nil
		},
	}
}

func failsafeFallback(err error) Subject {
	policy := fsfallback.NewWithFunc(func(failsafe.Execution[int]) (int, error) { return 1, nil })
	executor := failsafe.With[int](policy)
	primary := func() (int, error) { return 1, err }
	return Subject{
		Loop: func(_, n int) (answered int) {
			for range n {
				if v, err := executor.Get(primary); err == nil {
					answered += v
				}
			}
			return answered
		},
	}
}
