package httpmw

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
)

// What the middlewares with rules of their own cost beyond the two allocations of the first layer.
func TestAllocationsOfRules(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	asks := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		CSPNonce(r.Context())
		_, _ = w.Write(okBody)
	})
	adds := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		AddServerTiming(r.Context(), "db", time.Millisecond, "")
		_, _ = w.Write(okBody)
	})
	get := allocRequest()
	post := allocRequest()
	post.Method = "POST"
	post.Header.Set("Origin", "http://example.com")
	body := io.NopCloser(strings.NewReader(""))
	post.ContentLength = -1
	hostile := allocRequest()
	hostile.Method = "POST"
	hostile.Header.Set("Sec-Fetch-Site", "cross-site")
	hostile.Header.Set("Early-Data", "1")
	for _, tc := range []struct {
		name    string
		layer   layerFunc
		handler http.Handler
		r       *http.Request
		allocs  float64
	}{
		{"SecureHeaders api", secure(SecureHeadersConfig{COEP: true, ReportTo: "/r"}), okHandler, overTLS(allocRequest()), 0},
		// The nonce, its text, and the policy.
		{"SecureHeaders web", secure(SecureHeadersConfig{Preset: PresetWeb}), asks, get, 3},
		{"CSRF GET", mw.Must(CSRF(CSRFConfig{Bypass: []string{"/api/"}})), okHandler, get, 0},
		// url.Parse of the standard library.
		{"CSRF POST of an old browser", mw.Must(CSRF(CSRFConfig{})), okHandler, post, 1},
		{"CSRF POST of an old browser, with origins", mw.Must(CSRF(CSRFConfig{Origins: []string{"http://example.com"}, Strict: true})), okHandler, post, 0},
		// The value for Vary.
		{"CSRF isolated", mw.Must(CSRF(CSRFConfig{Isolate: true})), okHandler, get, 1},
		// The values of the problem's fields.
		{"CSRF refusal", mw.Must(CSRF(CSRFConfig{})), okHandler, hostile, 1},
		{"BodyLimit without a body", mw.Must(BodyLimit(BodyLimitConfig{})), okHandler, get, 0},
		// The reader of net/http, and ours.
		{"BodyLimit", mw.Must(BodyLimit(BodyLimitConfig{})), okHandler, post, 2},
		{"EarlyData", mw.Must(EarlyData(EarlyDataConfig{})), okHandler, post, 0},
		{"EarlyData refusal", mw.Must(EarlyData(EarlyDataConfig{})), okHandler, hostile, 1},
		{"HeaderLimits", mw.Must(HeaderLimits(HeaderLimitsConfig{})), okHandler, get, 0},
		{"ServerTiming not allowed", timing(ServerTimingConfig{Allow: func(*http.Request) bool { return false }}), adds, get, 0},
		// The timings, their text, and the values of the field.
		{"ServerTiming", timing(ServerTimingConfig{Public: true}), adds, get, 3},
		{"SlowLog", mw.Must(SlowLog(SlowLogConfig{Logger: quiet})), okHandler, get, 0},
		{"CSRF shadow", mw.Must(CSRF(CSRFConfig{Mode: core.Shadow})), okHandler, hostile, 0},
	} {
		h, w := mw.Chain(Recover(), tc.layer)(tc.handler), &nullWriter{http.Header{}}
		equal(t, tc.name, testing.AllocsPerRun(200, func() {
			clear(w.header)
			if tc.r == post {
				post.Body = body
			}
			h.ServeHTTP(w, tc.r)
		}), tc.allocs+1)
	}
}
