package compress

import (
	"net/http"

	"github.com/mw-go/mw/httpmw/internal/intercept"
)

// Compress returns a middleware that encodes responses as the documentation of the package says. The encoder works in
// the goroutine of the handler, in step with its writes. It fails if the Config does not validate. A nil handler panics at
// wiring.
//
// Encoders are used again by later responses, but never by one whose handler left a goroutine behind that still writes:
// such a write fails.
func Compress(c Config) (func(http.Handler) http.Handler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &compressor{Config: fill(c)}
	for _, coding := range m.Codings {
		m.encoders = append(m.encoders, newEncoders(coding, &m.Config))
	}
	return func(next http.Handler) http.Handler {
		if f, ok := next.(http.HandlerFunc); next == nil || ok && f == nil {
			panic("compress: nil handler")
		}
		return &layer{m, next}
	}, nil
}

// compressor is what all handlers behind one Compress share.
type compressor struct {
	Config
	encoders []*encoders // one for each of Codings
}

// layer is the handler that Compress returns.
type layer struct {
	m    *compressor
	next http.Handler
}

// Unwrap returns the handler behind this layer.
func (l *layer) Unwrap() http.Handler { return l.next }

// Layer returns "Compress".
func (l *layer) Layer() string { return "Compress" }

// ServeHTTP puts a writer between the handler and the client. A handler that panics, or exits, leaves it unfinished.
func (l *layer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if intercept.Bypasses(r) || l.m.Skip != nil && l.m.Skip(r) {
		l.next.ServeHTTP(w, r)
		return
	}
	res := &response{m: l.m, req: r, choice: negotiate(r.Header["Accept-Encoding"], l.m.Codings), declared: -1}
	down := l.m.plainTags(r, res.choice)
	defer func() {
		res.abandon()
		if r.Pattern != down.Pattern { // ServeMux sets it on the request it is given
			r.Pattern = down.Pattern
		}
	}()
	l.next.ServeHTTP(res.w.Begin(w, r, l.m.Min-1, res), down)
	res.finish()
}
