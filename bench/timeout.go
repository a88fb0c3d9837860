package main

import (
	"context"
	"errors"
	"time"

	"github.com/failsafe-go/failsafe-go"
	fstimeout "github.com/failsafe-go/failsafe-go/timeout"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/timeout"
)

func timeoutRows() []Row {
	return []Row{{
		Name: "Timeout", About: "a call that answers at once, with an hour to do so",
		Contestants: []Contestant{
			{Ours, func() Subject { return oursTimeout(context.Background()) }},
			{"context", contextTimeout},
			{"failsafe", func() Subject { return failsafeTimeout(context.Background()) }},
		},
	}, {
		Name: "TimeoutCallers", About: "the same when its caller has an earlier deadline",
		Contestants: []Contestant{
			{Ours, func() Subject { return soon(oursTimeout) }},
			{"failsafe", func() Subject { return soon(failsafeTimeout) }},
		},
	}}
}

// soon makes a subject with a caller's deadline that comes before its own.
func soon(make func(context.Context) Subject) Subject {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	s := make(ctx)
	s.Close = cancel
	return s
}

var errUncounted = errors.New("not every call was counted")

func oursTimeout(ctx context.Context) Subject {
	limit := mw.Must(timeout.New("bench", timeout.Config{Limit: time.Hour}, timeout.Hooks{}))
	call := func(context.Context) (int, error) { return 1, nil }
	return Subject{
		Loop: func(_, n int) (answered int) {
			for range n {
				if v, err := timeout.Do(ctx, limit, call); err == nil {
					answered += v
				}
			}
			return answered
		},
		Check: func(calls int) error {
			if s := limit.Snapshot(); s.Admitted != uint64(calls) || s.TimedOut != 0 {
				return errUncounted
			}
			return nil
		},
	}
}

// contextTimeout is what the standard library alone takes for it.
func contextTimeout() Subject {
	call := func(context.Context) (int, error) { return 1, nil }
	one := func() (int, error) {
		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Hour, core.ErrTimeout)
		defer cancel()
		return call(ctx)
	}
	return Subject{
		Loop: func(_, n int) (answered int) {
			for range n {
				if v, err := one(); err == nil {
					answered += v
				}
			}
			return answered
		},
	}
}

func failsafeTimeout(ctx context.Context) Subject {
	executor := failsafe.With[int](fstimeout.New[int](time.Hour)).WithContext(ctx)
	call := func() (int, error) { return 1, nil }
	return Subject{
		Loop: func(_, n int) (answered int) {
			for range n {
				if v, err := executor.Get(call); err == nil {
					answered += v
				}
			}
			return answered
		},
	}
}
