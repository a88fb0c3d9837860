package httpmw

import (
	"context"
	"io"
	"net/http"
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

// ByHost is the key function of a client: the host and port that the request goes to.
func ByHost(r *http.Request) core.Key { return core.KeyOf(r.URL.Host) }

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
	list    []Guarded
	ctx     context.Context // of the request; the call lives no longer
	permits [maxGuards]core.Permit
	once    sync.Once // the end of the body and Close may come from different goroutines
}

// RoundTrip implements http.RoundTripper.
func (t *clientGuards) RoundTrip(r *http.Request) (*http.Response, error) {
	call := &clientCall{list: t.list, ctx: r.Context()}
	finished := false
	defer func() {
		if !finished {
			call.settle(core.Abandoned(call.ctx))
		}
	}()
	if d := call.acquire(r); !d.Admitted() {
		call.settle(core.Ignored)
		if r.Body != nil {
			_ = r.Body.Close() // RoundTrip must close it, also on errors
		}
		finished = true
		return nil, d.Err()
	}
	resp, err := t.next.RoundTrip(r)
	finished = true
	if err != nil {
		call.settle(core.Classify(call.ctx, err))
		return resp, err
	}
	call.answered(resp)
	return resp, nil
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
		if d.Now > now {
			now = d.Now
			for j := range c.permits[:i] {
				c.permits[j].Restart(now)
			}
		}
	}
	return d
}

// answered hands the permits to the body.
func (c *clientCall) answered(resp *http.Response) {
	now := core.Now()
	for i := range c.list {
		if c.list[i].classify(resp.StatusCode, resp.Header) == core.Success {
			c.permits[i].Progress(now)
		}
	}
	if resp.Body == nil || resp.Body == http.NoBody {
		c.done(now, resp.StatusCode, resp.Header, nil)
		return
	}
	body := &guardedBody{ReadCloser: resp.Body, call: c, status: resp.StatusCode, header: resp.Header}
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
func (c *clientCall) done(now core.Time, status int, h http.Header, err error) {
	c.once.Do(func() {
		for i := len(c.list) - 1; i >= 0; i-- {
			o := c.list[i].classify(status, h)
			if err != nil && err != io.EOF && o == core.Success {
				o = core.Classify(c.ctx, err)
			}
			c.permits[i].Done(now, o)
		}
	})
}

// guardedBody settles a call when the body ends.
type guardedBody struct {
	io.ReadCloser
	call   *clientCall
	status int
	header http.Header
}

// Read settles at the end of the body, or where it breaks off.
func (b *guardedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.call.done(core.Now(), b.status, b.header, err)
	}
	return n, err
}

// Close settles if the end was not reached: the caller had enough, which is no failure.
func (b *guardedBody) Close() error {
	err := b.ReadCloser.Close()
	b.call.done(core.Now(), b.status, b.header, nil)
	return err
}

// guardedConn is a guardedBody that can be written to.
type guardedConn struct {
	*guardedBody
	io.Writer
}
