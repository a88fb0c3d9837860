package trace

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/mw-go/mw/core/retry"
)

func get(t *testing.T, ctx context.Context, c *http.Client, url string) error {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

func TestClient(t *testing.T) {
	config, spans := recording()
	var seen string
	answers := trip(func(r *http.Request) (*http.Response, error) {
		seen = r.Header.Get("Traceparent")
		return &http.Response{StatusCode: 404, Body: io.NopCloser(strings.NewReader("no")), Request: r}, nil
	})
	c := &http.Client{Transport: Client(config)(answers)}
	if err := get(t, t.Context(), c, "http://ann:secret@users.example/7?token=secret"); err != nil {
		t.Fatal(err)
	}
	span := one(t, spans)
	equal(t, "name", span.Name(), "GET")
	equal(t, "kind", span.SpanKind(), trace.SpanKindClient)
	equal(t, "url", attr(span, "url.full"), "http://users.example/7")
	equal(t, "status", attr(span, "http.response.status_code"), "404")
	equal(t, "code", span.Status().Code, codes.Error)
	equal(t, "resends", attr(span, "http.request.resend_count"), "")
	if !strings.Contains(seen, span.SpanContext().TraceID().String()) {
		t.Errorf("sent traceparent %q", seen)
	}
}

func TestClientQuery(t *testing.T) {
	config, spans := recording()
	config.Query = true
	c := &http.Client{Transport: Client(config)(trip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
	}))}
	if err := get(t, t.Context(), c, "http://users.example/?page=2"); err != nil {
		t.Fatal(err)
	}
	equal(t, "url", attr(one(t, spans), "url.full"), "http://users.example/?page=2")
}

// The number of a span's request counts attempts of a retry and redirects.
func TestClientResendCount(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/1":
			http.Redirect(w, r, "/2", http.StatusFound)
		case "/2":
			http.Redirect(w, r, "/3", http.StatusFound)
		}
	}))
	defer s.Close()
	config, spans := recording()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: Client(config)(transport)}
	if err := get(t, t.Context(), c, s.URL+"/1"); err != nil {
		t.Fatal(err)
	}
	if err := get(t, retry.WithAttempt(t.Context(), 3), c, s.URL+"/3"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, span := range spans.Ended() {
		got = append(got, attr(span, "http.request.resend_count"))
	}
	equal(t, "counts", strings.Join(got, ","), ",1,2,2")
}

func TestClientError(t *testing.T) {
	config, spans := recording()
	c := &http.Client{Transport: Client(config)(trip(func(*http.Request) (*http.Response, error) {
		return nil, io.ErrUnexpectedEOF
	}))}
	if err := get(t, t.Context(), c, "http://users.example/"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
	equal(t, "code", one(t, spans).Status().Code, codes.Error)
}

func TestClientWithoutProvider(t *testing.T) {
	resp := &http.Response{StatusCode: 200, Body: http.NoBody}
	r := httptest.NewRequest("GET", "http://users.example/", nil)
	rt := Client()(trip(func(r2 *http.Request) (*http.Response, error) {
		equal(t, "request", r2, r)
		return resp, nil
	}))
	got, _ := rt.RoundTrip(r) //nolint:bodyclose // none
	equal(t, "response", got, resp)
	if !raceEnabled {
		equal(t, "allocations", testing.AllocsPerRun(100, func() { _, _ = rt.RoundTrip(r) }), 0) //nolint:bodyclose // none
	}
	equal(t, "layer", rt.(interface{ Layer() string }).Layer(), "ClientTrace")
}
