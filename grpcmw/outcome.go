package grpcmw

import (
	"context"
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/core"
)

// Classify is the default of GuardConfig.Classify, on servers and clients: how a call ended, for the guards. The first line
// that fits decides:
//
//	err is nil                                              Success
//	a *core.Rejection in the chain                          Ignored
//	core.ErrTimeout in the chain                            Timeout
//	ctx is done                                             Timeout, Expired or Canceled, as core.ClassifyDone says; Expired
//	                                                        too if its deadline has passed by now: the client may have
//	                                                        given up at it a moment before the server saw it pass
//	ResourceExhausted, and Unavailable with a RetryInfo     Overload
//	Canceled                                                Canceled
//	DeadlineExceeded                                        Timeout: a deadline further down
//	Unavailable, Internal, Unknown, DataLoss                Failure
//	every other code                                        Success: it is the caller's error, or no fault of health
//
// A pushback trailer, which no error carries, makes Unavailable Overload as well where this package sees it.
func Classify(ctx context.Context, err error) core.Outcome {
	if err == nil {
		return core.Success
	}
	if _, ok := errors.AsType[*core.Rejection](err); ok {
		return core.Ignored
	}
	if errors.Is(err, core.ErrTimeout) {
		return core.Timeout
	}
	if ctx.Err() != nil {
		return done(ctx)
	}
	st := Status(err)
	switch st.Code() {
	case codes.ResourceExhausted:
		return core.Overload
	case codes.Unavailable:
		if hasRetryInfo(st) {
			return core.Overload
		}
		return core.Failure
	case codes.Canceled:
		return core.Canceled
	case codes.DeadlineExceeded:
		return core.Timeout
	case codes.Internal, codes.Unknown, codes.DataLoss:
		return core.Failure
	default:
		return core.Success
	}
}

func done(ctx context.Context) core.Outcome {
	o := core.ClassifyDone(ctx)
	if deadline, ok := ctx.Deadline(); ok && o == core.Canceled && time.Until(deadline) <= 0 {
		return core.Expired
	}
	return o
}

func hasRetryInfo(st *status.Status) bool {
	for _, d := range st.Details() {
		if _, ok := d.(*errdetails.RetryInfo); ok {
			return true
		}
	}
	return false
}

func (g *GuardConfig) classify(ctx context.Context, err error) core.Outcome {
	if g.Classify != nil {
		return g.Classify(ctx, err)
	}
	return Classify(ctx, err)
}
