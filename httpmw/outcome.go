package httpmw

import (
	"context"
	"net/http"

	"github.com/mw-go/mw/core"
)

// ClassifyStatus is the default of GuardConfig.Classify, for handlers and for clients: 429, and 503 with Retry-After,
// are Overload; every other 5xx is Failure; the rest is Success.
func ClassifyStatus(status int, h http.Header) core.Outcome {
	switch {
	case status == http.StatusTooManyRequests,
		status == http.StatusServiceUnavailable && len(h["Retry-After"]) > 0:
		return core.Overload
	case status >= 500:
		return core.Failure
	default:
		return core.Success
	}
}

func (g *GuardConfig) classify(status int, h http.Header) core.Outcome {
	if g.Classify != nil {
		return g.Classify(status, h)
	}
	return ClassifyStatus(status, h)
}

// outcome classifies what the handler did. The first line that fits decides:
//
//	a guard of ours has answered, here or further in    Ignored
//	a Key, Cost or Skip panicked: no handler ran        Ignored
//	a Timeout further in has answered, or cut it off    Timeout
//	a Deadline has, when the caller's time was over     Expired
//	the handler panicked or ended its goroutine         Failure, or why the request had ended before
//	it took the connection                              Success
//	what Classify says of the status is a failure, or
//	there was no answer, and the request had ended      why it had: Timeout, Expired or Canceled
//	a Timeout further out will cut the answer off       Timeout
//	everything else                                     what Classify says of the status
func (a *admission) outcome(g *GuardConfig, x *exchange, r *http.Request) core.Outcome {
	switch {
	case a.rec.rejected, !a.began:
		return core.Ignored
	case a.rec.failure == errorTimeout:
		return core.Timeout
	case a.rec.failure == errorExpired:
		return core.Expired
	case !a.finished:
		return abandoned(r.Context())
	case x.hijacked:
		return core.Success
	}
	o := g.classify(x.finalStatus(), x.Header())
	switch ctx := r.Context(); {
	case ctx.Err() == nil:
		return o
	case o == core.Failure, !x.sent():
		return core.ClassifyDone(ctx)
	case o == core.Success && timedOut(ctx) && !a.rec.late && !x.whole():
		return core.Timeout
	default:
		return o
	}
}

// abandoned is core.Abandoned, but for a panic that follows from our own timeout: a proxy aborts so when its backend
// hangs in the middle of a body.
func abandoned(ctx context.Context) core.Outcome {
	if timedOut(ctx) {
		return core.Timeout
	}
	return core.Abandoned(ctx)
}
