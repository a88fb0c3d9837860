package httpmw

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
)

// both serves a request under two access logs, one to slog and one of JSON, and returns their lines.
func both(t *testing.T, h http.HandlerFunc, r *http.Request) (bySlog, direct string) {
	t.Helper()
	var a, b bytes.Buffer
	synctest.Test(t, func(t *testing.T) { // one time for both
		runHandler(mw.Chain(
			RequestID(), ClientIP(TrustNone()),
			AccessLog(AccessLogConfig{Logger: slog.New(slog.NewJSONHandler(&a, nil))}),
			AccessLog(AccessLogConfig{JSON: &b}),
		)(h), httptest.NewRecorder(), r)
	})
	return a.String(), b.String()
}

// The line is the one that slog writes.
func TestAccessLogJSON(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"answer": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
		"short":  func(http.ResponseWriter, *http.Request) { time.Sleep(123450 * time.Nanosecond) },
		"tiny":   func(http.ResponseWriter, *http.Request) { time.Sleep(7 * time.Nanosecond) },
		"long":   func(http.ResponseWriter, *http.Request) { time.Sleep(90*time.Second + 250*time.Millisecond) },
		"fails":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502); w.WriteHeader(200) },
		"panics": func(http.ResponseWriter, *http.Request) { panic("planted") },
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/users/7", "/q%22uote%5C", "/%E2%80%A8%C3%A9%FF%00", "/<&>"} {
				r := httptest.NewRequest("GET", path, nil)
				r.Header.Set("User-Agent", "test \"quoted\" \\ \u00e9")
				bySlog, direct := both(t, h, r)
				equal(t, path, direct, bySlog)
				if !json.Valid([]byte(direct)) || strings.Count(direct, "\n") != 1 {
					t.Errorf("no line of JSON: %q", direct)
				}
			}
		})
	}
}

func TestAccessLogJSONOrLogger(t *testing.T) {
	mustPanic(t, "both", func() { AccessLog(AccessLogConfig{JSON: io.Discard, Logger: quiet}) })
}

// oneAtATime fails on two Writes at once.
type oneAtATime struct {
	t    *testing.T
	mu   sync.Mutex
	seen int
}

func (w *oneAtATime) Write(p []byte) (int, error) {
	if !w.mu.TryLock() {
		w.t.Error("two at once")
		return 0, io.ErrShortWrite
	}
	defer w.mu.Unlock()
	if !json.Valid(p) || p[len(p)-1] != '\n' {
		w.t.Errorf("torn: %q", p)
	}
	w.seen++
	return len(p), nil
}

func TestAccessLogJSONConcurrently(t *testing.T) {
	out := &oneAtATime{t: t}
	h := AccessLog(AccessLogConfig{JSON: out})(okHandler)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				do(h, httptest.NewRequest("GET", "/path", nil))
			}
		})
	}
	wg.Wait()
	equal(t, "lines", out.seen, 400)
}

// A writer that panics keeps no lock.
func TestAccessLogJSONWriterPanics(t *testing.T) {
	calls := 0
	h := AccessLog(AccessLogConfig{JSON: writerFunc(func(p []byte) (int, error) {
		if calls++; calls == 1 {
			panic("planted")
		}
		return len(p), nil
	})})(okHandler)
	for range 2 {
		runHandler(h, httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	equal(t, "calls", calls, 2)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestClientText(t *testing.T) {
	for _, c := range []struct{ peer, client, want string }{
		{"192.0.2.1:80", "192.0.2.1", "192.0.2.1"},
		{"[2001:db8::1]:80", "2001:db8::1", "2001:db8::1"},
		{"[::ffff:192.0.2.1]:80", "192.0.2.1", "192.0.2.1"},
		{"192.0.2.11:80", "192.0.2.1", "192.0.2.1"},
		{"192.0.2.1:80", "203.0.113.9", "203.0.113.9"},
		{"@", "203.0.113.9", "203.0.113.9"},
	} {
		rec := &record{client: prefixes(c.client + "/32")[0].Addr()}
		if strings.Contains(c.client, ":") {
			rec.client = prefixes(c.client + "/128")[0].Addr()
		}
		equal(t, c.peer, rec.clientText(&http.Request{RemoteAddr: c.peer}), c.want)
	}
}
