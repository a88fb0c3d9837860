package intercept

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Gate is the ResponseWriter of a handler that runs in another goroutine than the one that serves the request, and may be
// left behind there. Its header is its own; all else goes through to the server until Shut, and afterwards fails with
// http.ErrHandlerTimeout. A layer that holds as well puts a Writer in front of it.
//
// It does not unwrap, so that nothing of the serving goroutine is found from the other one. Safe for the use of one
// goroutine as a ResponseWriter and of another that calls Shut.
type Gate struct {
	header http.Header // the handler's

	mu    sync.Mutex
	inner http.ResponseWriter
	req   *http.Request
	shut  bool
	begun bool // the final status or the connection went through
	sent  http.Header
}

// NewGate returns an open gate in front of inner. Its header starts as a copy of what inner's is.
func NewGate(inner http.ResponseWriter, r *http.Request) *Gate {
	h := inner.Header().Clone()
	if h == nil {
		h = http.Header{}
	}
	return &Gate{header: h, inner: inner, req: r}
}

// Writer returns the gate as a ResponseWriter with those of the methods Flush, Hijack and Push that inner has.
func (g *Gate) Writer() http.ResponseWriter {
	f, h, p := gateFlusher{g}, gateHijacker{g}, gatePusher{g}
	_, flushes := g.inner.(http.Flusher)
	_, hijacks := g.inner.(http.Hijacker)
	_, pushes := g.inner.(http.Pusher)
	switch {
	case flushes && hijacks:
		return struct {
			*Gate
			http.Flusher
			http.Hijacker
		}{g, f, h}
	case flushes && pushes:
		return struct {
			*Gate
			http.Flusher
			http.Pusher
		}{g, f, p}
	case flushes:
		return struct {
			*Gate
			http.Flusher
		}{g, f}
	default:
		return g
	}
}

// Shut closes the gate and reports whether the response had begun. When it returns, nothing is going through any more
// and the inner writer belongs to the caller again. A Shut after the handler has returned normally is preceded by
// Finish.
func (g *Gate) Shut() (begun bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	return g.begun
}

// Finish passes on what the handler has put into its header since the status: the trailers. To be called by the
// handler's goroutine, or by another one that knows that the handler has returned.
func (g *Gate) Finish() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return
	}
	to := g.inner.Header()
	if !g.begun {
		replace(to, g.header)
		return
	}
	changes := late{frozen: g.sent}
	changes.restore(g.header)
	changes.amend(to)
}

// replace makes to a copy of from.
func replace(to, from http.Header) {
	clear(to)
	for name, values := range from.Clone() {
		to[name] = values
	}
}

// through runs f with the inner writer unless the gate is shut. begins is whether f begins the response.
func (g *Gate) through(begins bool, f func(w http.ResponseWriter) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return http.ErrHandlerTimeout
	}
	if begins && !g.begun {
		g.copyHeader()
		g.begun = true
	}
	return f(g.inner)
}

func (g *Gate) copyHeader() {
	replace(g.inner.Header(), g.header)
	g.sent = g.header.Clone()
}

// Header returns the header map of the handler.
func (g *Gate) Header() http.Header { return g.header }

// WriteHeader passes a status on, if the gate is open.
func (g *Gate) WriteHeader(status int) {
	final := status >= 200 || status == http.StatusSwitchingProtocols && g.req.ProtoMajor < 2
	_ = g.through(final && status <= 999, func(w http.ResponseWriter) error {
		if !g.begun { // informational: with the fields of the moment, which whoever answers in the handler's place is rid of
			before := w.Header().Clone()
			defer func() { replace(w.Header(), before) }()
			g.copyHeader()
		}
		w.WriteHeader(status)
		return nil
	})
}

// Write passes a part of the body on, if the gate is open.
func (g *Gate) Write(p []byte) (n int, err error) {
	err = g.through(true, func(w http.ResponseWriter) error {
		n, err = w.Write(p)
		return err
	})
	return n, err
}

// WriteString is Write.
func (g *Gate) WriteString(s string) (n int, err error) {
	err = g.through(true, func(w http.ResponseWriter) error {
		n, err = io.WriteString(w, s)
		return err
	})
	return n, err
}

// FlushError is what http.ResponseController.Flush calls.
func (g *Gate) FlushError() error {
	if _, ok := g.inner.(http.Flusher); !ok {
		return http.ErrNotSupported
	}
	return g.through(true, func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() })
}

// SetReadDeadline is what http.ResponseController calls.
func (g *Gate) SetReadDeadline(t time.Time) error {
	return g.through(false, func(w http.ResponseWriter) error { return http.NewResponseController(w).SetReadDeadline(t) })
}

// SetWriteDeadline is what http.ResponseController calls.
func (g *Gate) SetWriteDeadline(t time.Time) error {
	return g.through(false, func(w http.ResponseWriter) error { return http.NewResponseController(w).SetWriteDeadline(t) })
}

// EnableFullDuplex is what http.ResponseController calls.
func (g *Gate) EnableFullDuplex() error {
	return g.through(false, func(w http.ResponseWriter) error { return http.NewResponseController(w).EnableFullDuplex() })
}

type (
	gateFlusher  struct{ g *Gate }
	gateHijacker struct{ g *Gate }
	gatePusher   struct{ g *Gate }
)

func (f gateFlusher) Flush() { _ = f.g.FlushError() }

func (h gateHijacker) Hijack() (conn net.Conn, buf *bufio.ReadWriter, err error) {
	err = h.g.through(false, func(w http.ResponseWriter) error {
		conn, buf, err = w.(http.Hijacker).Hijack()
		h.g.begun = h.g.begun || err == nil
		return err
	})
	return conn, buf, err
}

func (p gatePusher) Push(target string, o *http.PushOptions) error {
	return p.g.through(false, func(w http.ResponseWriter) error { return w.(http.Pusher).Push(target, o) })
}
