package httpmw

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw"
)

// gzipWriter transforms the body and unwraps, as compressing middlewares of other packages do.
type gzipWriter struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (g gzipWriter) Write(p []byte) (int, error) { return g.z.Write(p) }
func (g gzipWriter) Unwrap() http.ResponseWriter { return g.ResponseWriter }

func compress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		next.ServeHTTP(gzipWriter{w, z}, r)
	})
}

// heldBack keeps the body until the handler is done.
type heldBack struct {
	http.ResponseWriter
	body *bytes.Buffer
}

func (b heldBack) Write(p []byte) (int, error) { return b.body.Write(p) }
func (b heldBack) Unwrap() http.ResponseWriter { return b.ResponseWriter }

func holdBack(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		next.ServeHTTP(heldBack{w, &body}, r)
		_, _ = body.WriteTo(w)
	})
}

func TestLayersInsideAForeignWriterDoNotBypassIt(t *testing.T) {
	logs := newLogSink()
	var outer, inner *exchange
	text := strings.Repeat("text ", 1000)
	mux := http.NewServeMux()
	mux.HandleFunc("/a/{b}", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(w, onlyReader{strings.NewReader(text)}); err != nil {
			t.Error(err)
		}
		if id := RequestIDFrom(r.Context()); id == "" || w.Header().Get("X-Request-ID") != id {
			t.Errorf("id %q", id)
		}
	})
	chain := mw.Chain(
		AccessLog(AccessLogConfig{Logger: slog.New(logs)}),
		func(h http.Handler) http.Handler { return watch(&outer, h) },
		compress,
		RequestID(),
		mw.Must(Timeout(newTimeout(time.Hour))),
		func(h http.Handler) http.Handler { return watch(&inner, h) },
	)
	w := do(chain(mux), httptest.NewRequest("GET", "/a/b", nil))
	z, err := gzip.NewReader(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(z); err != nil || string(body) != text {
		t.Errorf("%d bytes, %v: the writer in between was bypassed", len(body), err)
	}
	if outer == inner || outer.rec != inner.rec {
		t.Error("want one record and two exchanges")
	}
	equal(t, "bytes written by the handler", inner.bytes, int64(len(text)))
	entry := logs.next(t, "request")
	equal(t, "bytes on the wire", entry[attrBytes], any(int64(w.Body.Len())))
	equal(t, "route", entry[attrRoute], any("/a/{b}"))
	equal(t, "id", entry[attrRequestID], any(w.Header().Get("X-Request-ID")))
}

// A Recover inside a writer that buffers must judge by what its own handler wrote, not by what got through.
func TestRecoverInsideABufferingWriterAborts(t *testing.T) {
	h := mw.Chain(AccessLog(AccessLogConfig{Logger: quiet}), holdBack, Recover(RecoverConfig{Logger: quiet}))(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "held back")
			panic("later")
		}))
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("recovered %v, want an abort", v)
		}
	}()
	do(h, httptest.NewRequest("GET", "/", nil))
}

// http.TimeoutHandler runs its handler in another goroutine and may leave it behind. The race detector judges.
func TestTimeoutHandlerOfNetHTTPInBetween(t *testing.T) {
	logs := newLogSink()
	release, done := make(chan struct{}), make(chan struct{})
	inside := mw.Chain(Recover(), RequestID(), ClientIP(TrustNone()), mw.Must(Timeout(newTimeout(time.Hour))))
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		<-release
		fmt.Fprint(w, RequestIDFrom(r.Context()))
	})
	h := mw.Chain(
		AccessLog(AccessLogConfig{Logger: slog.New(logs)}),
		RequestID(),
		func(next http.Handler) http.Handler {
			return http.TimeoutHandler(next, time.Millisecond, "std timeout")
		},
		inside,
	)(mux)
	resp, body, _ := get(t, serve(t, h, false), "/slow")
	close(release)
	<-done
	equal(t, "status", resp.StatusCode, 503)
	equal(t, "body", body, "std timeout")
	entry := logs.next(t, "request")
	equal(t, "id", entry[attrRequestID], any(resp.Header.Get("X-Request-ID")))
}

// A request of the handler's own making, served with the context of the first, is another exchange.
func TestSubrequestHasItsOwnRecord(t *testing.T) {
	var outer, inner *exchange
	sub := watch(&inner, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(418) }))
	h := mw.Chain(RequestID(), func(h http.Handler) http.Handler { return watch(&outer, h) })(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			w := do(sub, httptest.NewRequest("GET", "/sub", nil).WithContext(r.Context()))
			equal(t, "status of the subrequest", w.Code, 418)
		}))
	do(h, httptest.NewRequest("GET", "/", nil))
	if outer.rec == inner.rec {
		t.Error("they share a record")
	}
	equal(t, "outer status", outer.status, 200)
	equal(t, "inherited id", inner.rec.id, outer.rec.id)
}

