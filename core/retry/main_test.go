package retry

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/mw-go/mw/core/budget"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	bg      = context.Background()
	errDown = errors.New("down")
)

func mustNew(t testing.TB, c Config, h Hooks) *Retry {
	t.Helper()
	r, err := New("test", c, h)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustBudget(t testing.TB, c budget.Config) *budget.Budget {
	t.Helper()
	b, err := budget.New("test", c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// run is Do with a result of no interest.
func run(ctx context.Context, r *Retry, fn func(context.Context) error) error {
	_, err := Do(ctx, r, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// failing counts its attempts and always fails with err.
func failing(attempts *int, err error) func(context.Context) error {
	return func(context.Context) error { *attempts++; return err }
}

// wantError checks the whole of what Do returns when it gives up.
func wantError(t *testing.T, err error, attempts int, why Reason, last error) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("error %v, want an *Error", err)
	}
	if e.Attempts != attempts || e.Reason != why || e.Policy != "test" || !errors.Is(err, why.Err()) {
		t.Errorf("%+v, want %d attempts and %v", e, attempts, why)
	}
	if last != nil && !errors.Is(err, last) {
		t.Errorf("%v has lost %v", err, last)
	}
	return e
}
