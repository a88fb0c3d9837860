package httpmw_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/httpmw"
)

func ExampleSecureHeaders() {
	headers := mw.Must(httpmw.SecureHeaders(httpmw.SecureHeadersConfig{
		Preset: httpmw.PresetWeb,
		CSP:    "script-src 'nonce-{nonce}'; object-src 'none'",
	}))
	h := headers(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<script nonce=%q>go()</script>", httpmw.CSPNonce(r.Context()))
	}))
	resp := serve(h, httptest.NewRequest("GET", "/", nil))
	body, _ := io.ReadAll(resp.Body)
	_, rest, _ := strings.Cut(resp.Header.Get("Content-Security-Policy"), "'nonce-")
	nonce, _, _ := strings.Cut(rest, "'")
	fmt.Println("the same in policy and page:", strings.Contains(string(body), nonce))
	fmt.Println(resp.Header.Get("X-Frame-Options"), resp.Header.Get("Cache-Control"))
	// Output:
	// the same in policy and page: true
	// DENY no-store
}

func ExampleCSRF() {
	h := mw.Must(httpmw.CSRF(httpmw.CSRFConfig{
		Origins: []string{"https://shop.example"},
		Strict:  true,
		Bypass:  []string{"POST /webhooks/{id}"}, // no browser's, and authenticated by themselves
	}))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	send := func(path, site string) {
		r := httptest.NewRequest("POST", path, nil)
		if site != "" {
			r.Header.Set("Sec-Fetch-Site", site)
		}
		fmt.Println(path, site, serve(h, r).StatusCode)
	}
	send("/cart", "same-origin")
	send("/cart", "cross-site")
	send("/cart", "")
	send("/webhooks/7", "")
	// Output:
	// /cart same-origin 200
	// /cart cross-site 403
	// /cart  403
	// /webhooks/7  200
}

func ExampleBodyLimit() {
	h := mw.Must(httpmw.BodyLimit(httpmw.BodyLimitConfig{Max: 8}))(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err != nil {
				fmt.Println("the handler is told:", err)
				httpmw.WriteError(w, r, err)
			}
		}))
	post := func(body io.Reader) {
		fmt.Println(serve(h, httptest.NewRequest("POST", "/", body)).StatusCode)
	}
	post(strings.NewReader("small"))
	post(strings.NewReader("larger than that"))                 // known beforehand: the handler does not run
	post(io.MultiReader(strings.NewReader("larger than that"))) // not known
	// Output:
	// 200
	// 413
	// the handler is told: http: request body too large
	// 413
}

func ExampleEarlyData() {
	h := mw.Must(httpmw.EarlyData(httpmw.EarlyDataConfig{}))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, method := range []string{"GET", "POST"} {
		r := httptest.NewRequest(method, "/", nil)
		r.Header.Set("Early-Data", "1")
		fmt.Println(method, serve(h, r).StatusCode)
	}
	// Output:
	// GET 200
	// POST 425
}

func ExampleHeaderLimits() {
	h := mw.Must(httpmw.HeaderLimits(httpmw.HeaderLimitsConfig{Value: 8192}))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Baggage", strings.Repeat("k=v,", 4096))
	fmt.Println(serve(h, r).Status)
	// Output: 431 Request Header Fields Too Large
}

func ExampleServerTiming() {
	timing := mw.Must(httpmw.ServerTiming(httpmw.ServerTimingConfig{
		Allow:   func(r *http.Request) bool { return r.Header.Get("X-Debug") == "on" }, // a session of a developer, say
		NoTotal: true,
	}))
	h := timing(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		httpmw.AddServerTiming(r.Context(), "db", 12*time.Millisecond, "2 queries")
		httpmw.AddServerTiming(r.Context(), "cache", 250*time.Microsecond, "")
	}))
	r := httptest.NewRequest("GET", "/", nil)
	fmt.Printf("%q\n", serve(h, r).Header.Get("Server-Timing"))
	r.Header.Set("X-Debug", "on")
	fmt.Println(serve(h, r).Header.Get("Server-Timing"))
	// Output:
	// ""
	// db;dur=12;desc="2 queries", cache;dur=0.25
}

func ExampleSlowLog() {
	slow := mw.Must(httpmw.SlowLog(httpmw.SlowLogConfig{
		Threshold: time.Millisecond,
		ThresholdFor: func(r *http.Request) time.Duration {
			if httpmw.RouteOf(r) == "/report" {
				return time.Hour
			}
			return 0
		},
		Logger: toStdout("http.server.request.duration", "mw.slow.header"),
	}))
	mux := http.NewServeMux()
	nap := func(http.ResponseWriter, *http.Request) { time.Sleep(2 * time.Millisecond) }
	mux.HandleFunc("/users", nap)
	mux.HandleFunc("/report", nap)
	h := slow(mux)
	serve(h, httptest.NewRequest("GET", "/users", nil))
	serve(h, httptest.NewRequest("GET", "/report", nil))
	// Output:
	// level=WARN msg="slow request" http.request.method=GET http.route=/users url.path=/users network.protocol.version=1.1 http.response.body.size=0 http.response.status_code=200 mw.slow.threshold=0.001
}