// Layers that copy the request hand the route back to every request outside.
func TestRouteReachesLayersOutside(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(_ http.ResponseWriter, r *http.Request) {
		equal(t, "route in the handler", RouteOf(r), "/users/{id}")
	})
	var foreign string
	copying := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = r.WithContext(context.WithValue(r.Context(), orderHook{}, 1))
			next.ServeHTTP(w, r)
			foreign = RouteOf(r)
		})
	}
	limit := mw.Must(Timeout(newTimeout(time.Hour)))
	for name, chain := range map[string]layerFunc{
		"a copy of ours":                    limit,
		"a foreign copy":                    mw.Chain(copying, RequestID()),
		"both":                              mw.Chain(copying, RequestID(), limit),
		"a foreign copy and foreign writer": mw.Chain(compress, copying, RequestID()),
	} {
		logs := newLogSink()
		foreign = "/users/{id}" // unless copying runs
		do(mw.Chain(AccessLog(AccessLogConfig{Logger: slog.New(logs)}), chain)(mux), httptest.NewRequest("GET", "/users/7", nil))
		equal(t, name+": route in the log", logs.next(t, "request")[attrRoute], any("/users/{id}"))
		equal(t, name+": route in a foreign middleware", foreign, "/users/{id}")
	}
}

// A writer that leads to the record of another request does not make that the record of this one.
func TestUnwrappingToAnotherRequestIsNoMatch(t *testing.T) {
	var other *exchange
	do(watch(&other, okHandler), httptest.NewRequest("GET", "/", nil))
	do(RequestID()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var x *exchange
		watch(&x, okHandler).ServeHTTP(gzipWriter{other.shape(), gzip.NewWriter(io.Discard)}, r)
		if x.rec == other.rec || x.rec == recordOf(r.Context()) {
			t.Error("the exchange shares a record")
		}
	})), httptest.NewRequest("GET", "/", nil))
}

// What is known of the request outlives the handler, for goroutines that it started.
func TestContextOutlivesTheHandler(t *testing.T) {
	var ctx context.Context
	w := do(mw.Chain(RequestID(), ClientIP(TrustNone()))(http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })),
		httptest.NewRequest("GET", "/", nil))
	equal(t, "id", RequestIDFrom(ctx), w.Header().Get("X-Request-ID"))
	addr, ok := ClientAddr(ctx)
	equal(t, "address", addr, netip.MustParseAddr("192.0.2.1"))
	equal(t, "known", ok, true)
	if start, ok := StartTime(ctx); !ok || start.IsZero() {
		t.Error("no start")
	}
	if s := fmt.Sprint(ctx); strings.Contains(s, RequestIDFrom(ctx)) {
		t.Errorf("the context prints the request: %s", s)
	}
}

func TestConcurrentRequests(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		mux := http.NewServeMux()
		mux.HandleFunc("/{n}", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.PathValue("n"), " ", RequestIDFrom(r.Context()))
		})
		logs := logSink(make(chan map[string]any, 1024))
		s := serve(fullChain(t, logs)(mux))
		ids := make(chan string, 1024)
		finished := make(chan struct{})
		for g := range 8 {
			go func() {
				defer func() { finished <- struct{}{} }()
				for i := range 32 {
					n := fmt.Sprint(g*100 + i)
					resp, err := s.Client().Get(s.URL + "/" + n)
					if err != nil {
						t.Error(err)
						return
					}
					body, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					id := resp.Header.Get("X-Request-ID")
					if string(body) != n+" "+id {
						t.Errorf("body %q for %s %s", body, n, id)
					}
					ids <- id
				}
			}()
		}
		for range 8 {
			<-finished
		}
		seen := map[string]bool{}
		for range 256 {
			seen[<-ids] = true
			equal(t, "status", logs.next(t, "request")[attrStatus], any(int64(200)))
		}
		equal(t, "different ids", len(seen), 256)
	})
}

// Hooks run while the handler does, before its copy of the request has handed anything back.
func TestRouteIsKnownWhileTheHandlerRuns(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/a/{b}", func(_ http.ResponseWriter, r *http.Request) {
		equal(t, "route", recordOf(r.Context()).wire.route(), "/a/{b}")
	})
	do(mw.Chain(RequestID(), mw.Must(Timeout(newTimeout(time.Hour))))(mux), httptest.NewRequest("GET", "/a/1", nil))
}
