package httpmw

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
)

// clientGrace is how long after the deadline http.Client may take to say that it was its own: a time slice of the
// scheduler. On a machine that is busier than that some of its timeouts are taken for the caller's, and count for nothing.
const clientGrace = 10 * time.Millisecond

// classify is core.Classify, but for the Timeout of an http.Client: to a RoundTripper it looks like a deadline of the
// caller, and a backend that hangs would never open a breaker.
func (c *clientCall) classify(err error) core.Outcome {
	o := core.Classify(c.ctx, err)
	if o == core.Expired && c.clientTimedOut() {
		return core.Timeout
	}
	return o
}

// clientTimedOut reports whether http.Client.Timeout has passed. The client gives the context a deadline without a cause,
// and closes Request.Cancel at the same moment, from a goroutine that may come a little later. It does not if the
// caller's own deadline came first.
func (c *clientCall) clientTimedOut() bool {
	if c.cancel == nil {
		return false
	}
	deadline, _ := c.ctx.Deadline()
	select {
	case <-c.cancel:
		return true
	default:
	}
	t := time.NewTimer(clientGrace - time.Since(deadline))
	defer t.Stop()
	select {
	case <-c.cancel:
		return true
	case <-t.C:
		return false
	}
}

// guardedBody settles a call when the body ends.
type guardedBody struct {
	io.ReadCloser
	call    *clientCall
	closing atomic.Bool // Close has begun: what a Read in another goroutine fails with is its doing
}

// Read settles at the end of the body, or where it breaks off.
func (b *guardedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !b.closing.Load() {
		b.end(err)
	}
	return n, err
}

// Close settles if the end was not reached: the caller had enough, which is no failure.
func (b *guardedBody) Close() error {
	b.closing.Store(true)
	defer b.end(nil)
	return b.ReadCloser.Close()
}

func (b *guardedBody) end(err error) { b.call.done(core.Now(), err) }

// guardedConn is a guardedBody that can be written to, and is until it is closed: its peer may be done earlier.
type guardedConn struct {
	*guardedBody
	io.Writer
}

// Read does not settle.
func (c *guardedConn) Read(p []byte) (int, error) { return c.ReadCloser.Read(p) }

// CloseWrite passes on what the connection of an http.Transport can do.
func (c *guardedConn) CloseWrite() error {
	if half, ok := c.ReadCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return fmt.Errorf("httpmw: CloseWrite: %w", http.ErrNotSupported)
}
