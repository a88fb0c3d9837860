package httpmw

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
)

func secure(c SecureHeadersConfig) layerFunc { return mw.Must(SecureHeaders(c)) }

func overTLS(r *http.Request) *http.Request {
	r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	return r
}

// fields are those that h has, sorted, as lines.
func fields(h http.Header) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if name != "Content-Type" {
			lines = append(lines, name+": "+strings.Join(h[name], " | "))
		}
	}
	return strings.Join(lines, "\n")
}

func TestSecureHeadersPresets(t *testing.T) {
	for preset, want := range map[string]string{
		"": `Content-Security-Policy: default-src 'none'; frame-ancestors 'none'
Cross-Origin-Opener-Policy: same-origin
Cross-Origin-Resource-Policy: same-origin
Permissions-Policy: camera=(), microphone=(), geolocation=()
Referrer-Policy: no-referrer
Strict-Transport-Security: max-age=63072000; includeSubDomains
X-Content-Type-Options: nosniff
X-Frame-Options: DENY
X-Xss-Protection: 0`,
		PresetWeb: `Content-Security-Policy: script-src 'nonce-NONCE' 'strict-dynamic'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'
Cross-Origin-Opener-Policy: same-origin
Cross-Origin-Resource-Policy: same-site
Permissions-Policy: camera=(), microphone=(), geolocation=()
Referrer-Policy: strict-origin-when-cross-origin
Strict-Transport-Security: max-age=63072000; includeSubDomains
X-Content-Type-Options: nosniff
X-Frame-Options: DENY
X-Xss-Protection: 0`,
	} {
		w := do(secure(SecureHeadersConfig{Preset: preset})(okHandler), overTLS(anyRequest()))
		got := regexp.MustCompile(`nonce-[A-Za-z0-9_-]{22}'`).ReplaceAllString(fields(w.Header()), "nonce-NONCE'")
		equal(t, preset, got, want)
	}
}

// A browser must not be told to insist on https by a response that anybody on the way could have written.
func TestSecureHeadersHSTSOverTLSOnly(t *testing.T) {
	proxies := mw.Must(TrustProxies(prefixes("192.0.2.0/24")...))
	standard := mw.Must(TrustForwarded(prefixes("192.0.2.0/24")...))
	for _, tc := range []struct {
		name  string
		trust Trust
		tls   bool
		field []string // name, lines
		want  bool
	}{
		{"plain", Trust{}, false, nil, false},
		{"TLS", Trust{}, true, nil, true},
		{"a stranger's word", Trust{}, false, []string{"X-Forwarded-Proto", "https"}, false},
		{"a proxy's word", proxies, false, []string{"X-Forwarded-Proto", "https"}, true},
		{"a proxy says http", proxies, false, []string{"X-Forwarded-Proto", "http"}, false},
		{"a stranger's word in front of a proxy's", proxies, false, []string{"X-Forwarded-Proto", "https, http"}, false},
		{"in two lines", proxies, false, []string{"X-Forwarded-Proto", "https", "http"}, false},
		{"two proxies agree", proxies, false, []string{"X-Forwarded-Proto", "https,HTTPS"}, true},
		{"a proxy says nothing", proxies, false, nil, false},
		{"the other field", proxies, false, []string{"Forwarded", "for=198.51.100.1;proto=https"}, false},
		{"Forwarded", standard, false, []string{"Forwarded", "for=198.51.100.1;proto=https"}, true},
		{"Forwarded, the client's hop", standard, false, []string{"Forwarded", "for=198.51.100.1;proto=https, for=192.0.2.9;proto=http"}, true},
		{"Forwarded, TLS inside only", standard, false, []string{"Forwarded", "for=198.51.100.1;proto=http, for=192.0.2.9;proto=https"}, false},
		{"Forwarded, invented in front", standard, false, []string{"Forwarded", "for=1.2.3.4;proto=https, for=198.51.100.1;proto=http"}, false},
		{"Forwarded, twice in an element", standard, false, []string{"Forwarded", "for=198.51.100.1;proto=https;proto=http"}, false},
		{"Forwarded without proto", standard, false, []string{"Forwarded", "for=198.51.100.1"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := anyRequest() // from 192.0.2.1
			if tc.tls {
				overTLS(r)
			}
			if tc.field != nil {
				r.Header[tc.field[0]] = tc.field[1:]
			}
			h := do(secure(SecureHeadersConfig{Trust: tc.trust})(okHandler), r).Header()
			equal(t, "sent", len(h["Strict-Transport-Security"]) == 1, tc.want)
		})
	}
}

