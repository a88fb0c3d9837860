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

// ruleCost is a middleware with rules of its own, and what it costs beyond the first layer.
type ruleCost struct {
	name    string
	layer   layerFunc
	handler http.Handler
	r       *http.Request
	allocs  float64
}

func ruleCosts() []ruleCost {
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
	post.Body = io.NopCloser(strings.NewReader(""))
	post.ContentLength = -1
	hostile := allocRequest()
	hostile.Method = "POST"
	hostile.Header.Set("Sec-Fetch-Site", "cross-site")
	hostile.Header.Set("Early-Data", "1")
	return []ruleCost{
		// The values of all fields.
		{"SecureHeaders api", secure(SecureHeadersConfig{COEP: true, ReportTo: "/r"}), okHandler, overTLS(allocRequest()), 1},
		// Those, the nonce, its text, and the policy.
		{"SecureHeaders web", secure(SecureHeadersConfig{Preset: PresetWeb}), asks, get, 4},
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
	}
}

// run serves a request with a header map that is empty, and the body that the layer before it has replaced.
func (c *ruleCost) run() func() {
	h, w, body := mw.Chain(Recover(), c.layer)(c.handler), &nullWriter{http.Header{}}, c.r.Body
	return func() {
		clear(w.header)
		c.r.Body = body
		h.ServeHTTP(w, c.r)
	}
}

func TestAllocationsOfRules(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, c := range ruleCosts() {
		equal(t, c.name, testing.AllocsPerRun(200, c.run()), c.allocs+1)
	}
}

func BenchmarkRules(b *testing.B) {
	none := ruleCost{"none", func(h http.Handler) http.Handler { return h }, okHandler, allocRequest(), 0}
	for _, c := range append([]ruleCost{none}, ruleCosts()...) {
		b.Run(c.name, func(b *testing.B) {
			run := c.run()
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}
