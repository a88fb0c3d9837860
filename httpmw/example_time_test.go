package httpmw_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/fallback"
	"github.com/mw-go/mw/core/timeout"
	"github.com/mw-go/mw/httpmw"
)

// A handler that does not look at its context is left behind; the client has its answer in time.
func ExampleTimeout_enforced() {
	reports := mw.Must(timeout.New("reports", timeout.Config{Limit: time.Millisecond}, timeout.Hooks{}))
	over := make(chan struct{})
	h := mw.Must(httpmw.Timeout(reports, httpmw.TimeoutConfig{Enforced: true}))(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	resp := serve(h, httptest.NewRequest("GET", "/report", nil))
	fmt.Println(resp.StatusCode, reports.Snapshot().Running, "runs on")
	close(over)
	// Output: 503 1 runs on
}

// A budget goes from the caller's request into the context, and on to whoever is called next, a little smaller.
func ExampleDeadline() {
	requests := mw.Must(timeout.New("requests", timeout.Config{Limit: time.Minute}, timeout.Hooks{}))
	h := mw.Must(httpmw.Deadline(requests))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		deadline, ok := r.Context().Deadline()
		fmt.Fprint(w, ok && time.Until(deadline) <= 2*time.Second)
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Request-Timeout", "2s")
	body, _ := io.ReadAll(serve(h, r).Body)
	fmt.Println(string(body))

	r.Header.Set("Request-Timeout", "0")
	fmt.Println(serve(h, r).StatusCode)
	// Output:
	// true
	// 503
}

func ExampleClientTimeout() {
	attempts := mw.Must(timeout.New("payments", timeout.Config{Limit: time.Second}, timeout.Hooks{}))
	client := &http.Client{Transport: mw.Chain(
		httpmw.ClientTimeout(attempts),
		mw.Must(httpmw.ClientDeadline()), // tells the server
	)(http.DefaultTransport)}
	req, _ := http.NewRequestWithContext(context.Background(), "GET", "nowhere://", nil)
	_, err := client.Do(req)
	fmt.Println(err)
	// Output: Get "nowhere:": unsupported protocol scheme "nowhere"
}

func ExampleFallback() {
	stale := mw.Must(fallback.New("stale", fallback.Config{}, fallback.Hooks{}))
	h := mw.Must(httpmw.Fallback(httpmw.FallbackConfig{StepHeader: "X-Answered-By"}, httpmw.FallbackStep{
		By:      stale,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "yesterday's prices") }),
	}))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "database", http.StatusInternalServerError)
	}))
	resp := serve(h, httptest.NewRequest("GET", "/prices", nil))
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, resp.Header.Get("X-Answered-By"), string(body))
	// Output: 200 stale yesterday's prices
}
