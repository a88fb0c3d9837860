package grpcmw

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/mw-go/mw/core"
)

// Domain is the domain of the ErrorInfo details that this package makes.
const Domain = "mw-go.github.com"

// The reasons in ErrorInfo details. Its metadata names the policy.
const (
	ReasonRateLimited      = "RATE_LIMITED"
	ReasonBreakerOpen      = "BREAKER_OPEN"
	ReasonConcurrencyLimit = "CONCURRENCY_LIMIT"
	ReasonOverloaded       = "OVERLOADED"
	ReasonQueueTimeout     = "QUEUE_TIMEOUT"
	ReasonDeadline         = "DEADLINE_TOO_SHORT"
	ReasonServerTimeout    = "SERVER_TIMEOUT"
	ReasonPanic            = "PANIC"
	ReasonDraining         = "DRAINING"
)

// Trailers and metadata of gRPC's retries (proposal A6).
const (
	keyPushback = "grpc-retry-pushback-ms"
	keyAttempts = "grpc-previous-rpc-attempts"
)

// failure is an error of ours with its status on the wire. It unwraps to the cause, which never goes there.
type failure struct {
	status *status.Status
	cause  error
}

func (e *failure) Error() string              { return e.status.Err().Error() }
func (e *failure) GRPCStatus() *status.Status { return e.status }
func (e *failure) Unwrap() error              { return e.cause }

// row is a line of the one table of rejections.
type row struct {
	code   codes.Code
	reason string
	text   string // fixed and dull: nothing of the cause leaves the process
}

// rejectionRow is the one table: what each rejection is on the wire. Expired and left calls have their own codes, since their
// callers no longer listen.
func rejectionRow(kind core.Kind, why core.Reason) row {
	switch why.Base() {
	case core.ReasonLeft:
		return row{codes.Canceled, ReasonQueueTimeout, "canceled while waiting"}
	case core.ReasonExpired:
		return row{codes.DeadlineExceeded, ReasonQueueTimeout, "deadline passed while waiting"}
	}
	switch kind {
	case core.KindRateLimit:
		if why.Base() == core.ReasonWaited {
			return row{codes.ResourceExhausted, ReasonQueueTimeout, "rate limited"}
		}
		return row{codes.ResourceExhausted, ReasonRateLimited, "rate limited"}
	case core.KindBreaker:
		return row{codes.Unavailable, ReasonBreakerOpen, "temporarily unavailable"}
	case core.KindBulkhead:
		if why.Base() == core.ReasonWaited {
			return row{codes.ResourceExhausted, ReasonQueueTimeout, "too many calls at once"}
		}
		return row{codes.ResourceExhausted, ReasonConcurrencyLimit, "too many calls at once"}
	case core.KindTimeout:
		return row{codes.DeadlineExceeded, ReasonDeadline, "deadline too short"}
	case core.KindAdaptive:
		if why.Base() == core.ReasonWaited {
			return row{codes.Unavailable, ReasonQueueTimeout, "overloaded"}
		}
	}
	return row{codes.Unavailable, ReasonOverloaded, "overloaded"}
}

// rejection is the error for a call that a guard did not admit. remote tells that it goes over the wire, to a peer that can
// come again: a rejection on a client says nothing of a server, and carries no RetryInfo.
func rejection(d core.Decision, remote bool) *failure {
	by := d.By
	if by == nil { // a guard of somebody's own
		by = &core.Policy{}
	}
	r := rejectionRow(by.Kind, d.Reason)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{
		Reason: r.reason, Domain: Domain, Metadata: map[string]string{"policy": by.Name, "kind": string(by.Kind)},
	}}
	if remote && known(d.RetryAfter) {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(d.RetryAfter)})
	}
	if remote && r.reason == ReasonRateLimited {
		details = append(details, &errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{
			Subject: by.Name, Description: "at most " + strconv.FormatInt(by.Limit, 10) + " in " + by.Period.String(),
		}}})
	}
	return &failure{withDetails(r.code, r.text, details...), d.Err()}
}

// known reports whether a RetryAfter says something.
func known(d time.Duration) bool { return d > 0 && d != core.Never }

// withDetails is a status with details, without them if they cannot be encoded, which takes a broken registry.
func withDetails(code codes.Code, text string, details ...protoadapt.MessageV1) *status.Status {
	st := status.New(code, text)
	if full, err := st.WithDetails(details...); err == nil {
		return full
	}
	return st
}

// errorInfo is a status with nothing but a reason.
func errorInfo(code codes.Code, text, reason string) *status.Status {
	return withDetails(code, text, &errdetails.ErrorInfo{Reason: reason, Domain: Domain})
}

// pushback is the trailer that tells gRPC's own retries when to come again: after the delay, or not at all if the caller will
// not live to see it. Nothing is said if nothing is known.
func pushback(ctx context.Context, d core.Decision) metadata.MD {
	if !known(d.RetryAfter) {
		if d.RetryAfter == core.Never {
			return metadata.Pairs(keyPushback, "-1")
		}
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d.RetryAfter {
		return metadata.Pairs(keyPushback, "-1")
	}
	ms := (d.RetryAfter + time.Millisecond - 1) / time.Millisecond
	return metadata.Pairs(keyPushback, strconv.FormatInt(min(int64(ms), math.MaxInt32), 10))
}

// statusError is an error with a gRPC status. errors.As would allocate the variable that it fills.
type statusError interface {
	error
	GRPCStatus() *status.Status
}

// Status returns what err is on the wire: its gRPC status wherever in the chain, the code of a bare context error, and
// Unknown for everything else, also for a status that is missing or OK although err is not nil.
func Status(err error) *status.Status {
	if err == nil {
		return nil
	}
	if has, ok := errors.AsType[statusError](err); ok {
		if st := has.GRPCStatus(); st != nil && st.Code() != codes.OK {
			return st
		}
		return status.New(codes.Unknown, err.Error())
	}
	return status.FromContextError(err)
}

// StatusError turns the error of a dependency into what a handler may return: a *core.Rejection of a guarded client becomes
// the status that this package gives rejections, core.ErrTimeout DeadlineExceeded, and an error with a status is passed on as
// it is. Everything else is Internal with a fixed text, so that nothing of err reaches the client. nil stays nil.
func StatusError(err error) error {
	var rejected *core.Rejection
	var has interface{ GRPCStatus() *status.Status }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &has) && has.GRPCStatus() != nil && has.GRPCStatus().Code() != codes.OK:
		return err
	case errors.As(err, &rejected):
		f := rejection(core.Decision{
			By:         &core.Policy{Kind: rejected.Kind, Name: rejected.Policy},
			RetryAfter: rejected.RetryAfter, Verdict: core.Verdict{Reason: rejected.Reason},
		}, false)
		f.cause = err
		return f
	case errors.Is(err, core.ErrTimeout):
		return &failure{errorInfo(codes.DeadlineExceeded, "timed out", ReasonServerTimeout), err}
	case errors.Is(err, context.Canceled):
		return &failure{status.New(codes.Canceled, "canceled"), err}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{status.New(codes.DeadlineExceeded, "deadline exceeded"), err}
	default:
		return &failure{status.New(codes.Internal, "internal error"), err}
	}
}
