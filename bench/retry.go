package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/cenkalti/backoff/v5"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/retry"
)

func retryRows() []Row {
	return []Row{
		{
			Name: "Retry", About: "run a function that succeeds at its first attempt",
			Contestants: []Contestant{{Ours, oursRetry}, {"backoff", backoffRetry}, {"failsafe", failsafeRetry}},
		},
		{
			Name: "RetryPermanent", About: "run a function whose error says not to retry", Verdict: Rejected,
			Contestants: []Contestant{{Ours, oursPermanent}, {"backoff", backoffPermanent}, {"failsafe", failsafePermanent}},
		},
	}
}

func newRetry() *retry.Retry { return mw.Must(retry.New("bench", retry.Config{}, retry.Hooks{})) }

func oursRetry() Subject {
	r, ctx := newRetry(), context.Background()
	return Subject{
		Loop: func(_, n int) (admitted int) {
			for range n {
				if v, err := retry.Do(ctx, r, work); err == nil {
					admitted += v
				}
			}
			return admitted
		},
		Check: func(calls int) error {
			if s := r.Snapshot(); s.Admitted != uint64(calls) || s.Retries != 0 {
				return fmt.Errorf("%d calls begun and %d retries after %d calls", s.Admitted, s.Retries, calls)
			}
			return nil
		},
	}
}

func backoffRetry() Subject {
	ctx := context.Background()
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			if v, err := backoff.Retry(ctx, workAlone); err == nil {
				admitted += v
			}
		}
		return admitted
	}}
}

func failsafeRetry() Subject {
	executor := failsafe.With(retrypolicy.NewWithDefaults[int]())
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			if v, err := executor.Get(workAlone); err == nil {
				admitted += v
			}
		}
		return admitted
	}}
}

func oursPermanent() Subject {
	r, ctx, permanent := newRetry(), context.Background(), retry.Permanent(errBackend)
	fail := func(context.Context) (int, error) { return 1, permanent }
	return Subject{
		Loop: func(_, n int) (admitted int) {
			for range n {
				if v, err := retry.Do(ctx, r, fail); !errors.Is(err, errBackend) {
					admitted += v
				}
			}
			return admitted
		},
		Check: func(calls int) error {
			if s := r.Snapshot(); s.GaveUp[retry.ReasonPermanent] != uint64(calls) {
				return fmt.Errorf("%d calls failed for good of %d", s.GaveUp[retry.ReasonPermanent], calls)
			}
			return nil
		},
	}
}

func backoffPermanent() Subject {
	ctx, permanent := context.Background(), backoff.Permanent(errBackend)
	fail := func() (int, error) { return 1, permanent }
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			if v, err := backoff.Retry(ctx, fail); !errors.Is(err, errBackend) {
				admitted += v
			}
		}
		return admitted
	}}
}

func failsafePermanent() Subject {
	executor := failsafe.With(retrypolicy.NewBuilder[int]().AbortOnErrors(errBackend).Build())
	fail := func() (int, error) { return 1, errBackend }
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			if v, err := executor.Get(fail); !errors.Is(err, errBackend) {
				admitted += v
			}
		}
		return admitted
	}}
}
