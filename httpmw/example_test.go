package httpmw_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/timeout"
	"github.com/mw-go/mw/httpmw"
)

// serve runs one request without a network.
func serve(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// toStdout logs to standard output, leaving out what differs from run to run.
func toStdout(leaveOut ...string) *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if slices.Contains(append(leaveOut, "time"), a.Key) {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// The middlewares that every service needs, outermost first.
func Example() {
	proxies := mw.Must(httpmw.TrustProxies(netip.MustParsePrefix("10.0.0.0/8")))
	requests := mw.Must(timeout.New("requests", timeout.Config{Limit: 10 * time.Second}, timeout.Hooks{}))
	chain := mw.Chain(
		httpmw.AccessLog(),
		httpmw.Recover(),
		httpmw.RequestID(),
		httpmw.ClientIP(proxies),
		mw.Must(httpmw.Timeout(requests)),
	)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello, %s\n", r.PathValue("name"))
	})
	server := &http.Server{Addr: ":8080", Handler: chain(mux), ReadHeaderTimeout: 5 * time.Second}
	fmt.Println(server.Addr)
	// Output: :8080
}

func ExampleRecover() {
	h := httpmw.Recover(httpmw.RecoverConfig{Logger: toStdout("exception.stacktrace", "request.id")})(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("no such table: users") }))
	resp := serve(h, httptest.NewRequest("GET", "/users", nil))
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, resp.Header.Get("Content-Type"))
	fmt.Print(string(body))
	// Output:
	// level=ERROR msg="panic in a handler" exception.type=string exception.message="no such table: users" http.request.method=GET http.route=unmatched url.path=/users
	// 500 application/problem+json
	// {"title":"Internal Server Error","status":500}
}

func ExampleRequestID() {
	h := httpmw.RequestID(httpmw.RequestIDConfig{TrustIncoming: true})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Println("same in handler and response:",
				httpmw.RequestIDFrom(r.Context()) == w.Header().Get("X-Request-ID"))
		}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Request-ID", "edge-7f3a")
	fmt.Println("taken over:", serve(h, r).Header.Get("X-Request-ID"))

	r.Header.Set("X-Request-ID", "not sane")
	fmt.Println("replaced by", len(serve(h, r).Header.Get("X-Request-ID")), "digits")
	// Output:
	// same in handler and response: true
	// taken over: edge-7f3a
	// same in handler and response: true
	// replaced by 32 digits
}

func ExampleClientIP() {
	trust := mw.Must(httpmw.TrustProxies(netip.MustParsePrefix("10.0.0.0/8")))
	h := httpmw.ClientIP(trust)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		addr, ok := httpmw.ClientAddr(r.Context())
		fmt.Println(addr, ok)
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.0.0.7:41234"
	r.Header.Set("X-Forwarded-For", "6.6.6.6, 203.0.113.9, 10.0.0.8") // the first is the client's invention
	serve(h, r)
	// Output: 203.0.113.9 true
}

func ExampleByClientIP() {
	key := httpmw.ByClientIP(httpmw.TrustNone())
	from := func(peer string) *http.Request {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = peer
		return r
	}
	fmt.Println(key(from("[2001:db8::1]:1")) == key(from("[2001:db8::2]:1"))) // one /64, one client
	fmt.Println(key(from("192.0.2.1:1")) == key(from("192.0.2.2:1")))
	// Output:
	// true
	// false
}

func ExampleAccessLog() {
	log := toStdout("http.server.request.duration")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "Ada") })
	h := httpmw.AccessLog(httpmw.AccessLogConfig{Logger: log})(mux)
	serve(h, httptest.NewRequest("GET", "/users/7?token=secret", nil))
	// Output:
	// level=INFO msg=request http.request.method=GET http.route=/users/{id} url.path=/users/7 network.protocol.version=1.1 http.response.body.size=3 http.response.status_code=200
}

func ExampleTimeout() {
	reports := mw.Must(timeout.New("reports", timeout.Config{Limit: time.Millisecond}, timeout.Hooks{}))
	h := mw.Must(httpmw.Timeout(reports))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done() // a call to a slow backend, given the context, ends here
	}))
	resp := serve(h, httptest.NewRequest("GET", "/report", nil))
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, strings.TrimSpace(string(body)))
	// Output: 503 {"title":"Service Unavailable","status":503,"detail":"the request took too long"}
}
