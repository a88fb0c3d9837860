package httpmw

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/timeout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hang bounds waits that end at once unless something is broken.
const hang = 30 * time.Second

// logSink is a slog.Handler that hands each record on as a map of its attributes, with "level" and "msg".
type logSink chan map[string]any

func newLogSink() logSink { return make(logSink, 64) }

func (s logSink) Enabled(context.Context, slog.Level) bool { return true }
func (s logSink) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s logSink) WithGroup(string) slog.Handler            { return s }

func (s logSink) Handle(_ context.Context, r slog.Record) error {
	m := map[string]any{"level": r.Level, "msg": r.Message}
	r.Attrs(func(a slog.Attr) bool { m[a.Key] = a.Value.Any(); return true })
	s <- m
	return nil
}

// first returns the next record.
func (s logSink) first(t *testing.T) map[string]any {
	t.Helper()
	select {
	case m := <-s:
		return m
	case <-time.After(hang):
		t.Fatal("no log record")
		return nil
	}
}

// next returns the next record with the message.
func (s logSink) next(t *testing.T, msg string) map[string]any {
	t.Helper()
	for {
		if m := s.first(t); m["msg"] == msg {
			return m
		}
	}
}

// fullChain is every middleware of this part, with a timeout that never fires in a test of something else.
func fullChain(t testing.TB, sink logSink) func(http.Handler) http.Handler {
	t.Helper()
	logger := slog.New(sink)
	return mw.Chain(
		Recover(RecoverConfig{Logger: logger}),
		RequestID(),
		ClientIP(TrustNone(), ClientIPConfig{Logger: logger}),
		AccessLog(AccessLogConfig{Logger: logger}),
		rules(logger),
		mw.Must(Timeout(newTimeout(time.Hour))),
		Guard(
			Guarded{Guard: newLimit(ratelimit.Config{Limit: 1e6}), GuardConfig: GuardConfig{NoFields: true}},
			Guarded{Guard: newBreaker(breaker.Config{})},
			Guarded{Guard: newBulkhead(bulkhead.Config{Limit: 1000})},
		),
	)
}

// forEachProtocol runs f over real connections: HTTP/1.1 without and HTTP/2 with TLS.
func forEachProtocol(t *testing.T, f func(t *testing.T, serve func(http.Handler) *httptest.Server)) {
	for _, h2 := range []bool{false, true} {
		name := "h1"
		if h2 {
			name = "h2"
		}
		t.Run(name, func(t *testing.T) {
			f(t, func(h http.Handler) *httptest.Server { return serve(t, h, h2) })
		})
	}
}

func serve(t *testing.T, h http.Handler, h2 bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if h2 {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// get fetches and returns the response and its body; the body's error is returned, all others fail the test.
func get(t *testing.T, s *httptest.Server, path string) (*http.Response, string, error) {
	t.Helper()
	resp, err := s.Client().Get(s.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// newTimeout returns a timeout of that limit.
func newTimeout(limit time.Duration) *timeout.Timeout {
	return mw.Must(timeout.New("requests", timeout.Config{Limit: limit}, timeout.Hooks{}))
}

// do runs a handler without a network.
func do(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// probe is a middleware for tests that hands out the exchange.
type probe func(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler)

func (p probe) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	p(x, w, r, next)
}

// watch puts a layer round h that keeps the exchange for the test to look at.
func watch(x **exchange, h http.Handler) http.Handler {
	return wrap("watch", probe(func(e *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
		*x = e
		next.ServeHTTP(w, r)
	}))(h)
}

// equal reports a difference.
func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// quiet is a logger for panics that a test means to cause.
var quiet = slog.New(slog.DiscardHandler)

// quietLog is the same for an http.Server.
var quietLog = log.New(io.Discard, "", 0)