func TestSecureHeadersHSTSValues(t *testing.T) {
	for want, c := range map[string]SecureHeadersConfig{
		"":                                    {HSTS: core.None},
		"max-age=3600":                        {HSTS: time.Hour, HSTSHostOnly: true},
		"max-age=63072000; includeSubDomains": {},
		"max-age=63072000; includeSubDomains; preload": {HSTSPreload: true},
	} {
		equal(t, want, do(secure(c)(okHandler), overTLS(anyRequest())).Header().Get("Strict-Transport-Security"), want)
	}
}

// What the handler says stands, alone and once, however it says it.
func TestSecureHeadersNeverOverride(t *testing.T) {
	for name, set := range map[string]func(http.Header){
		"set":                          func(h http.Header) { h.Set("X-Frame-Options", "SAMEORIGIN") },
		"added, as by a reverse proxy": func(h http.Header) { h.Add("X-Frame-Options", "SAMEORIGIN") },
	} {
		h := secure(SecureHeadersConfig{})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			set(w.Header())
			w.Header()["Referrer-Policy"] = nil // none at all
			w.Header().Set("Content-Security-Policy", "default-src 'self'")
		}))
		got := do(h, anyRequest()).Header()
		equal(t, name, strings.Join(got["X-Frame-Options"], "|"), "SAMEORIGIN")
		equal(t, name, strings.Join(got["Referrer-Policy"], "|"), "")
		equal(t, name, strings.Join(got["Content-Security-Policy"], "|"), "default-src 'self'")
	}
}

// Values are made once; whoever changes them in place changes those of one response.
func TestSecureHeadersSharesNothingBetweenResponses(t *testing.T) {
	h := secure(SecureHeadersConfig{COEP: true, ReportTo: "/csp", Fields: map[string]string{"X-A": "a", "X-B": "b", "X-C": "c", "X-D": "d"}})(okHandler)
	vandal := func(next http.Handler) http.Handler {
		return Recover()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			for _, values := range w.Header() {
				_ = append(values, "more")
				values[0] = "vandalised"
			}
		}))
	}
	want := fields(do(h, overTLS(anyRequest())).Header())
	equal(t, "fields", strings.Count(want, "\n")+1, 15)
	do(vandal(h), overTLS(anyRequest()))
	equal(t, "afterwards", fields(do(h, overTLS(anyRequest())).Header()), want)
}

func TestSecureHeadersOnEveryKindOfResponse(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		mux := http.NewServeMux()
		mux.HandleFunc("/stream", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: 1\n\n")
			_ = http.NewResponseController(w).Flush()
		})
		mux.HandleFunc("/hints", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusCreated)
		})
		mux.HandleFunc("/304", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) })
		mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("x") })
		mux.HandleFunc("/silent", func(http.ResponseWriter, *http.Request) {})
		mux.HandleFunc("/copy", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader("x")) })
		s := serve(mw.Chain(Recover(RecoverConfig{Logger: quiet}), secure(SecureHeadersConfig{}))(mux))
		for path, status := range map[string]int{
			"/stream": 200, "/hints": 201, "/304": 304, "/panic": 500, "/silent": 200, "/copy": 200, "/absent": 404,
		} {
			resp, _, _ := get(t, s, path)
			equal(t, path, resp.StatusCode, status)
			equal(t, path+" has the fields", resp.Header.Get("X-Frame-Options"), "DENY")
			equal(t, path+" has HSTS", resp.Header.Get("Strict-Transport-Security") != "", resp.TLS != nil)
		}
	})
}

