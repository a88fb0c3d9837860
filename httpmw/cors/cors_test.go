package cors

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/httpmw"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is the Config of most tests.
var shop = Config{
	Origins: []string{"https://shop.example", "https://*.shop.example"}, Credentials: true,
	Methods: []string{"PUT"}, RequestHeaders: []string{"Authorization", "X-A"}, ResponseHeaders: []string{"X-R"},
}

// request has fields, alternating names and values.
func request(method string, fields ...string) *http.Request {
	r := httptest.NewRequest(method, "http://api.example/", http.NoBody)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

func preflight(origin, method string, headers ...string) *http.Request {
	r := request("OPTIONS", "Origin", origin, "Access-Control-Request-Method", method)
	for _, h := range headers {
		r.Header.Add("Access-Control-Request-Headers", h)
	}
	return r
}

// serve returns the status and the fields of the response, sorted.
func serve(h http.Handler, r *http.Request) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	b := fmt.Sprintln(w.Code)
	for _, name := range slices.Sorted(maps.Keys(w.Header())) {
		b += name + ": " + strings.Join(w.Header()[name], " | ") + "\n"
	}
	return b
}

var handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })

const vary = "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\n"

func TestCORS(t *testing.T) {
	const granted = "204\nAccess-Control-Allow-Credentials: true\n"
	for _, tc := range []struct {
		name string
		r    *http.Request
		want string
	}{
		{"actual", request("GET", "Origin", "https://shop.example"),
			"418\nAccess-Control-Allow-Credentials: true\nAccess-Control-Allow-Origin: https://shop.example\nAccess-Control-Expose-Headers: x-r\nVary: Origin\n"},
		{"actual of another origin", request("GET", "Origin", "https://evil.example"), "418\nVary: Origin\n"},
		{"actual of no origin", request("GET"), "418\nVary: Origin\n"},
		{"of an origin that only looks like it", request("GET", "Origin", "https://evilshop.example"), "418\nVary: Origin\n"},
		{"opaque", request("GET", "Origin", "null"), "418\nVary: Origin\n"},
		{"not as browsers write it", request("GET", "Origin", "HTTPS://SHOP.EXAMPLE"), "418\nVary: Origin\n"},

		{"preflight", preflight("https://a.shop.example", "PUT", "authorization,x-a"),
			granted + "Access-Control-Allow-Headers: authorization,x-a\nAccess-Control-Allow-Methods: PUT\n" +
				"Access-Control-Allow-Origin: https://a.shop.example\nAccess-Control-Max-Age: 600\n" + vary},
		{"preflight in two lines", preflight("https://shop.example", "GET", "authorization", "x-a"),
			granted + "Access-Control-Allow-Headers: authorization | x-a\nAccess-Control-Allow-Origin: https://shop.example\nAccess-Control-Max-Age: 600\n" + vary},
		{"preflight of another origin", preflight("https://evil.example", "PUT"), "403\n" + vary},
		{"preflight for another method", preflight("https://shop.example", "DELETE"), "403\n" + vary},
		{"preflight for another header", preflight("https://shop.example", "PUT", "x-b"), "403\n" + vary},

		// Row "CORS": a preflight is OPTIONS, Origin and Access-Control-Request-Method; all else is the handler's.
		{"OPTIONS alone", request("OPTIONS"), "418\n" + vary},
		{"OPTIONS without Origin", request("OPTIONS", "Access-Control-Request-Method", "PUT"), "418\n" + vary},
		{"OPTIONS without Origin, whatever it asks for", request("OPTIONS", "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", strings.Repeat("x", 5000)),
			"418\n" + vary},
		{"OPTIONS of a script", request("OPTIONS", "Origin", "https://shop.example"),
			"418\nAccess-Control-Allow-Credentials: true\nAccess-Control-Allow-Origin: https://shop.example\nAccess-Control-Expose-Headers: x-r\n" + vary},
		{"not OPTIONS", request("GET", "Origin", "https://evil.example", "Access-Control-Request-Method", "PUT"), "418\nVary: Origin\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := serve(mw.Must(New(shop))(handler), tc.r); got != tc.want {
				t.Errorf("got\n%swant\n%s", got, tc.want)
			}
		})
	}
}

