package trace

import (
	"bytes"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/httpmw"
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceparent = "00-" + traceID + "-b7ad6b7169203331-01"
)

func TestServer(t *testing.T) {
	for _, c := range []struct {
		method, path string
		name, route  string
		status       string
		code         codes.Code
	}{
		{"GET", "/users/7", "GET /users/{id}", "/users/{id}", "200", codes.Unset},
		{"GET", "/nowhere", "GET", "", "404", codes.Unset},
		{"BREW", "/fails", "HTTP /fails", "/fails", "502", codes.Error},
		{"GET", "/panics", "GET", "/panics", "", codes.Error},
	} {
		t.Run(c.method+c.path, func(t *testing.T) {
			config, spans := recording()
			r := httptest.NewRequest(c.method, c.path, nil)
			r.Header.Set("Traceparent", traceparent)
			serve(Server(config)(shop()), r)
			span := one(t, spans)
			equal(t, "name", span.Name(), c.name)
			equal(t, "route", attr(span, "http.route"), c.route)
			equal(t, "status", attr(span, "http.response.status_code"), c.status)
			equal(t, "code", span.Status().Code, c.code)
			equal(t, "kind", span.SpanKind(), trace.SpanKindServer)
			equal(t, "trace", span.SpanContext().TraceID().String(), traceID)
			equal(t, "pattern handed back", httpmw.RouteOf(r) != httpmw.Unmatched, c.route != "")
		})
	}
}

// The layers inside find the record of those outside, and all agree on what happened, with spans and without.
func TestServerSharesTheRecord(t *testing.T) {
	config, spans := recording()
	for name, layer := range map[string]func(http.Handler) http.Handler{"on": Server(config), "off": Server()} {
		t.Run(name, func(t *testing.T) {
			sink, told := &logSink{}, []httpmw.Summary{}
			var inner string
			h := mw.Chain(
				httpmw.AccessLog(httpmw.AccessLogConfig{Logger: slog.New(sink)}),
				httpmw.RequestID(),
				layer,
				httpmw.Recover(httpmw.RecoverConfig{Logger: slog.New(slog.DiscardHandler)}),
				httpmw.ClientIP(mw.Must(httpmw.TrustProxies(netip.MustParsePrefix("192.0.2.0/24")))),
				httpmw.Observe(func(s httpmw.Summary) { told = append(told, s) }),
			)(shop())
			spy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(w, r)
				inner = r.Pattern
			})
			r := httptest.NewRequest("GET", "/users/7", nil)
			r.Header.Set("X-Forwarded-For", "6.6.6.6, 203.0.113.9")
			w := serve(spy, r)
			equal(t, "body", w.Body.String(), "Ada")
			equal(t, "records", sink.n, 1)
			equal(t, "summaries", len(told), 1)
			equal(t, "pattern", inner, "GET /users/{id}")
			for key, want := range map[string]any{
				"http.route": "/users/{id}", "http.response.status_code": int64(200), "http.response.body.size": int64(3),
				"client.address": "203.0.113.9", "request.id": w.Header().Get("X-Request-Id"),
			} {
				equal(t, key, sink.attrs[key], want)
			}
			equal(t, "route told", told[0].Route, "/users/{id}")
			equal(t, "status told", told[0].Status, 200)
		})
	}
	equal(t, "client of the span", attr(one(t, spans), "client.address"), "203.0.113.9")
}

// otelhttp takes the first address of X-Forwarded-For for the client, whoever sent it.
func TestServerDoesNotBelieveForwardedFor(t *testing.T) {
	config, spans := recording()
	r := httptest.NewRequest("GET", "/users/7", nil)
	r.Header.Set("X-Forwarded-For", "6.6.6.6")
	serve(Server(config)(shop()), r)
	equal(t, "client", attr(one(t, spans), "client.address"), "192.0.2.1")
}

// A trace that a stranger begins is linked and not joined.
func TestServerPublic(t *testing.T) {
	config, spans := recording()
	config.Public = true
	r := httptest.NewRequest("GET", "/users/7", nil)
	r.Header.Set("Traceparent", traceparent)
	serve(Server(config)(shop()), r)
	span := one(t, spans)
	if id := span.SpanContext().TraceID().String(); id == traceID {
		t.Error("joined")
	}
	if links := span.Links(); len(links) != 1 || links[0].SpanContext.TraceID().String() != traceID {
		t.Errorf("links %v", links)
	}
}