func TestSecureHeadersLeavesAHijackedConnectionAlone(t *testing.T) {
	s := serve(t, secure(SecureHeadersConfig{})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		conn.Close()
	})), false)
	resp, _, err := get(t, s, "/")
	equal(t, "error", err, nil)
	equal(t, "field", resp.Header.Get("X-Frame-Options"), "")
}

func TestSecureHeadersRemovesWhatNamesTheSoftware(t *testing.T) {
	named := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", "thing/1.2")
		w.Header().Set("X-Powered-By", "thing")
	})
	h := do(secure(SecureHeadersConfig{})(named), anyRequest()).Header()
	equal(t, "removed", h.Get("Server")+h.Get("X-Powered-By"), "")
	h = do(secure(SecureHeadersConfig{Fields: map[string]string{"server": "mine"}})(named), anyRequest()).Header()
	equal(t, "on purpose", h.Get("Server")+h.Get("X-Powered-By"), "thing/1.2")
}

func TestCSPNonce(t *testing.T) {
	var nonces []string
	asks := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nonces = append(nonces, CSPNonce(r.Context()))
		if CSPNonce(r.Context()) != nonces[len(nonces)-1] {
			t.Error("two nonces in one request")
		}
		if r.URL.Path == "/304" {
			w.WriteHeader(304)
		}
	})
	h := mw.Chain(secure(SecureHeadersConfig{Preset: PresetWeb, CSPReportOnly: "style-src 'nonce-{nonce}'"}), Recover(), secure(SecureHeadersConfig{Preset: PresetWeb}))(asks)
	for range 2 {
		got := do(h, anyRequest()).Header()
		nonce := nonces[len(nonces)-1]
		equal(t, "length", len(nonce), 22)
		equal(t, "in the policy", strings.Contains(got.Get("Content-Security-Policy"), "script-src 'nonce-"+nonce+"' "), true)
		equal(t, "in the other", got.Get("Content-Security-Policy-Report-Only"), "style-src 'nonce-"+nonce+"'")
		equal(t, "Cache-Control", got.Get("Cache-Control"), "no-store")
	}
	equal(t, "again the same", nonces[0] == nonces[1], false)

	// The cached page has the nonce that it was made with.
	got := do(h, httptest.NewRequest("GET", "/304", nil)).Header()
	equal(t, "policy of a 304", got.Get("Content-Security-Policy"), "")
	equal(t, "other fields of it", got.Get("X-Frame-Options"), "DENY")

	got = do(secure(SecureHeadersConfig{Preset: PresetWeb})(okHandler), anyRequest()).Header()
	equal(t, "Cache-Control of who did not ask", got.Get("Cache-Control"), "")
	equal(t, "without the middleware", CSPNonce(t.Context()), "")
	do(secure(SecureHeadersConfig{})(asks), anyRequest())
	equal(t, "without a policy that has one", nonces[len(nonces)-1], "")
}

// http.TimeoutHandler gives its handler a record of its own; the nonce of the policy outside must reach it.
func TestCSPNonceBehindAnotherRecord(t *testing.T) {
	var nonce string
	h := mw.Chain(secure(SecureHeadersConfig{Preset: PresetWeb}),
		func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Hour, "") }, RequestID())(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { nonce = CSPNonce(r.Context()) }))
	got := do(h, anyRequest()).Header()
	equal(t, "in the policy", nonce != "" && strings.Contains(got.Get("Content-Security-Policy"), nonce), true)
	equal(t, "Cache-Control", got.Get("Cache-Control"), "no-store")
}

func TestSecureHeadersNoStoreForTheAuthenticated(t *testing.T) {
	r := anyRequest()
	r.Header.Set("Authorization", "Bearer x")
	equal(t, "by default", do(secure(SecureHeadersConfig{})(okHandler), r).Header().Get("Cache-Control"), "no-store")
	own := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "private") })
	equal(t, "the handler's", do(secure(SecureHeadersConfig{})(own), r).Header().Get("Cache-Control"), "private")
	equal(t, "others", do(secure(SecureHeadersConfig{})(okHandler), anyRequest()).Header().Get("Cache-Control"), "")
}

