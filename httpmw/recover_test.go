package httpmw

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/mw-go/mw"
)

func TestPanicBeforeTheFirstByteIsA500ThatSaysNothing(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		logs := newLogSink()
		s := serve(fullChain(t, logs)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			w.Header().Set("Content-Encoding", "gzip")
			panic("password=hunter2")
		})))
		resp, body, err := get(t, s, "/p")
		if err != nil || resp.StatusCode != 500 || strings.Contains(body, "hunter2") {
			t.Errorf("got %d %q, %v", resp.StatusCode, body, err)
		}
		equal(t, "type", resp.Header.Get("Content-Type"), "application/problem+json")
		equal(t, "encoding", resp.Header.Get("Content-Encoding"), "")
		p := logs.next(t, "panic in a handler")
		equal(t, "message", p["exception.message"], any("password=hunter2"))
		equal(t, "id", p[attrRequestID], any(resp.Header.Get("X-Request-ID")))
		if stack := p["exception.stacktrace"].(string); !strings.Contains(stack, "TestPanicBeforeTheFirstByte") {
			t.Errorf("the stack does not show where the panic came from:\n%s", stack)
		}
		entry := logs.next(t, "request")
		equal(t, "status", entry[attrStatus], any(int64(500)))
		equal(t, "error.type", entry[attrError], any("panic"))
		equal(t, "level", entry["level"], any(slog.LevelError))
	})
}

// TestPanicAfterTheFirstByteIsVisible holds for headers, buffered bytes, bytes on the wire and a declared length: the
// client must never take what it got for the whole.
func TestPanicAfterTheFirstByteIsVisible(t *testing.T) {
	begin := map[string]func(w http.ResponseWriter){
		"header":   func(w http.ResponseWriter) { w.WriteHeader(200) },
		"buffered": func(w http.ResponseWriter) { fmt.Fprint(w, "half") },
		"flushed":  func(w http.ResponseWriter) { fmt.Fprint(w, "half"); w.(http.Flusher).Flush() },
		"trailers": func(w http.ResponseWriter) { w.Header().Set("Trailer", "Grpc-Status") },
	}
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		for name, begin := range begin {
			t.Run(name, func(t *testing.T) {
				logs := newLogSink()
				s := serve(fullChain(t, logs)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					begin(w)
					panic("later")
				})))
				resp, err := s.Client().Get(s.URL)
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				if err == nil {
					t.Errorf("the client saw a complete %d", resp.StatusCode)
				}
				if resp != nil && resp.ProtoMajor == 1 && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("h1: %v, want unexpected EOF", err)
				}
				if resp != nil && resp.ProtoMajor == 2 && !strings.Contains(err.Error(), "INTERNAL_ERROR") {
					t.Errorf("h2: %v, want a reset stream", err)
				}
				logs.next(t, "panic in a handler")
				entry := logs.next(t, "request")
				equal(t, "error.type", entry[attrError], any("panic"))
				equal(t, "outcome", entry[attrOutcome], any("aborted"))
			})
		}
	})
}

func TestErrAbortHandlerAborts(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		logs := newLogSink()
		s := serve(fullChain(t, logs)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})))
		if _, body, err := get(t, s, "/"); err == nil {
			t.Errorf("the client saw a complete body %q", body)
		}
		entry := logs.first(t) // no panic was logged before it
		equal(t, "message", entry["msg"], any("request"))
		equal(t, "error.type", entry[attrError], any("aborted"))
		equal(t, "level", entry["level"], any(slog.LevelWarn))
	})
}

func TestRecoverRepanicsErrAbortHandlerItself(t *testing.T) {
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("recovered %v", v)
		}
	}()
	do(Recover()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })),
		httptest.NewRequest("GET", "/", nil))
}

func TestPanicAfterHijackIsOnlyLogged(t *testing.T) {
	logs := newLogSink()
	spy := &spyWriter{}
	fullChain(t, logs)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _, _ = w.(http.Hijacker).Hijack()
		panic("late")
	})).ServeHTTP(spy, httptest.NewRequest("GET", "/", nil))
	logs.next(t, "panic in a handler")
	equal(t, "calls", strings.Join(spy.calls, "|"), "Hijack")
	equal(t, "outcome", logs.next(t, "request")[attrOutcome], any("hijacked"))
}

func TestGoexitIsNotSwallowed(t *testing.T) {
	logs := newLogSink()
	s := serve(t, fullChain(t, logs)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		runtime.Goexit()
	})), false)
	resp, err := s.Client().Get(s.URL)
	if err == nil {
		resp.Body.Close()
		t.Errorf("the client got %d", resp.StatusCode)
	}
	entry := logs.first(t)
	equal(t, "message", entry["msg"], any("request"))
	equal(t, "error.type", entry[attrError], any("aborted"))
}

// Where Recover stands must not change what is logged: the outermost layer writes the access log.
func TestAccessLogInsideAndOutsideOfRecover(t *testing.T) {
	for _, outside := range []bool{true, false} {
		logs := newLogSink()
		chain := []func(http.Handler) http.Handler{
			Recover(RecoverConfig{Logger: quiet}),
			AccessLog(AccessLogConfig{Logger: slog.New(logs)}),
		}
		if outside {
			chain[0], chain[1] = chain[1], chain[0]
		}
		do(mw.Chain(chain...)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(1) })),
			httptest.NewRequest("GET", "/", nil))
		entry := logs.next(t, "request")
		equal(t, "status", entry[attrStatus], any(int64(500)))
		equal(t, "error.type", entry[attrError], any("panic"))
	}
}

func TestRecoverLooksUpTheDefaultLoggerAtEachPanic(t *testing.T) {
	h := Recover()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("x") }))
	logs := newLogSink()
	old := slog.Default()
	slog.SetDefault(slog.New(logs))
	defer slog.SetDefault(old)
	do(h, httptest.NewRequest("GET", "/", nil))
	logs.next(t, "panic in a handler")
}
