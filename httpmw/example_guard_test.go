package httpmw_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/httpmw"
)

// Several guards in one layer: the limiter first, because it is the cheapest to say no.
func ExampleGuard() {
	limit := mw.Must(ratelimit.NewKeyed("clients", ratelimit.Config{Limit: 2, Period: time.Minute}, ratelimit.Hooks{}))
	room := mw.Must(bulkhead.New("room", bulkhead.Config{Limit: 64}, bulkhead.Hooks{}))
	byClient := httpmw.GuardConfig{Key: httpmw.ByClientIP(httpmw.TrustNone())}
	handler := httpmw.Guard(
		httpmw.Guarded{Guard: limit, GuardConfig: byClient},
		httpmw.Guarded{Guard: room},
	)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }))

	for range 3 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		fmt.Printf("%d %s %q\n", w.Code, w.Header().Get("RateLimit"), w.Header().Get("Retry-After"))
	}
	// Output:
	// 200 "clients";r=1;t=30 ""
	// 200 "clients";r=0;t=60 ""
	// 429 "clients";r=0;t=30 "30"
}

// The limiter of one client does not touch another's.
func ExampleRateLimit() {
	limit := mw.Must(ratelimit.NewKeyed("clients", ratelimit.Config{Limit: 1, Period: time.Minute}, ratelimit.Hooks{}))
	handler := httpmw.RateLimit(limit, httpmw.GuardConfig{Key: httpmw.ByClientIP(httpmw.TrustNone())})(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }))

	for _, client := range []string{"192.0.2.1:1000", "192.0.2.1:1001", "192.0.2.2:1000"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = client
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(client, w.Code)
	}
	// Output:
	// 192.0.2.1:1000 200
	// 192.0.2.1:1001 429
	// 192.0.2.2:1000 200
}

func ExampleBulkhead() {
	room := mw.Must(bulkhead.New("room", bulkhead.Config{Limit: 1}, bulkhead.Hooks{}))
	busy, done := make(chan bool), make(chan bool)
	handler := httpmw.Bulkhead(room)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		busy <- true
		<-done
	}))
	go handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	<-busy
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Code)
	done <- true
	// Output: 503
}

// A breaker in front of a handler sees its statuses and its panics.
func ExampleBreaker() {
	b := mw.Must(breaker.New("reports", breaker.Config{MinCalls: 5, Jitter: core.None}, breaker.Hooks{}))
	handler := httpmw.Breaker(b)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	for range 6 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		fmt.Print(w.Code, " ")
	}
	fmt.Println(b.State())
	// Output: 500 500 500 500 500 503 open
}

// Behind a client: one state for each host, and an error that errors.Is can tell.
func ExampleClientBreaker() {
	b := mw.Must(breaker.NewKeyed("hosts", breaker.Config{MinCalls: 3}, breaker.Hooks{}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer server.Close()
	client := &http.Client{Transport: mw.Chain(
		httpmw.ClientBreaker(b, httpmw.GuardConfig{Key: httpmw.ByHost}),
	)(http.DefaultTransport)}

	for range 4 {
		resp, err := client.Get(server.URL)
		if err != nil {
			fmt.Println(errors.Is(err, core.ErrOpen))
			continue
		}
		fmt.Println(resp.StatusCode)
		resp.Body.Close()
	}
	client.CloseIdleConnections()
	// Output:
	// 500
	// 500
	// 500
	// true
}

// A handler that depends on a guarded client turns its error into the right status.
func ExampleWriteError() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := fmt.Errorf("charge: %w", &core.Rejection{
			Kind: core.KindBreaker, Policy: "payments", Reason: core.ReasonOpen, RetryAfter: 3 * time.Second,
		})
		httpmw.WriteError(w, r, err)
	})
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Code, w.Header().Get("Retry-After"))
	// Output: 503 3
}
