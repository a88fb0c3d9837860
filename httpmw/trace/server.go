package trace

import (
	"context"
	"net"
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/mw-go/mw/httpmw"
)

// Server returns a middleware that runs each request in a span. It belongs near the outside of the chain, inside of
// Recover and AccessLog, so that what the others log has the trace in its context. At most one Config.
func Server(c ...Config) func(http.Handler) http.Handler {
	config := atMostOne("Server", c)
	instrument := otelhttp.NewMiddleware("", config.options()...)
	return func(next http.Handler) http.Handler {
		if f, ok := next.(http.HandlerFunc); next == nil || ok && f == nil {
			panic("trace: Server: nil handler")
		}
		return &server{config: config, next: next, traced: instrument(inSpan{next})}
	}
}

// server is the handler that Server returns.
type server struct {
	config Config
	next   http.Handler
	traced http.Handler
}

// Unwrap returns the handler behind this layer.
func (s *server) Unwrap() http.Handler { return s.next }

// Layer returns the name of the middleware.
func (s *server) Layer() string { return "Trace" }

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.config.on(r.Context()) {
		s.next.ServeHTTP(w, r)
		return
	}
	// A copy, since otelhttp changes the Body of what it is given.
	s.traced.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), givenKey{}, r)))
}

// givenKey finds the request that the layer was given.
type givenKey struct{}

// handBack carries what routing and parsing have left on the copy up to the request that net/http and other layers know.
func handBack(r, down *http.Request) {
	if down.Pattern != "" {
		r.Pattern = down.Pattern
	}
	if down.MultipartForm != nil { // net/http removes its files
		r.MultipartForm = down.MultipartForm
	}
}

// inSpan stands between otelhttp and the handler.
type inSpan struct{ next http.Handler }

func (h inSpan) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	span := trace.SpanFromContext(r.Context())
	finished := false
	defer func() {
		if given, ok := r.Context().Value(givenKey{}).(*http.Request); ok {
			handBack(given, r)
		}
		if span.IsRecording() {
			describe(span, r, finished)
		}
	}()
	h.next.ServeHTTP(w, r)
	finished = true
}

// describe adds what only shows after the handler.
func describe(span trace.Span, r *http.Request, finished bool) {
	if route := httpmw.RouteOf(r); route != httpmw.Unmatched {
		span.SetAttributes(attribute.String("http.route", route))
	}
	if addr := clientAddress(r); addr != "" {
		span.SetAttributes(attribute.String("client.address", addr))
	}
	if !finished {
		span.SetAttributes(attribute.String("error.type", "aborted"))
		span.SetStatus(codes.Error, "")
	}
}

// clientAddress is the address that ClientIP has found, or the peer's.
func clientAddress(r *http.Request) string {
	if addr, ok := httpmw.ClientAddr(r.Context()); ok {
		return addr.String()
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}
