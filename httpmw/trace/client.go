package trace

import (
	"net/http"
	"net/url"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/mw-go/mw/core/retry"
)

// Client returns a decorator that sends each request in a span, which ends with the body of the response. Inside a retry
// each attempt has a span of its own, and its number. At most one Config.
func Client(c ...Config) func(http.RoundTripper) http.RoundTripper {
	config := atMostOne("Client", c)
	options := append(config.options(), otelhttp.WithSpanNameFormatter(spanName))
	return func(next http.RoundTripper) http.RoundTripper {
		if next == nil {
			panic("trace: Client: nil RoundTripper")
		}
		inner := sent{next: next, query: config.Query}
		return &client{config: config, next: next, traced: otelhttp.NewTransport(inner, options...)}
	}
}

// spanName is the method: a client has no route.
func spanName(_ string, r *http.Request) string {
	switch method := strings.ToUpper(r.Method); method {
	case "":
		return http.MethodGet
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace, "QUERY":
		return method
	default:
		return "HTTP"
	}
}

// client is the RoundTripper that Client returns.
type client struct {
	config Config
	next   http.RoundTripper
	traced http.RoundTripper
}

// Unwrap returns the RoundTripper behind this one.
func (t *client) Unwrap() http.RoundTripper { return t.next }

// Layer returns the name of the decorator.
func (t *client) Layer() string { return "ClientTrace" }

// CloseIdleConnections passes on what http.Client.CloseIdleConnections asks for.
func (t *client) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (t *client) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.config.on(r.Context()) {
		return t.next.RoundTrip(r)
	}
	return t.traced.RoundTrip(r)
}

// sent stands between otelhttp and the next RoundTripper.
type sent struct {
	next  http.RoundTripper
	query bool
}

func (t sent) RoundTrip(r *http.Request) (*http.Response, error) {
	if span := trace.SpanFromContext(r.Context()); span.IsRecording() {
		if n := resends(r); n > 0 {
			span.SetAttributes(attribute.Int("http.request.resend_count", n))
		}
		if !t.query && r.URL.RawQuery != "" {
			span.SetAttributes(attribute.String("url.full", withoutSecrets(r.URL)))
		}
	}
	return t.next.RoundTrip(r)
}

// resends counts the attempts before this one, and the redirects that led here.
func resends(r *http.Request) int {
	n := retry.Attempt(r.Context()) - 1
	for resp := r.Response; resp != nil && resp.Request != nil; resp = resp.Request.Response {
		n++
	}
	return n
}

func withoutSecrets(u *url.URL) string {
	bare := *u
	bare.User, bare.RawQuery, bare.ForceQuery = nil, "", false
	return bare.String()
}
