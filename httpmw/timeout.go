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
// It is cooperative: the handler runs on in its goroutine until it looks at its context, writes to the client directly,
// and may stream. If it returns after the deadline without having sent anything, the client gets a 503 with a problem
// document, without Retry-After, since nothing is known of the next try. If it has sent something, that stands: a handler that
// stops in the middle of a body should panic with http.ErrAbortHandler, or the client takes what there is for the whole.
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
	finished := false
	defer func() {
		handBack(r, down)
		// A response that was finished late is no failure; one that was given up, here or by the handler, is.
		if timedOut(ctx) && (!finished || writeProblem(w, r, problemTimeout)) {
			x.rec.fail(errorTimeout)
		}
		cancel()
	}()
	next.ServeHTTP(w, down)
	finished = true
}

// timedOut reports whether a Timeout ended ctx, and not the client or somebody else's deadline.
func timedOut(ctx context.Context) bool {
	return ctx.Err() != nil && errors.Is(context.Cause(ctx), core.ErrTimeout)
}
