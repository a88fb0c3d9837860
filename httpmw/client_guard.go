package httpmw

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/mw-go/mw/core"
)

// ClientGuard is Guard for an http.RoundTripper. A request that is not admitted returns a *core.Rejection and no
// response: a RoundTripper invents none.
//
// The permits live as long as the response: they settle when its body is read to the end or closed, so that a
// download holds its slot until it is through, and a body that breaks off is a failure. A response of 101 settles when its
// connection is closed. An error of the inner RoundTripper is classified by core.Classify, a response by Classify.
//
// A deadline on the request's context is the caller's: that it passed says nothing of the backend, and opens no breaker.
// That http.Client.Timeout passed is a timeout and does, and so is a context that context.WithTimeoutCause ended with
// core.ErrTimeout: put one of them in front of a breaker, so that it sees a backend that hangs.
//
// It costs one allocation a request, and one for the body of the response.
func ClientGuard(list ...Guarded) func(http.RoundTripper) http.RoundTripper {
	return newClientGuards("ClientGuard", list)
}

// ClientRateLimit is ClientGuard for a rate limit. At most one Config.
func ClientRateLimit(g core.Guard, c ...GuardConfig) func(http.RoundTripper) http.RoundTripper {
	return newClientGuards("ClientRateLimit", []Guarded{{g, atMostOne("ClientRateLimit", c)}})
}

// ClientBulkhead is ClientGuard for a bulkhead. At most one Config.
func ClientBulkhead(g core.Guard, c ...GuardConfig) func(http.RoundTripper) http.RoundTripper {
	return newClientGuards("ClientBulkhead", []Guarded{{g, atMostOne("ClientBulkhead", c)}})
}

// ClientBreaker is ClientGuard for a circuit breaker. With a keyed one and ByHost each host has its own state. At most
// one Config.
func ClientBreaker(g core.Guard, c ...GuardConfig) func(http.RoundTripper) http.RoundTripper {
	return newClientGuards("ClientBreaker", []Guarded{{g, atMostOne("ClientBreaker", c)}})
}

// ByHost is the key function of a client: the host and port that the request goes to, the scheme's if the URL names
// none. It does not allocate unless the host has capital letters.
func ByHost(r *http.Request) core.Key {
	port := r.URL.Port()
	switch {
	case port != "":
	case r.URL.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return core.KeyOf(strings.ToLower(r.URL.Hostname())).Join(core.KeyOf(port))
}

func newClientGuards(name string, list []Guarded) func(http.RoundTripper) http.RoundTripper {
	checkGuards(name, list)
	list = append([]Guarded(nil), list...)
	return func(next http.RoundTripper) http.RoundTripper {
		if next == nil {
			panic("httpmw: " + name + ": nil RoundTripper")
		}
		return &clientGuards{list: list, next: next}
	}
}

// clientGuards is the one adapter between guards and RoundTrippers.
type clientGuards struct {
	list []Guarded
	next http.RoundTripper
}

// Unwrap returns the RoundTripper behind the guards.
func (t *clientGuards) Unwrap() http.RoundTripper { return t.next }

// CloseIdleConnections passes on what http.Client.CloseIdleConnections asks for.
func (t *clientGuards) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// clientCall is the permits of one request.
type clientCall struct {
	list     []Guarded
	ctx      context.Context // of the request; the call lives no longer
	cancel   <-chan struct{} // Request.Cancel
	permits  [maxGuards]core.Permit
	outcomes [maxGuards]core.Outcome // of the response, whatever becomes of its body
	once     sync.Once               // the end of the body and Close may come from different goroutines
}

func newCall(list []Guarded, r *http.Request) *clientCall {
	//lint:ignore SA1019 deprecated for callers, but http.Client sets it
	return &clientCall{list: list, ctx: r.Context(), cancel: r.Cancel} //nolint:staticcheck // the same for golangci-lint
}

// RoundTrip implements http.RoundTripper.
func (t *clientGuards) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	call := newCall(t.list, r)
	asked, finished := false, false
	defer func() { // a panic or runtime.Goexit, of the transport or of the user's functions
		switch {
		case finished:
		case !asked:
			call.settle(core.Ignored)
			closeBody(r)
		default:
			call.settle(abandoned(call.ctx))
			if resp != nil && resp.Body != nil {
				_ = resp.Body.Close()
			}
		}
	}()
	if d := call.acquire(r); !d.Admitted() {
		call.settle(core.Ignored)
		finished = true
		closeBody(r)
		return nil, d.Err()
	}
	asked = true
	resp, err = t.next.RoundTrip(r)
	switch {
	case err != nil:
		call.settle(call.classify(err))
	case resp == nil:
		call.settle(core.Failure) // http.Client has the words for it
	default:
		call.answered(resp)
	}
	finished = true
	return resp, err
}

// closeBody does what a RoundTripper must, also on errors.
func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

func (c *clientCall) acquire(r *http.Request) (d core.Decision) {
	now := core.Now()
	for i := range c.list {
		g := &c.list[i]
		if g.Skip != nil && g.Skip(r) {
			continue
		}
		c.permits[i], d = g.Guard.Acquire(c.ctx, g.call(r, now))
		if !d.Admitted() {
			return d
		}
		now = d.Restart(c.permits[:i], now)
	}
	return d
}

// answered classifies the response, as long as nobody else has it, and hands the permits to the body.
func (c *clientCall) answered(resp *http.Response) {
	now := core.Now()
	for i := range c.list {
		c.outcomes[i] = c.list[i].classify(resp.StatusCode, resp.Header)
		if c.outcomes[i] == core.Success {
			c.permits[i].Progress(now)
		}
	}
	if resp.Body == nil || resp.Body == http.NoBody {
		c.done(now, nil)
		return
	}
	body := &guardedBody{ReadCloser: resp.Body, call: c}
	resp.Body = body
	if w, ok := body.ReadCloser.(io.Writer); ok { // 101 Switching Protocols: the body is the connection
		resp.Body = &guardedConn{guardedBody: body, Writer: w}
	}
}

// settle gives every permit back with the same outcome, the last first. Only the first call counts.
func (c *clientCall) settle(o core.Outcome) {
	c.once.Do(func() {
		now := core.Now()
		for i := len(c.list) - 1; i >= 0; i-- {
			c.permits[i].Done(now, o)
		}
	})
}

// done gives the permits back after a response; err is what reading its body ended with, nil or io.EOF if it was whole.
func (c *clientCall) done(now core.Time, err error) {
	c.once.Do(func() {
		body := core.Success
		if err != nil && err != io.EOF {
			body = c.classify(err)
		}
		for i := len(c.list) - 1; i >= 0; i-- {
			o := c.outcomes[i]
			if o == core.Success {
				o = body
			}
			c.permits[i].Done(now, o)
		}
	})
}
