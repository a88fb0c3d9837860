package core

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestClassify(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	expired, stop := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer stop()
	ours, stop := context.WithDeadlineCause(context.Background(), time.Unix(0, 0), fmt.Errorf("policy a: %w", ErrTimeout))
	defer stop()
	below, stop := context.WithCancel(ours)
	defer stop()
	withCause, stopCause := context.WithCancelCause(context.Background())
	stopCause(errors.New("user closed the page"))
	live := context.Background()

	failed := errors.New("connection reset")
	rejected := Decision{By: &Policy{}, Verdict: Verdict{Reason: ReasonLeft}}.Err()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		err  error
		want Outcome
	}{
		{"nil", live, nil, Success},
		{"nil although ctx is done", canceled, nil, Success},
		{"a plain error", live, failed, Failure},
		{"our rejection", live, rejected, Ignored},
		{"our rejection, wrapped, its wait canceled", canceled, fmt.Errorf("db: %w", rejected), Ignored},
		{"our rejection, joined", live, errors.Join(failed, rejected), Ignored},
		{"our timeout as cause", ours, ours.Err(), Timeout},
		{"our timeout as cause, above", below, below.Err(), Timeout},
		{"our timeout as cause, in other words", ours, failed, Timeout},
		{"our timeout in the chain", live, fmt.Errorf("get: %w", ErrTimeout), Timeout},
		{"our timeout in the chain, caller gone", canceled, ErrTimeout, Timeout},
		{"the caller's deadline", expired, expired.Err(), Expired},
		{"the caller's deadline, in other words", expired, errors.New("i/o timeout"), Expired},
		{"the caller gave up", canceled, canceled.Err(), Canceled},
		{"the caller gave up, with a cause", withCause, context.Cause(withCause), Canceled},
		{"the caller gave up, in other words", canceled, errors.New("canceling statement due to user request"), Canceled},
		{"the caller gave up after a deadline below", canceled, context.DeadlineExceeded, Canceled},
		{"a context that is not ours to see", live, fmt.Errorf("get: %w", context.Canceled), Canceled},
		{"a deadline below", live, fmt.Errorf("get: %w", context.DeadlineExceeded), Timeout},
		{"an answer that an adapter has classified", live, fmt.Errorf("get: %w", answered(Overload)), Overload},
		{"an answer, the caller gone since", canceled, answered(Failure), Failure},
		{"our rejection in an answer", live, errors.Join(answered(Failure), rejected), Ignored},
	} {
		if got := Classify(tt.ctx, tt.err); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

type answered Outcome

func (a answered) Error() string    { return "answered" }
func (a answered) Outcome() Outcome { return Outcome(a) }

func TestAbandoned(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	if got := Abandoned(ctx); got != Failure {
		t.Errorf("ctx runs: %v", got)
	}
	cancel()
	if got := Abandoned(ctx); got != Canceled {
		t.Errorf("ctx is done: %v", got)
	}
}

func TestOutcomeNames(t *testing.T) {
	seen := map[string]bool{}
	for o := range Outcome(Outcomes) {
		seen[o.String()] = true
	}
	if len(seen) != Outcomes || seen["unknown"] || Outcome(Outcomes).String() != "unknown" || Outcome(0) != Failure {
		t.Errorf("names %v", seen)
	}
}