func TestCORSForAllOrigins(t *testing.T) {
	h := mw.Must(New(Config{Origins: []string{"*"}, Methods: []string{"*"}, RequestHeaders: []string{"*", "Authorization"}, MaxAge: core.None}))(handler)
	for want, r := range map[string]*http.Request{
		"418\nAccess-Control-Allow-Origin: *\n": request("GET", "Origin", "https://any.example"),
		"204\nAccess-Control-Allow-Headers: *,authorization\nAccess-Control-Allow-Methods: *\nAccess-Control-Allow-Origin: *\nAccess-Control-Max-Age: 0\n" + vary: preflight("https://any.example", "DELETE", "authorization,x"),
	} {
		if got := serve(h, r); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
}

// A handler that sets Vary must not hand the response for one origin to another through a cache.
func TestCORSVariesWhateverTheHandlerSays(t *testing.T) {
	for set, want := range map[string]string{
		"Accept-Encoding":         "Accept-Encoding | Origin",
		"Accept-Encoding, origin": "Accept-Encoding, origin",
		"*":                       "*",
	} {
		h := mw.Chain(httpmw.Recover(), mw.Must(New(shop)), httpmw.RequestID())(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Vary", set)
		}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request("GET", "Origin", "https://shop.example"))
		if got := strings.Join(w.Header()["Vary"], " | "); got != want {
			t.Errorf("%s: %s, want %s", set, got, want)
		}
	}
	h := mw.Chain(httpmw.Recover(), mw.Must(New(shop)))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Vary", "Accept") }))
	if got := serve(h, request("OPTIONS")); !strings.Contains(got, "Vary: Accept | Origin, Access-Control-Request-Method, Access-Control-Request-Headers\n") {
		t.Errorf("OPTIONS: %s", got)
	}
}

// rs/cors #170 and go-chi/cors #36: one preflight with a megabyte of header names cost a tenth of a second and 100 MB. Here
// it is refused, and nothing of it is sent back, where all names are allowed too.
func TestCORSBoundsTheHeadersAskedFor(t *testing.T) {
	all := shop
	all.RequestHeaders = []string{"*"}
	for name, tc := range map[string]struct {
		c     Config
		names []string
	}{
		"many names":               {shop, []string{strings.Repeat("x-a,", 1<<18)}},
		"many commas":              {shop, []string{strings.Repeat(",", 4097)}},
		"one long name":            {shop, []string{strings.Repeat("x", 1<<20)}},
		"many lines":               {all, slices.Repeat([]string{""}, 4099)},
		"all names are allowed":    {all, []string{strings.Repeat("x", 4097)}},
		"also in two lines":        {all, []string{strings.Repeat("x", 2048), strings.Repeat("x", 2048)}},
		"a lower bound of the cap": {Config{Origins: shop.Origins, Credentials: true, RequestHeaders: []string{"*"}, MaxRequested: 64}, []string{strings.Repeat("x", 65)}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := serve(mw.Must(New(tc.c))(handler), preflight("https://shop.example", "GET", tc.names...)); got != "403\n"+vary {
				t.Errorf("%.200s", got)
			}
		})
	}
	if got := serve(mw.Must(New(all))(handler), preflight("https://shop.example", "GET", strings.Repeat("x", 4096))); !strings.HasPrefix(got, "204\n") {
		t.Errorf("as many as allowed: %.200s", got)
	}
}

// A page must be able to read why it was rejected, and preflights must not eat its quota.
func TestCORSOutsideARateLimit(t *testing.T) {
	limit := httpmw.RateLimit(mw.Must(ratelimit.New("api", ratelimit.Config{Limit: 1, Period: time.Hour}, core.Hooks{})), httpmw.GuardConfig{NoFields: true})
	h := mw.Chain(httpmw.Recover(), mw.Must(New(shop)), limit)(handler)
	for range 3 {
		if got := serve(h, preflight("https://shop.example", "PUT")); !strings.HasPrefix(got, "204\n") {
			t.Errorf("preflight: %s", got)
		}
	}
	serve(h, request("GET", "Origin", "https://shop.example"))
	got := serve(h, request("GET", "Origin", "https://shop.example"))
	if !strings.HasPrefix(got, "429\n") || !strings.Contains(got, "Access-Control-Allow-Origin: https://shop.example\n") {
		t.Errorf("rejection: %s", got)
	}
}

