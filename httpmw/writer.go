package httpmw

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"

	"github.com/mw-go/mw/httpmw/internal/intercept"
)

// exchange is what passed through one ResponseWriter. Its methods are those that every wrapped writer has; the shapes
// add the optional ones. It belongs to the goroutine that serves the request, as a ResponseWriter does.
type exchange struct {
	rec    *record
	inner  http.ResponseWriter
	req    *http.Request // the request passed on when the exchange began
	method string        // of req, as it came in
	deep   *http.Request // the latest copy of it that a layer saw: its Pattern names the route

	hooks   []headerHook
	hookBuf [3]headerHook

	bytes    int64 // of the body, on the wire
	status   int   // the final status once decided, else 0
	surplus  int   // WriteHeader calls that came too late and were not passed on
	bodyless bool  // nothing written reaches the wire: HEAD, 1xx, 204, 304
	hijacked bool
	copying  bool // inner.ReadFrom runs, or has panicked: the header may be out
	careful  bool // a hook draws conclusions from the status: it must hear none that may still change
	flushed  bool // the handler has flushed: a stream
	aborted  bool // the first layer was left by panic or runtime.Goexit
}

// headerHook is called once, right before the header of the final response is sent: the last moment to change it.
// status is what is about to be sent. It is not called for 1xx answers (101 is final) nor when the connection is
// hijacked before. In the case of a ReadFrom that turns out empty a later WriteHeader may send another status, unless
// the exchange is careful.
type headerHook interface {
	beforeHeader(x *exchange, status int)
}

// hijackHook is a headerHook that is told when the connection is hijacked before a header was sent.
type hijackHook interface{ afterHijack() }

// recorded is a ResponseWriter of this package.
type recorded interface{ state() *exchange }

// unwrapper is what http.ResponseController looks for.
type unwrapper interface{ Unwrap() http.ResponseWriter }

func (x *exchange) init(rec *record, w http.ResponseWriter, r *http.Request) {
	x.rec, x.inner, x.req, x.deep = rec, w, r, r
	x.method = r.Method
	x.bodyless = r.Method == http.MethodHead
}

func (x *exchange) state() *exchange { return x }

// beforeHeader asks for a call of h before the header is sent. The last to ask is called first, so that outer layers
// have the last word.
func (x *exchange) beforeHeader(h headerHook) {
	if x.hooks == nil {
		x.hooks = x.hookBuf[:0]
	}
	x.hooks = append(x.hooks, h)
}

// sent reports whether the response can no longer be replaced: the final status is decided or the connection taken.
func (x *exchange) sent() bool { return x.status != 0 || x.hijacked || x.copying }

// finalStatus is for layers whose handler has returned normally: the status sent, 200 if the handler left it open, 0 if
// it took the connection without an answer of ours.
func (x *exchange) finalStatus() int {
	if !x.sent() {
		return http.StatusOK
	}
	return x.status
}

// whole reports whether a client can tell a complete response from a part of it, or there is nothing to miss.
func (x *exchange) whole() bool {
	if x.hijacked || x.bodyless || intercept.AnnouncesTrailers(x.Header()) {
		return true
	}
	n, err := strconv.ParseInt(x.Header().Get("Content-Length"), 10, 64)
	return err == nil && n == x.bytes
}

// route returns the route as far as it is known.
func (x *exchange) route() string { return route(x.deep.Pattern) }

// commit decides the final status, after the hooks have had their say.
func (x *exchange) commit(status int) {
	x.runHooks(status)
	x.status = status
	if status < 200 || status == http.StatusNoContent || status == http.StatusNotModified {
		x.bodyless = true
	}
}

func (x *exchange) runHooks(status int) {
	hooks := x.hooks
	x.hooks = nil
	for _, hook := range slices.Backward(hooks) {
		hook.beforeHeader(x, status)
	}
}

