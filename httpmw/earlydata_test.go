package httpmw

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
)

func TestEarlyData(t *testing.T) {
	for _, tc := range []struct {
		name, method string
		field        []string
		handshake    bool // still going on
		status       int
	}{
		{"unsafe, early", "POST", []string{"1"}, false, 425},
		{"unsafe and idempotent is not enough", "PUT", []string{"1"}, false, 425},
		{"unknown method", "BREW", []string{"1"}, false, 425},
		{"safe, early", "GET", []string{"1"}, false, 200},
		{"QUERY is safe", "QUERY", []string{"1"}, false, 200},
		{"unsafe, not early", "POST", nil, false, 200},
		{"odd value counts as 1", "POST", []string{"0"}, false, 425},
		{"several count as 1", "POST", []string{"", "1"}, false, 425},
		{"handshake not complete", "POST", nil, true, 425},
		{"allowed", "DELETE", []string{"1"}, false, 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := &untouched{t: t}
			h := mw.Must(EarlyData(EarlyDataConfig{Allow: func(r *http.Request) bool { return r.Method == "DELETE" }}))(okHandler)
			r := httptest.NewRequest(tc.method, "/", body)
			r.TLS = &tls.ConnectionState{HandshakeComplete: !tc.handshake}
			if tc.field != nil {
				r.Header["Early-Data"] = tc.field
			}
			w := do(h, r)
			equal(t, "status", w.Code, tc.status)
			if w.Code == http.StatusTooEarly {
				equal(t, "body", w.Body.String(), `{"title":"Too Early","status":425}`+"\n")
				equal(t, "Retry-After", w.Header().Get("Retry-After"), "")
			}
		})
	}
}

// untouched is a body that must not be read.
type untouched struct{ t *testing.T }

func (u *untouched) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, http.ErrBodyNotAllowed
}

// refusals are requests that each middleware with rules of its own rejects, for what they all must do.
func refusals(mode core.Mode) map[string]struct {
	layer func(http.Handler) http.Handler
	r     func() *http.Request
	err   string
} {
	post := func(change func(*http.Request)) func() *http.Request {
		return func() *http.Request {
			r := httptest.NewRequest("POST", "/", strings.NewReader("12345678"))
			change(r)
			return r
		}
	}
	return map[string]struct {
		layer func(http.Handler) http.Handler
		r     func() *http.Request
		err   string
	}{
		"EarlyData": {mw.Must(EarlyData(EarlyDataConfig{Mode: mode})),
			post(func(r *http.Request) { r.Header.Set("Early-Data", "1") }), "early_data"},
		"HeaderLimits": {mw.Must(HeaderLimits(HeaderLimitsConfig{Value: 64, Mode: mode})),
			post(func(r *http.Request) { r.Header.Set("X", strings.Repeat("x", 65)) }), "header_too_large"},
		"BodyLimit": {mw.Must(BodyLimit(BodyLimitConfig{Max: 7, Mode: mode})),
			post(func(*http.Request) {}), "body_too_large"},
		"CSRF": {mw.Must(CSRF(CSRFConfig{Mode: mode})),
			post(func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }), "csrf_cross_origin"},
	}
}

func TestRefusalsAreLoggedAndIgnoredByGuardsOutside(t *testing.T) {
	for name, tc := range refusals(core.Enforce) {
		t.Run(name, func(t *testing.T) {
			logs, b := newLogSink(), newBreaker(breaker.Config{})

			h := mw.Chain(AccessLog(AccessLogConfig{Logger: slog.New(logs)}), Breaker(b), tc.layer)(status(200))
			w := do(h, tc.r())
			if w.Code < 400 || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d %v", w.Code, w.Header())
			}
			entry := logs.next(t, "request")
			equal(t, "error.type", entry[attrError], any(tc.err))
			equal(t, "level", entry["level"], any(slog.LevelWarn))
			equal(t, "ignored by the breaker", b.Snapshot().Outcomes[core.Ignored], 1)
		})
	}
}

func TestShadowLetsPassAndLogs(t *testing.T) {
	for name, tc := range refusals(core.Shadow) {
		t.Run(name, func(t *testing.T) {
			logs := newLogSink()
			w := do(mw.Chain(AccessLog(AccessLogConfig{Logger: slog.New(logs)}), tc.layer)(okHandler), tc.r())
			equal(t, "status", w.Code, 200)
			entry := logs.next(t, "request")
			equal(t, attrShadow, entry[attrShadow], any(tc.err))
			equal(t, "error.type", entry[attrError], nil)
		})
	}
}

func TestDisabledLetsPass(t *testing.T) {
	for name, tc := range refusals(core.Disabled) {
		t.Run(name, func(t *testing.T) {
			logs := newLogSink()
			w := do(mw.Chain(AccessLog(AccessLogConfig{Logger: slog.New(logs)}), tc.layer)(okHandler), tc.r())
			equal(t, "status", w.Code, 200)
			equal(t, attrShadow, logs.next(t, "request")[attrShadow], nil)
		})
	}
}

// A part of the response was sent by a handler outside: what is missing must be seen.
func TestRefusalInTheMiddleOfAResponseAborts(t *testing.T) {
	for name, tc := range refusals(core.Enforce) {
		t.Run(name, func(t *testing.T) {
			inner := tc.layer(okHandler)
			h := Recover()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write(okBody)
				inner.ServeHTTP(w, r)
			}))
			if _, aborted := doAborting(h, tc.r()); !aborted {
				t.Error("not aborted")
			}
		})
	}
}

func TestModesThatAreNoModesOfAMiddleware(t *testing.T) {
	for name, err := range map[string]error{
		"EarlyData":    second(EarlyData(EarlyDataConfig{Mode: core.ForcedOpen})),
		"HeaderLimits": second(HeaderLimits(HeaderLimitsConfig{Mode: core.ForcedOpen})),
		"BodyLimit":    second(BodyLimit(BodyLimitConfig{Mode: core.ForcedOpen})),
		"CSRF":         second(CSRF(CSRFConfig{Mode: core.ForcedOpen})),
	} {
		refused(t, name, err, "mode: forced-open is not allowed; allowed: enforce|shadow|disabled")
	}
}

func second[T any](_ T, err error) error { return err }

// refused checks the text of an error.
func refused(t *testing.T, what string, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("%s: error %v\nwant %s", what, err, want)
	}
}
