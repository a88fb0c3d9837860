package httpmw

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mw-go/mw"
)

func TestRequestID(t *testing.T) {
	long := strings.Repeat("a", 128)
	for _, tc := range []struct {
		name  string
		trust bool
		sent  []string
		taken string // "" for a new one
	}{
		{"none", true, nil, ""},
		{"untrusted", false, []string{"abc"}, ""},
		{"trusted", true, []string{"abc"}, "abc"},
		{"all bytes", true, []string{"azAZ09._~+/=:-"}, "azAZ09._~+/=:-"},
		{"longest", true, []string{long}, long},
		{"too long", true, []string{long + "a"}, ""},
		{"empty", true, []string{""}, ""},
		{"two", true, []string{"a", "b"}, ""},
		{"header injection", true, []string{"a\r\nSet-Cookie: x=1"}, ""},
		{"newline", true, []string{"a\n"}, ""},
		{"space", true, []string{"a b"}, ""},
		{"quote", true, []string{`a"b`}, ""},
		{"escape", true, []string{"a\x1b[31m"}, ""},
		{"NUL", true, []string{"a\x00"}, ""},
		{"not ASCII", true, []string{"é"}, ""},
		{"markup", true, []string{"<script>"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var seen string
			h := RequestID(RequestIDConfig{TrustIncoming: tc.trust})(http.HandlerFunc(
				func(_ http.ResponseWriter, r *http.Request) { seen = RequestIDFrom(r.Context()) }))
			r := httptest.NewRequest("GET", "/", nil)
			r.Header["X-Request-Id"] = tc.sent
			w := do(h, r)
			equal(t, "response field", w.Header().Get("X-Request-ID"), seen)
			if tc.taken != "" {
				equal(t, "id", seen, tc.taken)
			} else if len(seen) != 32 || strings.Trim(seen, "0123456789abcdef") != "" {
				t.Errorf("id %q, want 32 hexadecimal digits", seen)
			}
		})
	}
}

func TestRequestIDsDifferAndTwoLayersAgree(t *testing.T) {
	seen := map[string]bool{}
	var first string
	between := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			first = RequestIDFrom(r.Context())
			next.ServeHTTP(w, r)
		})
	}
	h := mw.Chain(RequestID(), between, RequestID())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := RequestIDFrom(r.Context())
		if id != first || w.Header().Get("X-Request-ID") != id {
			t.Error("the second layer gave another id")
		}
		seen[id] = true
	}))
	for range 1000 {
		do(h, httptest.NewRequest("GET", "/", nil))
	}
	equal(t, "ids", len(seen), 1000)
}

func TestAccessorsWithoutMiddleware(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	equal(t, "id", RequestIDFrom(r.Context()), "")
	if _, ok := ClientAddr(r.Context()); ok {
		t.Error("an address from nowhere")
	}
	if _, ok := StartTime(r.Context()); ok {
		t.Error("a start from nowhere")
	}
	equal(t, "route", RouteOf(r), Unmatched)
}

func TestTwoConfigsPanic(t *testing.T) {
	defer func() {
		if v := recover(); v != "httpmw: RequestID: 2 Configs given, at most one is meant" {
			t.Errorf("recovered %v", v)
		}
	}()
	RequestID(RequestIDConfig{}, RequestIDConfig{})
}

func TestNilHandlerPanics(t *testing.T) {
	for _, h := range []http.Handler{nil, http.HandlerFunc(nil)} {
		func() {
			defer func() {
				if v := recover(); v != "httpmw: AccessLog: nil handler" {
					t.Errorf("recovered %v", v)
				}
			}()
			AccessLog()(h)
		}()
	}
}

func TestLayersNameThemselvesAndUnwrap(t *testing.T) {
	var names []string
	h := fullChain(t, newLogSink())(http.NotFoundHandler())
	for {
		l, ok := h.(interface {
			Layer() string
			Unwrap() http.Handler
		})
		if !ok {
			break
		}
		names = append(names, l.Layer())
		h = l.Unwrap()
	}
	equal(t, "layers", strings.Join(names, " "), "Recover RequestID ClientIP AccessLog SlowLog ServerTiming SecureHeaders HeaderLimits EarlyData CSRF BodyLimit Timeout Guard")
}
