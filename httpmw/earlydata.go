package httpmw

import (
	"net/http"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// EarlyDataConfig is the Config of EarlyData. The zero value is the default.
type EarlyDataConfig struct {
	// Allow tells which requests may be carried out twice although their method is not safe, such as those with an
	// idempotency key that the handler honours. nil allows none. It must be safe for concurrent use and not read the body.
	Allow func(*http.Request) bool `key:"-"`
	// Mode says what happens to a request that is too early. Default enforce.
	Mode core.Mode `default:"enforce" range:"enforce|shadow|disabled"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c EarlyDataConfig) Validate() error { return schema.Validate(c) }

// EarlyData returns a middleware that refuses unsafe requests that came in TLS early data: whoever recorded them can send them
// again (RFC 8470). Safe methods (GET, HEAD, OPTIONS, TRACE, QUERY) pass. The others get a 425 with a problem document,
// and a client that knows RFC 8470 repeats them when the handshake is complete; there is no Retry-After, since that is
// at once.
//
// A request is early if it has an Early-Data field, whatever its value and from whomever: a TLS terminator in front
// sets it, and a client that forges it only delays itself. It is early as well if its TLS handshake is not complete,
// which servers for HTTP/3 may show. Put it in front of everything that acts on requests. A terminator that accepts early data
// and does not set the field cannot be guarded against here.
//
// It does not allocate. It fails if the Config does not validate.
func EarlyData(c EarlyDataConfig) (func(http.Handler) http.Handler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return wrap("EarlyData", &earlyData{c}), nil
}

type earlyData struct{ EarlyDataConfig }

func (m *earlyData) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if m.Mode != core.Disabled && isEarly(r) && !isSafe(r.Method) && (m.Allow == nil || !m.Allow(r)) &&
		x.refuse(w, r, m.Mode, problemTooEarly, errorEarlyData) {
		return
	}
	next.ServeHTTP(w, r)
}

// isEarly takes several or odd values for one "1", as RFC 8470 section 5.1 wants it.
func isEarly(r *http.Request) bool {
	return len(r.Header["Early-Data"]) > 0 || r.TLS != nil && !r.TLS.HandshakeComplete
}
