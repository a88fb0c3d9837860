package hedge

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/mw-go/mw/core"
)

func TestErrorText(t *testing.T) {
	e := &Error{Policy: "search", Err: errDown, Others: []error{errBusy, rejection}}
	if got, want := e.Error(), `hedge "search": 3 attempts failed: down; busy; bulkhead "b": full`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Guards and retries outside see the best of the errors: a rejection that a further attempt met does not hide what went
// wrong, and does not make the call look rejected.
func TestErrorTree(t *testing.T) {
	real := fmt.Errorf("call: %w", &Error{Policy: "p", Err: errDown, Others: []error{rejection, errBusy}})
	if !errors.Is(real, errDown) || !errors.Is(real, errBusy) || errors.Is(real, core.ErrRejected) {
		t.Errorf("%v", real)
	}
	if o := core.Classify(context.Background(), real); o != core.Failure {
		t.Errorf("%v is classified as %v", real, o)
	}
	all := &Error{Policy: "p", Err: rejection, Others: []error{rejection}}
	if !errors.Is(all, core.ErrFull) || len(all.Unwrap()) != 2 || core.Classify(context.Background(), all) != core.Ignored {
		t.Errorf("%v", all)
	}
}

// The best is the error that ended the call, or the last that says something of the backend, or the last.
func TestBestError(t *testing.T) {
	list := func(decides int, outcomes ...core.Outcome) *race[int] {
		r := &race[int]{ended: uint8(len(outcomes))}
		r.s = mustNew(t, Config{}, Hooks{}).live.Load()
		at := &r.first
		for i, o := range outcomes {
			at.rank, at.outcome, at.err = uint8(i+1), o, fmt.Errorf("%d", i)
			if i == decides {
				r.by = at
			}
			if i < len(outcomes)-1 {
				at.next = &attempt[int]{}
				at = at.next
			}
		}
		return r
	}
	for _, tt := range []struct {
		r    *race[int]
		want string
	}{
		{list(-1, core.Failure, core.Failure), `hedge "test": 2 attempts failed: 1; 0`},
		{list(-1, core.Failure, core.Ignored), `hedge "test": 2 attempts failed: 0; 1`},
		{list(-1, core.Ignored, core.Ignored), `hedge "test": 2 attempts failed: 1; 0`},
		{list(-1, core.Ignored, core.Timeout, core.Overload, core.Ignored), `hedge "test": 4 attempts failed: 2; 0; 1; 3`},
		{list(0, core.Canceled, core.Failure), `hedge "test": 2 attempts failed: 0; 1`},
		{list(1, core.Failure, core.Canceled), `hedge "test": 2 attempts failed: 1; 0`},
	} {
		if got := tt.r.failure().Error(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
