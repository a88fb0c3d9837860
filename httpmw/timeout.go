package httpmw

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/core/timeout"
	"github.com/mw-go/mw/httpmw/internal/intercept"
)

// TimeoutConfig is the Config of Timeout. The zero value is the cooperative form.
type TimeoutConfig struct {
	// Enforced answers for a handler that does not look at its context: it runs in a goroutine of its own, its response is
	// held, and when the time is over it is left behind.
	Enforced bool
	// Buffer is how many bytes of body the enforced form holds. A response that is longer goes to the client as it is
	// written: when the time is over then, it is aborted. Default 1048576. Range 1 to 1073741824.
	Buffer int `default:"1048576" range:"1..1073741824"`
	// Skip exempts requests, such as those of streams. nil exempts none.
	Skip func(*http.Request) bool `key:"-"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c TimeoutConfig) Validate() error { return schema.Validate(c) }

// Timeout returns a middleware that gives the handler the time of t: its limit, or less if the request's context has an
// earlier deadline. When it is over, the request's context is done; context.Cause is then an error that matches
// core.ErrTimeout, unless it was the caller's time. Settings of t apply to the next request.
//
// By default it is cooperative: the handler runs on in its goroutine until it looks at its context, writes to the client
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
// A request whose caller has less time left than t wants (Config.MinRest, RestQuantile, Margin) gets a 503 with
// Retry-After before the handler runs. In shadow mode nothing is rejected or cut short, and in disabled mode nothing is
// done.
//
// # Enforced
//
// The handler runs in another goroutine, and when the time is over the client gets the 503 whether or not it returns.
// So its response is held until it returns: net/http sends its header and body then. A response that passes Buffer is
// sent as it comes; if the time is over then, it is aborted. After that the handler's writes fail with
// http.ErrHandlerTimeout, and so do its reads of the request's body. Its header is its own throughout.
//
// A panic before that is carried to the serving goroutine, as a *core.PanicError with its stack (http.ErrAbortHandler as it
// is), and runtime.Goexit as well. At most MaxAbandoned handlers of t are left behind at once, and Snapshot counts
// them: when so many run on, a request whose time is over waits for its handler or for a place. A client that leaves
// ends the waiting for its handler too.
//
// Upgrades, tunnels, gRPC and requests that accept text/event-stream have the cooperative form. A response that
// turns out to be a stream, by its Content-Type or because it is flushed, is sent as it comes and not cut: its handler
// has to look at its context.
//
// Layers inside the enforced form have a record of their own, as inside http.TimeoutHandler; outer guards and logs
// learn of their rejections, and of the route, if the handler has returned in time.
//
// It fails if t is nil or the Config does not validate. At most one Config. The cooperative form costs four
// allocations for the timer, and one for the request; no timer, none of the four.
func Timeout(t *timeout.Timeout, c ...TimeoutConfig) (func(http.Handler) http.Handler, error) {
	config := atMostOne("Timeout", c)
	if t == nil {
		return nil, errors.New("httpmw: Timeout: nil timeout")
	}
	if err := config.Validate(); err != nil {
		return nil, err
	}
	m := &timeLimit{t: t, skip: config.Skip}
	if config.Enforced {
		m.buffer = schema.Fill(config).Buffer
	}
	return wrap("Timeout", m), nil
}

// timeLimit is Timeout and Deadline.
type timeLimit struct {
	t      *timeout.Timeout
	skip   func(*http.Request) bool
	told   func(*http.Request) time.Duration // how long the caller says it will wait, or core.Never; nil asks nobody
	buffer int                               // of the enforced form; 0 is the cooperative one
}

func (m *timeLimit) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if m.skip != nil && m.skip(r) {
		next.ServeHTTP(w, r)
		return
	}
	l := x.rec.limit()
	l.ctx, l.outer, l.begun = r.Context(), r.Context(), x.sent()
	d := m.admit(l, r)
	switch {
	case !d.Admitted():
		turnAway(x, w, r, &d)
	case d.By.Mode != core.Enforce:
		defer l.settle(x)
		next.ServeHTTP(w, r)
		l.finished = true
	case m.buffer > 0 && !bypasses(r):
		m.enforce(l, x, w, r, next)
	default:
		l.cooperate(x, w, r, next)
	}
}

// admit asks the machine for the request's time. The clock is read if that of the caller is bounded.
func (m *timeLimit) admit(l *limited, r *http.Request) (d core.Decision) {
	var now core.Time
	incoming := core.Never
	if deadline, ok := r.Context().Deadline(); ok {
		now = core.Now()
		incoming = core.TimeOf(deadline).Sub(now)
	}
	if m.told != nil {
		incoming = min(incoming, m.told(r))
	}
	l.bounded = incoming != core.Never
	l.time, d = m.t.Admit(now, incoming)
	return d
}

// turnAway answers a request that is not worth beginning with.
func turnAway(x *exchange, w http.ResponseWriter, r *http.Request, d *core.Decision) {
	x.rec.rejected = true
	x.rec.fail(d.Reason.String())
	if hasBegun(w) {
		if !x.hijacked {
			panic(http.ErrAbortHandler) // a part of the response is missing
		}
		return
	}
	w.Header()["Retry-After"] = []string{"1"} // the next try has its time anew
	sendProblem(w, r, problemTooLate)
}

// limited is one request that was given a time.
type limited struct {
	time     timeout.Allowance
	ctx      context.Context // of the handler
	outer    context.Context // that it was made from
	bounded  bool            // the caller's time may be what ends it
	begun    bool            // the response began in time
	finished bool            // the handler has returned
}

// limit takes the place that the record brings along, or makes a further one.
func (rec *record) limit() *limited {
	if rec.limited.ctx != nil {
		return &limited{}
	}
	return &rec.limited
}

// cooperate runs the handler in this goroutine.
func (l *limited) cooperate(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	cancel := l.start()
	down := r.WithContext(l.ctx)
	x.deep = down
	x.beforeHeader(l)
	defer func() {
		over := l.over()
		l.settle(x)
		cancel()
		handBack(r, down)
		if over != "" {
			l.passed(x, w, r, over)
		}
	}()
	next.ServeHTTP(w, down)
	l.finished = true
}

// start makes the handler's context.
func (l *limited) start() context.CancelFunc {
	ctx, cancel := l.time.Context(l.outer)
	if l.ctx = ctx; l.bounded {
		l.ctx = intercept.Expiring(ctx, l.outer)
	}
	return cancel
}

// over returns the error.type of a request whose time is over, by our doing: neither because the client left nor by somebody
// else's deadline. Else it is empty.
func (l *limited) over() string {
	switch {
	case timedOut(l.ctx):
		return errorTimeout
	case l.ctx.Err() != nil && l.outer.Err() == nil:
		return errorExpired
	default:
		return ""
	}
}

// timedOut reports whether a Timeout ended ctx, and not the client or somebody else's deadline.
func timedOut(ctx context.Context) bool {
	return ctx.Err() != nil && errors.Is(context.Cause(ctx), core.ErrTimeout)
}

// beforeHeader watches whether the response begins in time.
func (l *limited) beforeHeader(x *exchange, _ int) {
	l.begun = l.ctx.Err() == nil
	x.rec.late = x.rec.late || !l.begun
}

// passed ends a response whose handler is done after the deadline.
func (l *limited) passed(x *exchange, w http.ResponseWriter, r *http.Request, over string) {
	switch {
	case !l.finished, writeProblem(w, r, problemTimeout):
		x.rec.fail(over)
	case l.begun && !x.whole():
		x.rec.fail(over)
		panic(http.ErrAbortHandler)
	}
}

// settle tells the machine how it went: it learns from how long good answers took.
func (l *limited) settle(x *exchange) {
	o := core.Failure
	switch {
	case l.time.Over(l.ctx):
		o = core.Timeout
	case x.rec.rejected:
		o = core.Ignored
	case l.finished && !x.hijacked && l.ctx.Err() == nil:
		o = ClassifyStatus(x.finalStatus(), x.Header())
	}
	l.time.Done(0, o)
}
