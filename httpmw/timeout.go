package httpmw

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// TimeoutConfig is the Config of Timeout.
type TimeoutConfig struct {
	// Timeout is how long the handler may take before its context is done. Required. Range 1ms to 24h.
	Timeout time.Duration `required:"true" range:"1ms..24h"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c TimeoutConfig) Validate() error { return schema.Validate(c) }

// Timeout returns a middleware that puts a deadline on the request's context; context.Cause is core.ErrTimeout when it
// has passed. An earlier deadline of the context stays.
//
// It is cooperative: the handler runs on in its goroutine until it looks at its context, writes to the client
// directly, and may stream. When it returns after the deadline,
//
//	and nothing was sent            the client gets a 503 with a problem document; without Retry-After, since
//	                                nothing is known of the next try
//	and the response began later    it stands: the handler answered for itself, late
//	and the response began earlier  it is aborted, as by http.ErrAbortHandler, for it may be a part of what was
//	                                meant and would look like the whole
//
// A response that began earlier stands if it is whole for certain or says itself whether it is: its Content-Length was
// written, it has no body, its handler announced trailers, or the connection was hijacked. A handler that announced
// trailers and sent nothing is left to them as well.
//
// It fails if the Config does not validate.
func Timeout(c TimeoutConfig) (func(http.Handler) http.Handler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return wrap("Timeout", &timeout{after: c.Timeout}), nil
}

type timeout struct{ after time.Duration }

func (m *timeout) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), m.after, core.ErrTimeout)
	down := r.WithContext(ctx)
	x.deep = down
	d := &deadline{ctx: ctx, begun: x.sent()}
	x.beforeHeader(d)
	finished := false
	defer func() {
		late := timedOut(ctx)
		cancel()
		handBack(r, down)
		if late {
			d.passed(x, w, r, finished)
		}
	}()
	next.ServeHTTP(w, down)
	finished = true
}

// timedOut reports whether a Timeout ended ctx, and not the client or somebody else's deadline.
func timedOut(ctx context.Context) bool {
	return ctx.Err() != nil && errors.Is(context.Cause(ctx), core.ErrTimeout)
}

// deadline watches whether the response begins before it.
type deadline struct {
	ctx   context.Context
	begun bool
}

func (d *deadline) beforeHeader(x *exchange, _ int) {
	d.begun = d.ctx.Err() == nil
	x.rec.late = x.rec.late || !d.begun
}

// passed ends a response whose handler is done after the deadline.
func (d *deadline) passed(x *exchange, w http.ResponseWriter, r *http.Request, finished bool) {
	switch {
	case !finished, writeProblem(w, r, problemTimeout):
		x.rec.fail(errorTimeout)
	case d.begun && !x.whole():
		x.rec.fail(errorTimeout)
		panic(http.ErrAbortHandler)
	}
}
