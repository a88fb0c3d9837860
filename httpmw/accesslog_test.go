package httpmw

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/mw-go/mw"
)

// logged serves one request through the full chain and returns its record.
func logged(t *testing.T, h http.HandlerFunc, r *http.Request) map[string]any {
	t.Helper()
	logs := newLogSink()
	do(fullChain(t, logs)(h), r)
	return logs.next(t, "request")
}

func TestAccessLogAttributes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := http.NewServeMux()
		mux.HandleFunc("GET example.com/users/{id}", func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(1500 * time.Millisecond)
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, "hello")
		})
		logs := newLogSink()
		r := httptest.NewRequest("GET", "http://example.com/users/7?token=secret", nil)
		r.Header.Set("User-Agent", "test/1")
		w := do(fullChain(t, logs)(mux), r)
		entry := logs.next(t, "request")
		want := map[string]any{
			"level": slog.LevelInfo, "msg": "request",
			"http.request.method": "GET", "http.route": "/users/{id}", "url.path": "/users/7",
			"http.response.status_code": int64(202), "http.response.body.size": int64(5),
			"http.server.request.duration": 1.5, "network.protocol.version": "1.1",
			"client.address": "192.0.2.1", "request.id": w.Header().Get("X-Request-ID"), "user_agent.original": "test/1",
		}
		for name, v := range want {
			equal(t, name, entry[name], v)
		}
		equal(t, "attributes", len(entry), len(want))
		equal(t, "pattern of the request outside", r.Pattern, "GET example.com/users/{id}")
	})
}

func TestAccessLogLevelsAndErrorTypes(t *testing.T) {
	gone, leave := context.WithCancel(t.Context())
	for _, tc := range []struct {
		name  string
		h     http.HandlerFunc
		ctx   context.Context
		level slog.Level
		err   any
	}{
		{"success", func(http.ResponseWriter, *http.Request) {}, t.Context(), slog.LevelInfo, nil},
		{"client error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, t.Context(), slog.LevelInfo, nil},
		{"server error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, t.Context(), slog.LevelError, "502"},
		{"panic", func(http.ResponseWriter, *http.Request) { panic("x") }, t.Context(), slog.LevelError, "panic"},
		{"the client left", func(w http.ResponseWriter, _ *http.Request) { leave(); w.WriteHeader(500) }, gone, slog.LevelInfo, "canceled"},
		{"rejected", func(w http.ResponseWriter, r *http.Request) {
			rec := recordOf(r.Context())
			rec.rejected = true
			rec.fail("limited")
			w.WriteHeader(503)
		}, t.Context(), slog.LevelWarn, "limited"},
	} {
		entry := logged(t, tc.h, httptest.NewRequest("GET", "/", nil).WithContext(tc.ctx))
		equal(t, tc.name+": level", entry["level"], any(tc.level))
		equal(t, tc.name+": error.type", entry[attrError], tc.err)
	}
}

func TestAccessLogMakesHostileInputHarmless(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Method = "EVIL\nMETHOD"
	r.URL.Path = "/a\nlevel=ERROR\x1b[2J\u202e\xff" + strings.Repeat("p", 2000)
	r.Header.Set("User-Agent", strings.Repeat("é", 200)+"\r\n")
	entry := logged(t, func(http.ResponseWriter, *http.Request) {}, r)
	equal(t, "method", entry[attrMethod], any("_OTHER"))
	equal(t, "route", entry[attrRoute], any("unmatched"))
	path := entry[attrPath].(string)
	if strings.ContainsAny(path, "\n\x1b\u202e") || !utf8.ValidString(path) || !strings.HasPrefix(path, "/a\ufffdlevel") {
		t.Errorf("path %q", path)
	}
	equal(t, "agent", entry[attrAgent], any(strings.Repeat("é", 128)))
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                 "",
		"plain text":       "plain text",
		"12345678901":      "1234567890",
		"123456789é":       "123456789", // not half a character
		"\x00\t\x7f":       "\ufffd\ufffd\ufffd",
		"a\u2028b\u00a0c":  "a\ufffdb\ufffdc",
		"\xff\xfe":         "\ufffd\ufffd",
		"日本":               "日本",
		"\u0085":           "\ufffd",
		"\u2066x\u2069":    "\ufffdx\ufffd",
		"\x80\x80\x80\x80": "\ufffd\ufffd\ufffd\ufffd",
	} {
		equal(t, fmt.Sprintf("%q", in), printable(in, 10), want)
	}
	equal(t, "only continuation bytes", printable(strings.Repeat("\x80", 20), 10), "")
}

func TestAccessLogSkipSeesTheRoute(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	logs := newLogSink()
	h := mw.Chain(
		AccessLog(AccessLogConfig{Logger: slog.New(logs), Skip: func(r *http.Request) bool { return RouteOf(r) == "/healthz" }}),
		func(next http.Handler) http.Handler { // makes a copy of the request
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.WithContext(r.Context())) })
		},
		RequestID(),
	)(mux)
	do(h, httptest.NewRequest("GET", "/healthz", nil))
	equal(t, "records", len(logs), 0)
	do(h, httptest.NewRequest("GET", "/x", nil))
	equal(t, "records", len(logs), 1)
}

func TestAccessLogBelowTheLevelOfItsLogger(t *testing.T) {
	var out bytes.Buffer
	errorsOnly := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelError}))
	asked := false
	h := AccessLog(AccessLogConfig{Logger: errorsOnly, Skip: func(*http.Request) bool { asked = true; return false }})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/bad" {
				w.WriteHeader(500)
			}
		}))
	do(h, httptest.NewRequest("GET", "/good", nil))
	if out.Len() > 0 || asked {
		t.Errorf("logged %q, asked Skip: %v", &out, asked)
	}
	do(h, httptest.NewRequest("GET", "/bad", nil))
	if !strings.Contains(out.String(), `"http.response.status_code":500`) {
		t.Errorf("logged %q", &out)
	}
}

func TestAccessLogReportsSurplusWriteHeader(t *testing.T) {
	entry := logged(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(201)
		w.WriteHeader(500)
		w.WriteHeader(500)
	}, httptest.NewRequest("GET", "/", nil))
	equal(t, "status", entry[attrStatus], any(int64(201)))
	equal(t, "surplus", entry[attrSurplus], any(int64(2)))
}

// The clock is read at the start and at the end, however many layers ask.
func TestEndIsReadOnce(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		rec := &record{start: time.Now()}
		time.Sleep(time.Second)
		first := rec.duration()
		time.Sleep(time.Second)
		equal(t, "first", first, time.Second)
		equal(t, "second", rec.duration(), time.Second)
		equal(t, "guards' clock", rec.endTime().Sub(rec.startTime()), time.Second)
	})
}

func TestRoute(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                       Unmatched,
		"/":                      "/",
		"/users/{id}":            "/users/{id}",
		"GET /users/{id}":        "/users/{id}",
		"GET  \t/a":              "/a",
		"example.com/":           "/",
		"POST example.com/{$}":   "/{$}",
		"GET /files/{path...}":   "/files/{path...}",
		"nothing that mux makes": Unmatched,
	} {
		equal(t, pattern, route(pattern), want)
	}
}
