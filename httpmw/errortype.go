package httpmw

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/mw-go/mw/core"
)

// The error.type of errors of a client, beside those that errors.go has.
const (
	errorName    = "name_resolution"
	errorConnect = "connection"
	errorOther   = "_OTHER"
)

// ClientErrorType names an error of an http.RoundTripper, or of the body of a response, in one word of a fixed list, fit
// for a label; empty for nil. ctx is the request's. The first line that fits decides:
//
//	a rejection by one of our guards                         the name of its reason: open, limited, full, ...
//	core.ErrTimeout, a deadline, a timeout of the network    timeout
//	the caller canceled the request                          canceled
//	the name of the host was not found                       name_resolution
//	the connection was refused, reset or broke off           connection
//	everything else                                          _OTHER
func ClientErrorType(ctx context.Context, err error) string {
	if err == nil {
		return ""
	}
	if r, ok := errors.AsType[*core.Rejection](err); ok {
		return r.Reason.String()
	}
	if errors.Is(err, core.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || deadlinePassed(ctx) {
		return errorTimeout
	}
	if errors.Is(err, context.Canceled) || ctx.Err() != nil {
		return errorCanceled
	}
	if d, ok := errors.AsType[*net.DNSError](err); ok && !d.IsTimeout {
		return errorName
	}
	if n, ok := errors.AsType[net.Error](err); ok && n.Timeout() {
		return errorTimeout
	}
	if _, ok := errors.AsType[*net.OpError](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errorConnect
	}
	return errorOther
}

// deadlinePassed reads the clock as well: what http.Client.Timeout ends fails with "request canceled", at times before the
// context knows.
func deadlinePassed(ctx context.Context) bool {
	if errors.Is(context.Cause(ctx), core.ErrTimeout) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return true
	}
	at, ok := ctx.Deadline()
	return ok && ctx.Err() == nil && !time.Now().Before(at)
}

// statusErrorType is the number of a status from the least one that is an error: 400 for a client, 500 for a server.
func statusErrorType(status, least int) string {
	if status < least {
		return ""
	}
	if status < 600 {
		return errorStatuses[status-400]
	}
	return strconv.Itoa(status)
}

// errorStatuses are the names of 400 to 599. Never written to.
var errorStatuses = func() (names [200]string) {
	for i := range names {
		names[i] = strconv.Itoa(400 + i)
	}
	return names
}()
