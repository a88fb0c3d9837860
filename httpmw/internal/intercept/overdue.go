package intercept

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/mw-go/mw/core"
)

// Left reports whether the response is that of a Timeout outside, whose time has passed with nothing sent: either the
// handler has said nothing, or what it began in time is still held and may be a part of what it meant. Without the
// layer that part would have been sent, and then aborted. To be asked before Finish, once the handler has returned.
func (w *Writer) Left() bool {
	switch {
	case w.Sent() || !Overdue(w.req.Context()):
		return false
	case w.status == 0:
		return true
	case !w.inTime, bodyless(w.status), w.req.Method == http.MethodHead:
		return false // nothing is missing
	default:
		return (w.declared < 0 || !w.Whole()) && !AnnouncesTrailers(w.Header())
	}
}

// Overdue reports whether a Timeout has ended ctx, the context of a request, and answers it if nobody else does: neither
// because the client has left nor by somebody else's deadline.
func Overdue(ctx context.Context) bool {
	if ctx.Err() == nil {
		return false
	}
	if errors.Is(context.Cause(ctx), core.ErrTimeout) {
		return true
	}
	overdue, _ := ctx.Value(overdueKey{}).(bool)
	return overdue
}

// Expiring returns ctx as one whose end is answered by a layer outside, unless that of outer came first. It is for a time
// that the caller has set, whose end has the cause of any deadline.
func Expiring(ctx, outer context.Context) context.Context { return expiring{ctx, outer} }

type expiring struct {
	context.Context
	outer context.Context
}

type overdueKey struct{}

// Value answers overdueKey and leaves other keys to the parent.
func (c expiring) Value(key any) any {
	if _, ok := key.(overdueKey); ok {
		return c.Err() != nil && c.outer.Err() == nil || Overdue(c.outer)
	}
	return c.Context.Value(key)
}

// String keeps the request out of logs that print a context.
func (c expiring) String() string { return "httpmw.expiring" }

// AnnouncesTrailers reports whether trailers were announced, by the Trailer field or by http.TrailerPrefix.
func AnnouncesTrailers(h http.Header) bool {
	if len(h["Trailer"]) > 0 {
		return true
	}
	for name := range h {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}