// A panic passes through untouched.
func TestServerPassesPanicsOn(t *testing.T) {
	config, _ := recording()
	defer func() { equal(t, "panic", recover(), any("planted")) }()
	Server(config)(shop()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/panics", nil))
}

// net/http removes the files of a multipart form from the request that it knows; a copy that parsed it would leave them.
func TestServerHandsFormsBack(t *testing.T) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, _ := form.CreateFormFile("f", "f.txt")
	_, _ = part.Write(bytes.Repeat([]byte("x"), 1<<10))
	_ = form.Close()
	config, _ := recording()
	r := httptest.NewRequest("POST", "/", &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	serve(mw.Chain(httpmw.Recover(), Server(config), httpmw.RequestID())(http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) { _ = r.ParseMultipartForm(10) })), r)
	if r.MultipartForm == nil {
		t.Fatal("the form stayed on the copy")
	}
	_ = r.MultipartForm.RemoveAll()
}

// Without a provider nothing stands between: the writer and the request are those of the layer outside.
func TestServerWithoutProvider(t *testing.T) {
	for name, c := range map[string]Config{"none": {}, "no-op": {Provider: noop.NewTracerProvider()}} {
		t.Run(name, func(t *testing.T) {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Traceparent", traceparent)
			h := Server(c)(http.HandlerFunc(func(w2 http.ResponseWriter, r2 *http.Request) {
				equal[http.ResponseWriter](t, "writer", w2, w)
				equal(t, "request", r2, r)
			}))
			h.ServeHTTP(w, r)
			if !raceEnabled {
				bare := Server(c)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
				equal(t, "allocations", testing.AllocsPerRun(100, func() { bare.ServeHTTP(w, r) }), 0)
			}
		})
	}
}

// A span that another instrumentation has begun goes on here, whatever the global provider.
func TestServerGoesOnWithASpan(t *testing.T) {
	config, spans := recording()
	r := httptest.NewRequest("GET", "/users/7", nil)
	ctx, outer := config.Provider.Tracer("outer").Start(r.Context(), "outer")
	serve(Server()(shop()), r.WithContext(ctx))
	span := one(t, spans)
	equal(t, "trace", span.SpanContext().TraceID(), outer.SpanContext().TraceID())
	outer.End()
}

// A provider that is set while the service runs is used from the next request on. It cannot be unset, so this runs in a
// process of its own.
func TestProviderSetLater(t *testing.T) {
	if os.Getenv("TRACE_CHILD") == "" {
		exe, err := filepath.Abs(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(exe, "-test.run=^TestProviderSetLater$", "-test.v")
		cmd.Env = append(os.Environ(), "TRACE_CHILD=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestProviderSetLater") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if unset == nil {
		t.Fatal("the provider before any is set is not known")
	}
	h := Server()(shop())
	serve(h, httptest.NewRequest("GET", "/users/7", nil))
	spans := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithSpanProcessor(spans)))
	serve(h, httptest.NewRequest("GET", "/users/7", nil))
	one(t, spans)
}

func TestServerWiring(t *testing.T) {
	for name, f := range map[string]func(){
		"nil handler": func() { Server()(nil) }, "two Configs": func() { Server(Config{}, Config{}) },
		"nil RoundTripper": func() { Client()(nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
	mux := shop()
	h := Server()(mux)
	equal(t, "layer", h.(interface{ Layer() string }).Layer(), "Trace")
	equal[http.Handler](t, "unwraps", h.(interface{ Unwrap() http.Handler }).Unwrap(), mux)
}

// The body that otelhttp counts is not left on the request of the layer outside.
func TestServerLeavesTheBody(t *testing.T) {
	config, _ := recording()
	r := httptest.NewRequest("POST", "/", strings.NewReader("body"))
	body := r.Body
	serve(Server(config)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
	})), r)
	if r.Body != body {
		t.Error("another body")
	}
}
