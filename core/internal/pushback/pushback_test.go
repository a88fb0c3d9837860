package pushback

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

type says bool

func (says) Error() string     { return "says" }
func (s says) Permanent() bool { return bool(s) }

type asks time.Duration

func (asks) Error() string               { return "asks" }
func (a asks) RetryAfter() time.Duration { return time.Duration(a) }

// The first error in the chain that has an opinion decides.
func TestFirstOpinion(t *testing.T) {
	errDown := errors.New("down")
	for _, tt := range []struct {
		err       error
		permanent bool
		after     time.Duration
	}{
		{nil, false, 0},
		{errDown, false, 0},
		{says(true), true, 0},
		{says(false), false, 0},
		{asks(time.Second), false, time.Second},
		{fmt.Errorf("call: %w", asks(-1)), false, -1},
		{errors.Join(errDown, says(true), asks(2)), true, 2},
		{errors.Join(says(false), says(true)), false, 0},
		{errors.Join(asks(1), asks(2)), false, 1},
	} {
		if got := Permanent(tt.err); got != tt.permanent {
			t.Errorf("%v: permanent %v", tt.err, got)
		}
		if got := After(tt.err); got != tt.after {
			t.Errorf("%v: after %v, want %v", tt.err, got, tt.after)
		}
	}
}
