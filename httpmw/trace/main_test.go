package trace

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// recording returns a Config that records every span, also where the caller samples none.
func recording() (Config, *tracetest.SpanRecorder) {
	spans := tracetest.NewSpanRecorder()
	return Config{
		Provider:   sdk.NewTracerProvider(sdk.WithSpanProcessor(spans), sdk.WithSampler(sdk.AlwaysSample())),
		Propagator: propagator,
	}, spans
}

// one returns the only span that must have ended.
func one(t *testing.T, spans *tracetest.SpanRecorder) sdk.ReadOnlySpan {
	t.Helper()
	ended := spans.Ended()
	if len(ended) != 1 {
		t.Fatalf("%d spans, want 1", len(ended))
	}
	return ended[0]
}

// attr returns the last value of an attribute in text, "" if there is none.
func attr(s sdk.ReadOnlySpan, key string) (value string) {
	for _, kv := range s.Attributes() {
		if kv.Key == attribute.Key(key) {
			value = kv.Value.String()
		}
	}
	return value
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// serve runs one request and swallows a panic, as net/http does.
func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	func() {
		defer func() { _ = recover() }()
		h.ServeHTTP(w, r)
	}()
	return w
}

func shop() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "Ada") })
	mux.HandleFunc("/fails", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mux.HandleFunc("/panics", func(http.ResponseWriter, *http.Request) { panic("planted") })
	return mux
}

// logSink keeps the attributes of the last record.
type logSink struct {
	attrs map[string]any
	n     int
}

func (s *logSink) Enabled(context.Context, slog.Level) bool { return true }
func (s *logSink) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s *logSink) WithGroup(string) slog.Handler            { return s }
func (s *logSink) Handle(_ context.Context, r slog.Record) error {
	s.n++
	s.attrs = map[string]any{}
	r.Attrs(func(a slog.Attr) bool { s.attrs[a.Key] = a.Value.Any(); return true })
	return nil
}

// trip is a RoundTripper.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
