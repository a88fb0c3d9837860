package httpmw

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/timeout"
	"github.com/mw-go/mw/httpmw/internal/intercept"
)

// bypasses reports whether a request asks for something that the enforced form would be in the way of.
func bypasses(r *http.Request) bool {
	if intercept.Bypasses(r) {
		return true
	}
	for _, line := range r.Header["Accept"] {
		if strings.Contains(strings.ToLower(line), "text/event-stream") {
			return true
		}
	}
	return false
}

// enforced is a handler that runs in a goroutine of its own. Its Writer holds what it says, and the gate behind that is shut
// when it is left.
type enforced struct {
	*timeout.Detached
	intercept.Writer
	gate *intercept.Gate
	body *gatedBody // nil if the request has none

	passing atomic.Bool // the response goes to the client as it is written
	stream  atomic.Bool // and it is one

	// Written by the handler's goroutine before it ends.
	inner    *record // of the outermost layer of ours in there; nil if there is none
	returned bool
	panic    any
}

// Decide holds the response until the handler has returned, unless it is too long or a stream.
func (e *enforced) Decide(_ *intercept.Writer, m intercept.Moment) intercept.Action {
	switch m {
	case intercept.Header:
		return intercept.Hold
	case intercept.Stream:
		e.stream.Store(true)
		e.passing.Store(true)
	case intercept.Full:
		e.passing.Store(true)
	}
	return intercept.Pass
}

// enforce runs the handler in a goroutine of its own, and answers for it when the time is over.
func (m *timeLimit) enforce(l *limited, x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	cancel := l.start()
	defer cancel()
	e := &enforced{Detached: l.time.Detach()}
	down := r.WithContext(insideTimeout{l.ctx, e})
	if r.Body != nil && r.Body != http.NoBody {
		e.body = &gatedBody{inner: r.Body}
		down.Body = e.body
	}
	e.gate = intercept.NewGate(w, down)
	inner := e.Begin(e.gate.Writer(), down, m.buffer, e)
	x.beforeHeader(l)
	defer l.settle(x)
	go e.run(next, inner, down)
	if e.left(l.ctx) {
		e.cut(l, x, w, r)
		return
	}
	handBack(r, down) // not before: a handler that was left behind still writes to it
	x.rec.adopt(e.inner)
	e.end(l, x, w, r)
}

// run runs the handler, and recovers: its panic belongs to the serving goroutine.
func (e *enforced) run(next http.Handler, w http.ResponseWriter, r *http.Request) {
	defer func() {
		if !e.returned {
			e.panic = recover()
			if e.panic != nil && e.panic != error(http.ErrAbortHandler) {
				e.panic = core.Recovered(e.panic)
			}
		}
		e.End(e.panic != nil)
	}()
	next.ServeHTTP(w, r)
	e.returned = true
}

// left waits until the handler has ended, and returns false, or until its time is over and it was left behind. The handler of
// a stream is waited for.
func (e *enforced) left(ctx context.Context) bool {
	select {
	case <-e.Ended():
		return false
	case <-ctx.Done():
	}
	if e.stream.Load() {
		<-e.Ended()
		return false
	}
	return e.Leave(ctx.Done())
}

// end passes on how a handler has ended that was not left behind.
func (e *enforced) end(l *limited, x *exchange, w http.ResponseWriter, r *http.Request) {
	over := l.over()
	if !e.returned {
		e.gate.Shut()
		if over != "" {
			x.rec.fail(over)
		}
		if e.panic != nil {
			panic(e.panic)
		}
		runtime.Goexit()
	}
	l.finished = true
	if e.Status() != 0 {
		_ = e.Finish() // the client may be gone
	}
	if over == "" || e.Sent() || intercept.AnnouncesTrailers(e.Header()) {
		e.gate.Finish() // who has said nothing has its fields sent with what a layer outside says, or a 200
	}
	e.gate.Shut()
	if over != "" {
		l.passed(x, w, r, over)
	}
}

// cut answers for a handler that was left behind.
func (e *enforced) cut(l *limited, x *exchange, w http.ResponseWriter, r *http.Request) {
	e.shut(w)
	if e.body != nil {
		e.body.shut(w)
	}
	over := l.over()
	if over == "" && errors.Is(l.outer.Err(), context.DeadlineExceeded) {
		over = errorExpired
	}
	switch {
	case over == "" && !x.sent(): // the client has left: there is nobody to answer
	case x.sent():
		x.rec.fail(over)
		if !x.whole() {
			panic(http.ErrAbortHandler)
		}
	default:
		x.rec.fail(over)
		if !hasBegun(w) {
			sendProblem(w, r, problemTimeout)
		}
	}
}

// shut takes the ResponseWriter back. A response that goes to a client who does not read must not hold us: it is lost anyway.
func (e *enforced) shut(w http.ResponseWriter) {
	wire := http.NewResponseController(w)
	cut := e.passing.Load() && wire.SetWriteDeadline(time.Now()) == nil
	if begun := e.gate.Shut(); cut && !begun { // it was about to begin
		_ = wire.SetWriteDeadline(time.Time{})
	}
}

// adopt learns what a record further in knows, whose handler has returned.
func (rec *record) adopt(inner *record) {
	if inner == nil {
		return
	}
	rec.rejected = rec.rejected || inner.rejected
	rec.late = rec.late || inner.late
	if inner.failure != "" {
		rec.fail(inner.failure)
	}
}

// insideTimeout is the context of a handler of the enforced form. By it the record further in is found.
type insideTimeout struct {
	context.Context
	e *enforced
}

type enforcedKey struct{}

// Value answers enforcedKey and leaves other keys to the parent.
func (c insideTimeout) Value(key any) any {
	if _, ok := key.(enforcedKey); ok {
		return c.e
	}
	return c.Context.Value(key)
}

// String keeps the request out of logs that print a context.
func (c insideTimeout) String() string { return "httpmw.insideTimeout" }

// gatedBody is the request's body for a handler that may be left behind: the server takes its connection back then.
type gatedBody struct {
	inner   io.ReadCloser
	closed  atomic.Bool
	reading atomic.Bool
	mu      sync.Mutex // held while inner is in use
}

// Read reads, unless the handler was left behind.
func (b *gatedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading.Store(true)
	defer b.reading.Store(false)
	if b.closed.Load() {
		return 0, http.ErrHandlerTimeout
	}
	return b.inner.Read(p)
}

// Close closes, unless the handler was left behind.
func (b *gatedBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed.Load() {
		return nil
	}
	return b.inner.Close()
}

// shut takes the body back. A Read that waits for the client is ended by a deadline, where the server can set one; it cannot
// be waited for otherwise.
func (b *gatedBody) shut(w http.ResponseWriter) {
	b.closed.Store(true)
	if b.reading.Load() && http.NewResponseController(w).SetReadDeadline(time.Now()) != nil {
		return
	}
	b.mu.Lock()
	//lint:ignore SA2001 whoever was reading is done now
	b.mu.Unlock()
}
