package httpmw

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mw-go/mw"
)

// from is a request with fields, alternating names and values, to shop.example.
func from(method string, fields ...string) *http.Request {
	r := httptest.NewRequest(method, "http://shop.example/cart", http.NoBody)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

const (
	site   = "Sec-Fetch-Site"
	origin = "Origin"
)

// CSRF against http.CrossOriginProtection, whose verdict stands wherever ours has no reason of its own.
func TestCSRF(t *testing.T) {
	trusting := CSRFConfig{TrustedOrigins: []string{"https://partner.example"}}
	own := CSRFConfig{Origins: []string{"https://shop.example", "https://shop.example:8443"}}
	strict := own
	strict.Strict = true
	isolate := CSRFConfig{Isolate: true, TrustedOrigins: trusting.TrustedOrigins}
	for _, tc := range []struct {
		name  string
		c     CSRFConfig
		r     *http.Request
		fault string // error.type; empty if the request passes
	}{
		{"same origin", CSRFConfig{}, from("POST", site, "same-origin"), ""},
		{"typed by the user", CSRFConfig{}, from("POST", site, "none"), ""},
		{"cross site", CSRFConfig{}, from("POST", site, "cross-site"), errorCrossOrigin},
		{"same site is another origin", CSRFConfig{}, from("POST", site, "same-site"), errorCrossOrigin},
		{"unknown value", CSRFConfig{}, from("POST", site, "somewhere"), errorCrossOrigin},
		{"field twice", CSRFConfig{}, from("POST", site, "same-origin", site, "cross-site"), errorBadOrigin},
		{"safe method", CSRFConfig{}, from("GET", site, "cross-site"), ""},
		{"TRACE is not among the safe ones of std", CSRFConfig{}, from("TRACE", site, "cross-site"), errorCrossOrigin},
		{"Sec-Fetch-Site goes before Origin", CSRFConfig{}, from("POST", site, "same-origin", origin, "https://rewritten.example"), ""},

		{"old browser, same host", CSRFConfig{}, from("POST", origin, "https://shop.example"), ""},
		{"old browser, other host", CSRFConfig{}, from("POST", origin, "https://evil.example"), errorCrossOrigin},
		{"old browser, other port", CSRFConfig{}, from("POST", origin, "https://shop.example:8443"), errorCrossOrigin},
		{"opaque origin", CSRFConfig{}, from("POST", origin, "null"), errorBadOrigin},
		{"golang/go #78563: user information", CSRFConfig{}, from("POST", origin, "http://evil@shop.example"), errorBadOrigin},
		{"a path", CSRFConfig{}, from("POST", origin, "http://shop.example/x"), errorBadOrigin},
		{"Origin twice", CSRFConfig{}, from("POST", origin, "http://shop.example", origin, "http://evil.example"), errorBadOrigin},
		{"no browser", CSRFConfig{}, from("POST"), ""},
		{"empty fields", CSRFConfig{}, from("POST", site, "", origin, ""), ""},

		{"trusted", trusting, from("POST", site, "cross-site", origin, "https://partner.example"), ""},
		{"trusted, old browser", trusting, from("POST", origin, "https://partner.example"), ""},
		{"trusted by another scheme", trusting, from("POST", site, "cross-site", origin, "http://partner.example"), errorCrossOrigin},

		{"golang/go #77946: proxy rewrote Host", own, from("POST", origin, "https://shop.example:8443"), ""},
		{"and Host decides no longer", own, from("POST", origin, "http://shop.example"), errorCrossOrigin},
		{"ours is not trusted across sites", own, from("POST", site, "cross-site", origin, "https://shop.example"), errorCrossOrigin},
		{"user information, compared as a whole", own, from("POST", origin, "https://evil@shop.example"), errorBadOrigin},

		{"strict, neither field", strict, from("POST"), errorNoOrigin},
		{"strict, same origin", strict, from("POST", site, "same-origin"), ""},
		{"strict, ours", strict, from("DELETE", origin, "https://shop.example"), ""},
		{"strict, by another scheme", strict, from("POST", origin, "http://shop.example"), errorCrossOrigin},
		{"strict, safe method", strict, from("GET"), ""},
		{"strict, WebSocket of another site", strict, from("GET", "Upgrade", "websocket", site, "cross-site"), errorCrossOrigin},
		{"strict, WebSocket of another origin", strict, from("GET", "Upgrade", "websocket", origin, "https://evil.example"), errorCrossOrigin},
		{"strict, WebSocket of ours", strict, from("GET", "Upgrade", "websocket", origin, "https://shop.example"), ""},
		{"strict, WebSocket of no browser", strict, from("GET", "Upgrade", "websocket"), errorNoOrigin},

		{"isolated: embedded elsewhere", isolate, from("GET", site, "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"), errorIsolated},
		{"isolated: fetched elsewhere", isolate, from("GET", site, "cross-site", "Sec-Fetch-Mode", "cors", origin, "https://evil.example"), errorIsolated},
		{"isolated: fetched by a trusted origin", isolate, from("GET", site, "cross-site", "Sec-Fetch-Mode", "cors", origin, "https://partner.example"), ""},
		{"isolated: a link", isolate, from("GET", site, "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"), ""},
		{"isolated: an object element", isolate, from("GET", site, "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "object"), errorIsolated},
		{"isolated: a subdomain", isolate, from("GET", site, "same-site", "Sec-Fetch-Mode", "no-cors"), ""},
		{"isolated: no metadata", isolate, from("GET"), ""},
		{"isolated: a preflight elsewhere", isolate, from("OPTIONS", site, "cross-site", "Sec-Fetch-Mode", "navigate"), errorIsolated},
		{"isolated: unsafe method", isolate, from("POST", site, "cross-site", "Sec-Fetch-Mode", "navigate"), errorCrossOrigin},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var x *exchange
			tc.r.Body = io.NopCloser(&untouched{t})
			w := do(watch(&x, mw.Must(CSRF(tc.c))(okHandler)), tc.r)
			equal(t, "error.type", x.rec.failure, tc.fault)
			equal(t, "refused", w.Code == 403, tc.fault != "")
			if w.Code == 403 {
				equal(t, "body", w.Body.String(),
					`{"title":"Forbidden","status":403,"detail":"the request comes from another site"}`+"\n")
			}
		})
	}
}

// Whatever std refuses, we refuse, but for what a Config of ours allows.
func TestCSRFIsNeverLaxerThanTheStandardLibrary(t *testing.T) {
	std := http.NewCrossOriginProtection()
	h := mw.Must(CSRF(CSRFConfig{}))(okHandler)
	values := []string{"", "same-origin", "same-site", "cross-site", "none", "x"}
	origins := []string{"", "null", "http://shop.example", "https://shop.example", "http://shop.example:80", "https://evil.example",
		"http://a@shop.example", "shop.example", "://", "http://", "http://shop.example.", "HTTP://SHOP.EXAMPLE"}
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "QUERY", "get"} {
		for _, s := range values {
			for _, o := range origins {
				r := from(method, site, s, origin, o)
				ok := do(h, r).Code == 200
				if err := std.Check(r); err != nil && ok {
					t.Errorf("%s %q %q passes; std: %v", method, s, o, err)
				}
			}
		}
	}
}