// Refused at construction: `*` with credentials, and what else nobody should run.
func TestCORSConfig(t *testing.T) {
	const form = " is not allowed; allowed: scheme://host or scheme://host:port in lower case, such as https://shop.example or https://*.shop.example"
	cookies := func(origins ...string) Config { return Config{Origins: origins, Credentials: true} }
	for want, c := range map[string]Config{
		`origins: required`: {},
		`origins: "*" is not allowed; allowed: origins by name, with credentials`: cookies("*"),
		`origins: "null"` + form:                  cookies("null"),
		`origins: "shop.example"` + form:          cookies("shop.example"),
		`origins: "https://shop.example/"` + form: cookies("https://shop.example/"),
		`origins: "https://shop.*"` + form:        cookies("https://shop.*"),
		`origins: "http://shop.example" is not allowed; allowed: https, with credentials; or set allow_insecure_origins`:                              cookies("http://shop.example"),
		`origins: "https://*.github.io" is not allowed; allowed: subdomains of a domain of one owner, with credentials; or set allow_public_suffixes`: cookies("https://*.github.io"),
		`methods: "CONNECT" is not allowed; allowed: the name of a method, but for CONNECT, TRACE and TRACK`:                                          {Origins: []string{"*"}, Methods: []string{"CONNECT"}},
		`request_headers: "Cookie" is not allowed; allowed: the name of a request header that browsers leave to scripts`:                              {Origins: []string{"*"}, RequestHeaders: []string{"Cookie"}},
		`response_headers: "Set-Cookie" is not allowed; allowed: the name of a response header that browsers leave to scripts`:                        {Origins: []string{"*"}, ResponseHeaders: []string{"Set-Cookie"}},
		`response_headers: "*" is not allowed; allowed: names one by one, with credentials`:                                                           {Origins: shop.Origins, Credentials: true, ResponseHeaders: []string{"*"}},
		`max_age: 1.5s is not allowed; allowed: whole seconds`:                                                                                        {Origins: []string{"*"}, MaxAge: 1500 * time.Millisecond},
		`max_age: 25h is not allowed; allowed: 1s..24h|none`:                                                                                          {Origins: []string{"*"}, MaxAge: 25 * time.Hour},
		`max_requested: 1 is not allowed; allowed: 64..65536`:                                                                                         {Origins: []string{"*"}, MaxRequested: 1},
	} {
		_, err := New(c)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v\nwant  %s", err, want)
		}
		if (c.Validate() == nil) != (err == nil) {
			t.Errorf("%s: Validate says %v", want, c.Validate())
		}
	}
	if _, err := New(Config{Origins: []string{"http://shop.example", "https://*.github.io"}, Credentials: true, AllowInsecureOrigins: true, AllowPublicSuffixes: true}); err != nil {
		t.Errorf("on purpose: %v", err)
	}
}

func TestCORSLayer(t *testing.T) {
	h := mw.Must(New(shop))(handler)
	l := h.(interface {
		Unwrap() http.Handler
		Layer() string
	})
	if l.Layer() != "CORS" || fmt.Sprintf("%p", l.Unwrap()) != fmt.Sprintf("%p", handler) {
		t.Error(l.Layer(), l.Unwrap())
	}
	defer func() {
		if recover() == nil {
			t.Error("a nil handler was taken")
		}
	}()
	mw.Must(New(shop))(nil)
}

// blank is a ResponseWriter that costs nothing.
type blank http.Header

func (b blank) Header() http.Header         { return http.Header(b) }
func (b blank) Write(p []byte) (int, error) { return len(p), nil }
func (b blank) WriteHeader(int)             {}

func TestCORSAllocations(t *testing.T) {
	m := mw.Must(New(shop))
	for name, tc := range map[string]struct {
		chain  func(http.Handler) http.Handler
		r      *http.Request
		allocs float64
	}{
		// The library's Vary.
		"no origin": {m, request("GET"), 1},
		// That, and its header of credentials and of what is exposed.
		"actual": {m, request("GET", "Origin", "https://shop.example"), 3},
		// The hook; one is the first layer's.
		"actual in a chain": {mw.Chain(httpmw.Recover(), m), request("GET", "Origin", "https://shop.example"), 3 + 1 + 1},
		// Vary, and the library's.
		"preflight":         {m, preflight("https://shop.example", "PUT", "authorization"), 3},
		"preflight refused": {m, preflight("https://evil.example", "PUT"), 1},
	} {
		h, w := tc.chain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), blank{}
		got := testing.AllocsPerRun(200, func() {
			clear(w)
			h.ServeHTTP(w, tc.r)
		})
		if got != tc.allocs {
			t.Errorf("%s: %v allocations, want %v", name, got, tc.allocs)
		}
	}
}
