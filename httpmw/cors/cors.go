package cors

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/httpmw/internal/seam"
)

// New returns a middleware that speaks CORS for the handler behind it.
//
// A preflight, which is OPTIONS with Origin and Access-Control-Request-Method, is answered here: 204 with what is
// allowed, 403 without a body if the origin, the method or a header is not, or if more headers are asked for than
// MaxRequested; browsers then do not send the request. Every other request goes to the handler, whatever its
// origin: CORS decides who may read the response and refuses nobody. So there is no shadow mode either.
//
// Responses that differ by origin have Vary: Origin, those for requests without Origin too; OPTIONS responses vary by the
// fields of preflights as well. If the writer is one of httpmw, as behind its AccessLog or Recover, that holds also where
// the handler sets Vary itself.
//
// Put it outside authentication and rate limits: preflights carry no credentials, and what those reject a page could not
// read otherwise. It costs one allocation for a request without Origin, up to three for others, and one more where the writer is
// one of httpmw. It fails if the Config does not validate. A nil handler is a mistake of the program and panics at wiring.
func New(c Config) (func(http.Handler) http.Handler, error) {
	m, err := c.build()
	if err != nil {
		return nil, err
	}
	return func(next http.Handler) http.Handler {
		if f, ok := next.(http.HandlerFunc); next == nil || ok && f == nil {
			panic("httpmw: CORS: nil handler")
		}
		return &layer{
			next:   next,
			inner:  m.Wrap(next),
			most:   schema.Fill(c).MaxRequested,
			varies: !slices.Contains(c.Origins, "*"),
		}
	}, nil
}

type layer struct {
	next, inner http.Handler
	most        int
	varies      bool // by origin
}

// Unwrap returns the handler behind this layer.
func (l *layer) Unwrap() http.Handler { return l.next }

// Layer returns "CORS".
func (l *layer) Layer() string { return "CORS" }

const (
	fieldVary    = "Vary"
	fieldHeaders = "Access-Control-Request-Headers"
	fieldMethod  = "Access-Control-Request-Method"

	varyPreflight = "Origin, " + fieldMethod + ", " + fieldHeaders
)

// ServeHTTP answers a preflight, or adds the fields of CORS to the response of the handler.
func (l *layer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodOptions:
		if !isPreflight(r) {
			seam.OnHeader(w, varyHook(varyPreflight))
		}
		h := w.Header()
		h[fieldVary] = append(h[fieldVary], varyPreflight)
		if isPreflight(r) && !atMost(r.Header[fieldHeaders], l.most) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
	case l.varies:
		seam.OnHeader(w, varyHook("Origin"))
	}
	l.inner.ServeHTTP(w, r)
}

func isPreflight(r *http.Request) bool {
	return len(r.Header["Origin"]) > 0 && len(r.Header[fieldMethod]) > 0
}

func atMost(values []string, most int) bool {
	total := 0
	for _, v := range values {
		total += len(v) + 1 // with the comma that joins it to the next
	}
	return total <= most+1
}

// varyHook is the fields that a response must vary by.
type varyHook string

// BeforeHeader puts them back if the handler has set Vary without them.
func (v varyHook) BeforeHeader(h http.Header, _ int) {
	for field := range strings.SplitSeq(string(v), ", ") {
		if !varies(h[fieldVary], field) {
			h[fieldVary] = append(h[fieldVary], string(v))
			return
		}
	}
}

func varies(values []string, by string) bool {
	for _, line := range values {
		for field := range strings.SplitSeq(line, ",") {
			if field = strings.TrimSpace(field); field == "*" || strings.EqualFold(field, by) {
				return true
			}
		}
	}
	return false
}
