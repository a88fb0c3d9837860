package httpmw

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// clientLayer is what the RoundTrippers of this package have in common.
type clientLayer struct {
	name string
	next http.RoundTripper
}

func newClientLayer(name string, next http.RoundTripper) clientLayer {
	if next == nil {
		panic("httpmw: " + name + ": nil RoundTripper")
	}
	return clientLayer{name: name, next: next}
}

// Unwrap returns the RoundTripper behind this layer.
func (l *clientLayer) Unwrap() http.RoundTripper { return l.next }

// Layer returns the name of the middleware, such as "ClientRetry".
func (l *clientLayer) Layer() string { return l.name }

// CloseIdleConnections passes on what http.Client.CloseIdleConnections asks for.
func (l *clientLayer) CloseIdleConnections() {
	if c, ok := l.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// The bounds of reading what nobody wants: it saves the connection, which costs about a round trip to replace.
const (
	drainBytes = 4 << 10
	drainTime  = 5 * time.Millisecond
)

// discard lets go of a response that nobody will read: a small body is read to its end, so that the connection can be used
// again, and in any case the body is closed.
func discard(resp *http.Response) {
	if resp == nil || resp.Body == nil || resp.Body == http.NoBody {
		return
	}
	closing := sync.OnceFunc(func() { _ = resp.Body.Close() })
	defer closing()
	if resp.StatusCode == http.StatusSwitchingProtocols || resp.ContentLength > drainBytes {
		return
	}
	t := time.AfterFunc(drainTime, closing)
	defer t.Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, drainBytes+1)
}

// keep makes release run when the body of the response has ended or is closed.
func keep(resp *http.Response, release context.CancelFunc) {
	if resp.Body == nil || resp.Body == http.NoBody {
		release()
		return
	}
	body := &keptBody{ReadCloser: resp.Body, release: release}
	resp.Body = body
	if w, ok := body.ReadCloser.(io.Writer); ok { // 101 Switching Protocols: the body is the connection
		resp.Body = &keptConn{keptBody: body, Writer: w}
	}
}

// keptBody holds on to something until it has ended.
type keptBody struct {
	io.ReadCloser
	release context.CancelFunc // may be called often
}

// Read releases at the end of the body, or where it breaks off.
func (b *keptBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.release()
	}
	return n, err
}

// Close releases.
func (b *keptBody) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}

// keptConn is a keptBody that can be written to, and is until it is closed: its peer may be done earlier.
type keptConn struct {
	*keptBody
	io.Writer
}

// Read does not release.
func (c *keptConn) Read(p []byte) (int, error) { return c.ReadCloser.Read(p) }

// CloseWrite passes on what the connection of an http.Transport can do.
func (c *keptConn) CloseWrite() error {
	if half, ok := c.ReadCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return fmt.Errorf("httpmw: CloseWrite: %w", http.ErrNotSupported)
}
