package httpmw

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/mw-go/mw/core/schema"
)

// ServerTimingConfig is the Config of ServerTiming. Allow or Public is required.
type ServerTimingConfig struct {
	// Allow tells whose requests are answered with timings, such as those of a developer's session. It is asked on the way
	// in and must be safe for concurrent use. Required unless Public.
	Allow func(*http.Request) bool `key:"-"`
	// Public sends timings to everybody. They tell strangers whether a user exists and how busy a backend is. Default
	// false.
	Public bool
	// Max is how many timings of one request are kept, the total not counted. Default 16. Range 1 to 64.
	Max int `default:"16" range:"1..64"`
	// NoTotal leaves out "total", the time from the first middleware of this package to the header. Default false.
	NoTotal bool
	// Trailer sends what is added after the header in a trailer, where there is room for one: on HTTP/2, and on HTTP/1.1
	// if the body is sent in chunks, as one that is flushed is. Default false: it is dropped.
	Trailer bool
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c ServerTimingConfig) Validate() error {
	if c.Allow == nil && !c.Public {
		return schema.Validate(c, schema.Fault("public", nil, "required, or an Allow function: timings are not for everybody"))
	}
	return schema.Validate(c)
}

// ServerTiming returns a middleware that sends the timings which handlers add with AddServerTiming in a Server-Timing field
// (W3C Server Timing), where browsers show them. The total comes last; what the handler has set itself stays. Scripts of
// other origins see them only if the response has a Timing-Allow-Origin field, which is the handler's to set.
//
// A request that is not allowed costs nothing. It fails if the Config does not validate.
func ServerTiming(c ServerTimingConfig) (func(http.Handler) http.Handler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return wrap("ServerTiming", &serverTiming{schema.Fill(c)}), nil
}

// AddServerTiming adds a timing to the response, such as ("db", 12*time.Millisecond, "2 queries"). It reports whether the
// timing is kept: not if ServerTiming did not run or does not allow the request, if there are too many, if the
// header is sent and there are no trailers, or if name is no token (RFC 9110 section 5.6.2) of at most 64 bytes.
//
// d is rounded to microseconds; a negative one counts as 0. desc may be empty; it is cut at 128 bytes, and what is not printable
// ASCII becomes a question mark. ctx is the request's context or one derived from it. Safe for concurrent use.
func AddServerTiming(ctx context.Context, name string, d time.Duration, desc string) bool {
	rec := recordOf(ctx)
	if rec == nil || rec.timings == nil || len(name) > maxTimingName || !isToken(name) {
		return false
	}
	return rec.timings.add(name, d, desc)
}

const (
	fieldServerTiming = "Server-Timing"

	maxTimingName = 64
	maxTimingDesc = 128
)

type serverTiming struct{ ServerTimingConfig }

func (m *serverTiming) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if x.rec.timings == nil && (m.Public || m.Allow(r)) {
		t := &timings{m: m, left: m.Max}
		t.text = t.buf[:0]
		x.rec.timings = t
		x.beforeHeader(t)
		x.rec.atEnd(t)
	}
	next.ServeHTTP(w, r)
}

// timings are those of one request. Goroutines of the handler may add some at any time.
type timings struct {
	m *serverTiming

	mu   sync.Mutex // guards below
	left int
	text []byte // not sent yet
	sent bool   // the header is
	buf  [192]byte
}

func (t *timings) add(name string, d time.Duration, desc string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left == 0 || t.sent && !t.m.Trailer {
		return false
	}
	t.left--
	t.text = appendTiming(t.text, name, d, desc)
	return true
}

// beforeHeader sends what there is; after it only a trailer is left.
func (t *timings) beforeHeader(x *exchange, _ int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.m.NoTotal {
		t.text = appendTiming(t.text, "total", time.Since(x.rec.start), "")
	}
	if len(t.text) > 0 {
		h := x.Header()
		h[fieldServerTiming] = append(h[fieldServerTiming], string(t.text))
	}
	t.text, t.sent = t.text[:0], true
}

// ended sends the rest as a trailer, once every layer is done: one that has to judge whether the response is whole would
// take it for a trailer of the handler.
func (t *timings) ended(rec *record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left = 0
	if len(t.text) > 0 && !rec.wire.aborted && !rec.wire.hijacked {
		rec.wire.Header()[http.TrailerPrefix+fieldServerTiming] = []string{string(t.text)}
	}
}

func appendTiming(b []byte, name string, d time.Duration, desc string) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	b = append(append(b, name...), ";dur="...)
	b = strconv.AppendFloat(b, float64(max(d, 0).Round(time.Microsecond))/float64(time.Millisecond), 'f', -1, 64)
	if desc == "" {
		return b
	}
	b = append(b, `;desc="`...)
	for i := range min(len(desc), maxTimingDesc) {
		switch c := desc[i]; {
		case c < ' ' || c > '~':
			b = append(b, '?')
			continue
		case c == '"', c == '\\':
			b = append(b, '\\')
		}
		b = append(b, desc[i])
	}
	return append(b, '"')
}
