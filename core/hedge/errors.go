package hedge

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/mw-go/mw/core"
)

// ErrLost is the cause (context.Cause) of the context of an attempt that has lost: the call was decided without it.
var ErrLost = errors.New("hedge: another attempt was first")

var errNoFunction = errors.New("hedge: the function is nil")

// Error is the error of a call of which several attempts have failed. It unwraps to the best of their errors and then to the
// others; of rejections by guards of this module only if nothing else went wrong, so that one that an extra attempt
// met does not make the call look rejected. Immutable.
type Error struct {
	Policy string
	// Err is the best of the errors: the one that ended the call, if one did; else the last that says something of the
	// backend, as Failure, Timeout and Overload do; else the last.
	Err error
	// Others are the errors of the other attempts that had failed, in the order in which they did.
	Others []error
}

// Error returns such as `hedge "search": 2 attempts failed: connection refused; connection reset`.
func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString(string(core.KindHedge) + " " + strconv.Quote(e.Policy) + ": " + strconv.Itoa(1+len(e.Others)) + " attempts failed: ")
	text.WriteString(e.Err.Error())
	for _, err := range e.Others {
		text.WriteString("; " + err.Error())
	}
	return text.String()
}

// Unwrap returns Err and then Others, without rejections unless Err is one.
func (e *Error) Unwrap() []error {
	errs := []error{e.Err}
	for _, err := range e.Others {
		if !rejected(err) || rejected(e.Err) {
			errs = append(errs, err)
		}
	}
	return errs
}

func rejected(err error) bool {
	_, ok := errors.AsType[*core.Rejection](err)
	return ok
}

// classify is the outcome of an attempt by the hook, or by its default.
func classify(ctx context.Context, hook func(context.Context, error) core.Outcome, err error) core.Outcome {
	switch {
	case hook != nil:
		return hook(ctx, err)
	case err == nil:
		return core.Success
	default:
		return core.Classify(ctx, err)
	}
}
