package httpmw

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// BodyLimitConfig is the Config of BodyLimit. The zero value is the default.
type BodyLimitConfig struct {
	// Max is the largest body in bytes. Default 1048576, 1 MiB. Range 1 to 1099511627776.
	Max int64 `default:"1048576" range:"1..1099511627776"`
	// MaxFor gives some requests, such as uploads, a limit of their own: 0 means Max, and a negative number none, which
	// a request that streams for as long as it lives needs. nil means Max for all. It runs before the handler, so the
	// route is not known yet. It must be safe for concurrent use and not read the body.
	MaxFor func(*http.Request) int64 `key:"-"`
	// Mode says what happens to a body above the limit. In shadow mode it is read to its end. Default enforce.
	Mode core.Mode `default:"enforce" range:"enforce|shadow|disabled"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c BodyLimitConfig) Validate() error { return schema.Validate(c) }

// BodyLimit returns a middleware that bounds the body of requests.
//
// A request whose Content-Length is above the limit gets a 413 with a problem document before a byte of it is read: a
// client that sent Expect: 100-continue never sends the body. Any other body ends with an *http.MaxBytesError once more
// than the limit was read, and the server closes the connection after the response instead of reading on. The handler
// answers that error, best with WriteError, which makes it a 413; if it sends nothing at all, the 413 is sent for it.
//
// The bytes counted are those that the handlers behind it read. Inside a middleware that decodes bodies it bounds the decoded
// bytes; outside, those on the wire, while the decoder's own limit bounds what they become. Where a small body can turn
// into a huge one, one of both must bound what is decoded.
//
// It replaces the Body of the request that it is given. A request with a body costs two allocations, one without none. It
// fails if the Config does not validate.
func BodyLimit(c BodyLimitConfig) (func(http.Handler) http.Handler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return wrap("BodyLimit", &bodyLimit{schema.Fill(c)}), nil
}

type bodyLimit struct{ BodyLimitConfig }

func (m *bodyLimit) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	limit := m.limit(r)
	if limit < 0 {
		next.ServeHTTP(w, r)
		return
	}
	if r.ContentLength > limit && x.refuse(w, r, m.Mode, problemTooLarge, errorTooLarge) {
		return
	}
	body := m.bound(w, r, limit)
	r.Body = body
	next.ServeHTTP(w, r)
	switch {
	case !body.exceeded.Load():
	case m.Mode == core.Shadow:
		x.rec.shadow(errorTooLarge)
	default:
		x.rec.fail(errorTooLarge)
		writeProblem(w, r, problemTooLarge)
	}
}

// limit returns the bytes that the body of r may have; negative if it is not limited.
func (m *bodyLimit) limit(r *http.Request) int64 {
	if m.Mode == core.Disabled || r.Body == nil || r.Body == http.NoBody {
		return -1
	}
	if m.MaxFor != nil {
		if n := m.MaxFor(r); n != 0 {
			return n
		}
	}
	return m.Max
}

// limitedBody remembers whether its limit was exceeded, for the goroutine that serves the request; the handler may read in
// another one.
type limitedBody struct {
	io.ReadCloser
	left     int64 // in shadow mode, where nothing else counts
	shadow   bool
	exceeded atomic.Bool
}

// bound gives http.MaxBytesReader the server's own writer, and not the wrapped one: it tells that one to close the connection.
func (m *bodyLimit) bound(w http.ResponseWriter, r *http.Request, limit int64) *limitedBody {
	if m.Mode == core.Shadow {
		return &limitedBody{ReadCloser: r.Body, left: limit, shadow: true}
	}
	return &limitedBody{ReadCloser: http.MaxBytesReader(innermost(w), r.Body, limit)}
}

// Read reads from the body.
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case b.shadow:
		if b.left -= int64(n); b.left < 0 {
			b.exceeded.Store(true)
		}
	case err != nil && isTooLarge(err):
		b.exceeded.Store(true)
	}
	return n, err
}

// innermost unwraps w as far as it goes.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for range 64 { // a bound, in case a writer unwraps to itself
		u, ok := w.(unwrapper)
		if !ok {
			break
		}
		w = u.Unwrap()
	}
	return w
}

func isTooLarge(err error) bool {
	_, ok := errors.AsType[*http.MaxBytesError](err)
	return ok
}
