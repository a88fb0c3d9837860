package retry

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/mw-go/mw/core"
)

var sentinels = []error{
	ErrAttempts, ErrNotRetryable, ErrPermanent, core.ErrRejected, ErrBudget, ErrNested, ErrHint, ErrDeadline, context.Canceled,
	context.DeadlineExceeded,
}

func TestErrors(t *testing.T) {
	for why := Reason(1); why < reasons; why++ {
		err := fmt.Errorf("call: %w", &Error{Policy: "p", Attempts: 2, Reason: why, Last: errDown})
		for i, sentinel := range sentinels {
			want := Reason(i+1) == why || why == ReasonNested && sentinel == ErrBudget
			if errors.Is(err, sentinel) != want {
				t.Errorf("%v: errors.Is(%v, %v) is %v", why, err, sentinel, !want)
			}
		}
		if !errors.Is(err, errDown) || why.Err() != sentinels[why-1] {
			t.Errorf("%v: %v, sentinel %v", why, err, why.Err())
		}
	}
	if len(sentinels) != Reasons-1 {
		t.Errorf("%d sentinels for %d reasons", len(sentinels), Reasons-1)
	}
	if Reason(0).Err() != nil || reasons.Err() != nil || reasons.String() != "unknown" || ReasonNotRetryable.String() != "not_retryable" {
		t.Error("the ends of the table")
	}
}

type coded struct{ code int }

func (coded) Error() string { return "coded" }

func TestErrorsCarryTheCause(t *testing.T) {
	err := error(&Error{Reason: ReasonLeft, Last: errDown, Cause: fmt.Errorf("stop: %w", coded{7})})
	if c, ok := errors.AsType[coded](err); !ok || c.code != 7 || !errors.Is(err, errDown) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", c, err)
	}
	err = &Error{Reason: ReasonAttempts, Last: coded{8}}
	if c, ok := errors.AsType[coded](err); !ok || c.code != 8 {
		t.Errorf("%v", c)
	}
	if _, ok := errors.AsType[*core.Rejection](err); ok || (&Error{}).Is(nil) || errors.Is(&Error{}, nil) {
		t.Error("found what is not there")
	}
}

func TestErrorText(t *testing.T) {
	for _, tt := range []struct {
		e    Error
		want string
	}{
		{Error{"p", 3, ReasonAttempts, errDown, nil}, `retry "p": no attempts left after 3 attempts: down`},
		{Error{"p", 1, ReasonBudget, errDown, nil}, `retry "p": retry budget exhausted after 1 attempt: down`},
		{Error{"p", 0, ReasonLeft, nil, context.Canceled}, `retry "p": context canceled before the first attempt`},
		{Error{}, `retry "": failed before the first attempt`},
	} {
		if got := tt.e.Error(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

type slow bool

func (slow) Error() string   { return "slow" }
func (s slow) Timeout() bool { return bool(s) }

// *url.Error asks the error it holds, and nothing beneath, so an *Error in between hid that a request had timed out.
func TestErrorSaysWhetherItWasATimeout(t *testing.T) {
	for _, tt := range []struct {
		e    Error
		want bool
	}{
		{Error{Reason: ReasonAttempts, Last: fmt.Errorf("get: %w", slow(true))}, true},
		{Error{Reason: ReasonAttempts, Last: slow(false)}, false},
		{Error{Reason: ReasonAttempts, Last: errDown}, false},
		{Error{Reason: ReasonExpired, Last: errDown}, true},
		{Error{Reason: ReasonLeft}, false},
	} {
		if tt.e.Timeout() != tt.want {
			t.Errorf("%v: %v", &tt.e, !tt.want)
		}
	}
}