func TestCSRFBypass(t *testing.T) {
	h := mw.Must(CSRF(CSRFConfig{Bypass: []string{"POST /hooks/{id}", "/api/"}}))(okHandler)
	for path, want := range map[string]int{
		"/hooks/1": 200, "/hooks/1/2": 403, "/api/x": 200,
		"/api":           403, // the mux would redirect it
		"/api/../secret": 403,
		"/x/../api/y":    403,
	} {
		r := httptest.NewRequest("POST", path, http.NoBody)
		r.Header.Set(site, "cross-site")
		equal(t, path, do(h, r).Code, want)
	}
	r := httptest.NewRequest("PUT", "/hooks/1", http.NoBody)
	r.Header.Set(site, "cross-site")
	equal(t, "other method", do(h, r).Code, 403)
}

// A cache must not hand to a stranger's page what it got for ours, whatever the handler says of Vary.
func TestCSRFIsolationVaries(t *testing.T) {
	h := mw.Must(CSRF(CSRFConfig{Isolate: true}))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Vary", "Accept-Encoding")
	}))
	want := "Accept-Encoding|Sec-Fetch-Site, Sec-Fetch-Mode, Sec-Fetch-Dest, Origin"
	equal(t, "Vary", strings.Join(do(h, from("GET")).Header()["Vary"], "|"), want)
	h = mw.Must(CSRF(CSRFConfig{Isolate: true}))(okHandler)
	refusal := do(h, from("GET", site, "cross-site"))
	equal(t, "status", refusal.Code, 403)
	equal(t, "Vary", strings.Join(refusal.Header()["Vary"], "|"), "Sec-Fetch-Site, Sec-Fetch-Mode, Sec-Fetch-Dest, Origin")
}

func TestCSRFConfig(t *testing.T) {
	_, err := CSRF(CSRFConfig{
		Origins:        []string{"shop.example", "https://shop.example/", "https://Shop.example", "https://shop.example:443", "https://a@shop.example"},
		TrustedOrigins: []string{"null", "*", "https://*.shop.example", "ftp://shop.example", "https://shop.example"},
		Bypass:         []string{"/ok", "/{", "/ok"},
	})
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{
		`origins[0]: "shop.example" is not allowed; allowed: scheme://host or scheme://host:port, such as https://shop.example`,
		`origins[1]: "https://shop.example/" is not allowed; allowed: no user, path, query or fragment`,
		`origins[2]: "https://Shop.example" is not allowed; allowed: lower case, as browsers send it`,
		`origins[3]: "https://shop.example:443" is not allowed; allowed: no port where it is the scheme's own, as browsers leave it out`,
		`origins[4]: "https://a@shop.example" is not allowed; allowed: no user, path, query or fragment`,
		`trusted_origins[0]: "null" is not allowed; allowed: scheme://host`,
		`trusted_origins[1]: "*" is not allowed; allowed: scheme://host`,
		`trusted_origins[2]: "https://*.shop.example" is not allowed; allowed: a whole origin, without a wildcard`,
		`trusted_origins[3]: "ftp://shop.example" is not allowed; allowed: the scheme https or http`,
		`bypass[1]: "/{" is not allowed; allowed: a pattern of http.ServeMux: `,
		`bypass[2]: "/ok" is not allowed; allowed: a pattern of http.ServeMux: `,
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d of\n%v\nwant %s", i, err, want)
		}
	}
	_, err = CSRF(CSRFConfig{Strict: true})
	refused(t, "strict", err, "origins: required by strict")
}
