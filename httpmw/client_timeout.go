package httpmw

import (
	"context"
	"io"
	"net/http"
	"sync"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/timeout"
)

// ClientTimeout bounds how long a request may take, its response's body included, by the time of t: its limit, or less if
// the request's context has an earlier deadline. Outside of retries it is the total time, inside of them that of an
// attempt; take two machines for both.
//
// The context of the inner RoundTripper is done when the time is over, and lives until the body of the response has
// ended or is closed: who reads it has the whole body. Bodies of 101 stay io.Writers, and are not bounded: the call is
// over with the response.
//
// When the time is over, the error, of RoundTrip or of reading the body, is a *timeout.Error; it matches
// core.ErrTimeout, and context.Cause of the context says the same, so guards inside know that it was ours. A
// request whose caller has too little time left, or none, is not sent: it returns a *core.Rejection. It is cooperative: an
// inner RoundTripper that does not look at its context, which http.Transport does, is waited for.
//
// In shadow mode nothing is rejected or cut short, and in disabled mode nothing is done. It panics if t is nil.
func ClientTimeout(t *timeout.Timeout) func(http.RoundTripper) http.RoundTripper {
	if t == nil {
		panic("httpmw: ClientTimeout: nil timeout")
	}
	return func(next http.RoundTripper) http.RoundTripper {
		return &clientTimeout{newClientLayer("ClientTimeout", next), t}
	}
}

type clientTimeout struct {
	clientLayer
	t *timeout.Timeout
}

// RoundTrip implements http.RoundTripper.
func (t *clientTimeout) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	var now core.Time
	incoming := core.Never
	if deadline, ok := r.Context().Deadline(); ok {
		now = core.Now()
		incoming = core.TimeOf(deadline).Sub(now)
	}
	c := &timedCall{ctx: r.Context(), cancel: func() {}}
	var d core.Decision
	if c.time, d = t.t.Admit(now, incoming); !d.Admitted() {
		closeBody(r)
		return nil, d.Err()
	}
	if d.By.Mode == core.Enforce {
		c.ctx, c.cancel = c.time.Context(r.Context())
	}
	handed := false
	defer func() {
		if !handed { // a panic, runtime.Goexit or no response
			c.end(core.Failure)
		}
	}()
	if c.ctx != r.Context() {
		r = r.WithContext(c.ctx)
	}
	if resp, err = t.next.RoundTrip(r); err != nil {
		err = c.fail(err)
	}
	if resp == nil { // without an error, http.Client has the words for it
		return resp, err
	}
	handed = err == nil
	if handed {
		c.answered(resp)
	}
	return resp, err
}

// timedCall is a request that was given a time. It ends with the body of its response.
type timedCall struct {
	time   timeout.Allowance
	ctx    context.Context // of the inner RoundTripper
	cancel context.CancelFunc
	status core.Outcome // that of the response
	mu     sync.Mutex   // of time: the end of the body and Close may come from different goroutines
}

// answered hands the call to the body.
func (c *timedCall) answered(resp *http.Response) {
	c.status = ClassifyStatus(resp.StatusCode, resp.Header)
	switch w, conn := resp.Body.(io.Writer); {
	case resp.Body == nil, resp.Body == http.NoBody:
		c.end(c.status)
	case conn: // 101 Switching Protocols: the body is the connection, and has its own time
		c.settle(c.status)
		resp.Body = &keptConn{keptBody: &keptBody{ReadCloser: resp.Body, release: c.cancel}, Writer: w}
	default:
		resp.Body = &timedBody{ReadCloser: resp.Body, call: c}
	}
}

// settle tells the machine how the call went. Only the first call counts.
func (c *timedCall) settle(o core.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.time.Over(c.ctx) {
		o = core.Timeout
	}
	c.time.Done(0, o)
}

// end settles, and ends the context.
func (c *timedCall) end(o core.Outcome) {
	c.settle(o)
	c.cancel()
}

// fail ends a call with an error, and returns what to say of it.
func (c *timedCall) fail(err error) error {
	c.mu.Lock()
	o, err := c.time.Judge(c.ctx, err)
	c.time.Done(0, o)
	c.mu.Unlock()
	c.cancel()
	return err
}

// timedBody ends a call when the body ends.
type timedBody struct {
	io.ReadCloser
	call *timedCall
	mu   sync.Mutex
	err  error // that reading has ended with
}

// Read ends the call at the end of the body, or where it breaks off.
func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		return n, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil: // the context has ended since, and others would be blamed
	case err == io.EOF:
		b.err = err
		b.call.end(b.call.status)
	default:
		b.err = b.call.fail(err)
	}
	return n, b.err
}

// Close ends the call if the end was not reached: the caller had enough.
func (b *timedBody) Close() error {
	defer b.call.end(b.call.status)
	return b.ReadCloser.Close()
}