// imply decides the status 200 of who writes without WriteHeader.
func (x *exchange) imply() {
	if x.status == 0 && !x.hijacked {
		x.commit(http.StatusOK)
	}
}

func (x *exchange) count(n int64) {
	if !x.bodyless {
		x.bytes += n
	}
}

// close ends the exchange: the first layer is done, finished tells whether normally.
func (x *exchange) close(finished bool) {
	if finished {
		x.imply() // who returns without a word says 200
	} else {
		x.aborted = true
	}
	wire := &x.rec.wire
	if x != wire {
		if wire.deep.Pattern == "" {
			wire.deep = x.deep
		}
		return
	}
	if p := x.deep.Pattern; p != "" {
		x.req.Pattern = p
	}
	x.rec.tell()
}

// Header returns the header map of the response.
func (x *exchange) Header() http.Header { return x.inner.Header() }

// WriteHeader passes informational answers on as they come and the first final status once. A later call is counted
// and not passed on: net/http would blame this line for it.
func (x *exchange) WriteHeader(status int) {
	switch {
	case x.sent():
		x.surplus++
		return
	case status < 100 || status > 999:
		// net/http panics, with nothing sent.
	case status >= 200, status == http.StatusSwitchingProtocols && x.req.ProtoMajor < 2: // RFC 9113 section 8.6: no 101 there
		x.commit(status)
	}
	x.inner.WriteHeader(status)
}

// Write writes the body, after status 200 if none was sent.
func (x *exchange) Write(p []byte) (int, error) {
	x.imply()
	n, err := x.inner.Write(p)
	x.count(int64(n))
	return n, err
}

// WriteString is Write without a copy if the server's writer has it.
func (x *exchange) WriteString(s string) (int, error) {
	x.imply()
	n, err := io.WriteString(x.inner, s)
	x.count(int64(n))
	return n, err
}

// FlushError does what http.ResponseController.Flush does with the inner writer, so that the 200 which a flush implies
// is seen whichever way it is asked for.
func (x *exchange) FlushError() error {
	for w := x.inner; ; {
		switch t := w.(type) {
		case interface{ FlushError() error }:
			x.imply()
			x.flushed = true
			return t.FlushError()
		case http.Flusher:
			x.imply()
			x.flushed = true
			t.Flush()
			return nil
		case unwrapper:
			w = t.Unwrap()
		default:
			return fmt.Errorf("httpmw: flush: %w", http.ErrNotSupported)
		}
	}
}

// Unwrap returns the inner writer. http.ResponseController finds deadlines and full duplex there.
func (x *exchange) Unwrap() http.ResponseWriter {
	if _, ok := x.inner.(http.Hijacker); !ok {
		if _, ok := x.inner.(unwrapper); ok {
			return hijackTap{x}
		}
	}
	return x.inner
}

// hijackTap stands behind a shape that is no Hijacker while a writer further in may be one: it sees the Hijack that
// http.ResponseController finds by unwrapping.
type hijackTap struct{ *exchange }

// Unwrap returns the inner writer itself.
func (t hijackTap) Unwrap() http.ResponseWriter { return t.inner }

// Hijack does what http.ResponseController.Hijack does with the inner writer.
func (t hijackTap) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	for w := t.inner; ; {
		switch h := w.(type) {
		case http.Hijacker:
			return t.hijackFrom(h)
		case unwrapper:
			w = h.Unwrap()
		default:
			return nil, nil, fmt.Errorf("httpmw: hijack: %w", http.ErrNotSupported)
		}
	}
}

func (x *exchange) hijackFrom(h http.Hijacker) (net.Conn, *bufio.ReadWriter, error) {
	conn, buf, err := h.Hijack()
	if err != nil {
		return conn, buf, err
	}
	x.hijacked = true
	for _, hook := range x.hooks {
		if hook, ok := hook.(hijackHook); ok {
			hook.afterHijack()
		}
	}
	return conn, buf, nil
}