func TestSecureHeadersPolicies(t *testing.T) {
	const enforced, tried = "Content-Security-Policy", "Content-Security-Policy-Report-Only"
	h := do(secure(SecureHeadersConfig{CSP: "none", CSPReportOnly: "preset", ReportTo: "https://r.example/csp"})(okHandler), anyRequest()).Header()
	equal(t, "enforced", h.Get(enforced), "")
	equal(t, "tried", h.Get(tried), "default-src 'none'; frame-ancestors 'none'; report-uri https://r.example/csp; report-to csp")
	equal(t, "endpoints", h.Get("Reporting-Endpoints"), `csp="https://r.example/csp"`)
}

func TestSecureHeadersFields(t *testing.T) {
	h := do(secure(SecureHeadersConfig{CSP: "default-src 'self'", COEP: true, Fields: map[string]string{
		"x-frame-options": "none", "Permissions-Policy": "usb=()", "Origin-Agent-Cluster": "?1",
	}})(okHandler), anyRequest()).Header()
	equal(t, "fields", fields(h), `Content-Security-Policy: default-src 'self'
Cross-Origin-Embedder-Policy: require-corp
Cross-Origin-Opener-Policy: same-origin
Cross-Origin-Resource-Policy: same-origin
Origin-Agent-Cluster: ?1
Permissions-Policy: usb=()
Referrer-Policy: no-referrer
X-Content-Type-Options: nosniff
X-Xss-Protection: 0`)
}

func TestSecureHeadersConfig(t *testing.T) {
	for want, c := range map[string]SecureHeadersConfig{
		`preset: "strict" is not allowed; allowed: api|web`:                                                                            {Preset: "strict"},
		`hsts: 1s is not allowed; allowed: 1h..87600h|none`:                                                                            {HSTS: time.Second},
		`hsts: 1h0m0.5s is not allowed; allowed: whole seconds`:                                                                        {HSTS: time.Hour + time.Second/2},
		`hsts_preload: true is not allowed; allowed: with subdomains and an hsts of at least 8760h`:                                    {HSTSPreload: true, HSTSHostOnly: true},
		`csp: "default-src self" is not allowed; allowed: 'self' in quotes; without them it is a host`:                                 {CSP: "default-src self"},
		`csp: "script-src nonce-{nonce}" is not allowed; allowed: a nonce written as 'nonce-{nonce}'`:                                  {CSP: "script-src nonce-{nonce}"},
		`csp: "a\nb" is not allowed; allowed: one policy of visible ASCII characters, without a comma`:                                 {CSP: "a\nb"},
		`csp_report_only: "a, b" is not allowed; allowed: one policy of visible ASCII characters, without a comma`:                     {CSPReportOnly: "a, b"},
		`report_to: "http://r.example" is not allowed; allowed: an https URL, or a path such as /csp-reports`:                          {ReportTo: "http://r.example"},
		`fields: "X Y" is not allowed; allowed: the name of a field`:                                                                   {Fields: map[string]string{"X Y": "1"}},
		`fields.Expect-CT: "1" is not allowed; allowed: leaving it out: browsers have dropped it`:                                      {Fields: map[string]string{"Expect-CT": "1"}},
		`fields.content-security-policy: "1" is not allowed; allowed: csp instead`:                                                     {Fields: map[string]string{"content-security-policy": "1"}},
		`fields.X-A: "a\r\nB: c" is not allowed; allowed: visible ASCII characters and spaces between them; none leaves the field out`: {Fields: map[string]string{"X-A": "a\r\nB: c"}},
		`fields.x-a: "2" is not allowed; allowed: naming the field once`:                                                               {Fields: map[string]string{"X-A": "1", "x-a": "2"}},
	} {
		_, err := SecureHeaders(c)
		refused(t, want, err, want)
	}
}
