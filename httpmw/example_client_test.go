package httpmw_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/httpmw"
)

// A POST is sent again because it has an Idempotency-Key, the same each time.
func ExampleClientRetry() {
	attempts, keys := 0, map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		attempts++
		keys[r.Header.Get("Idempotency-Key")] = true
		if attempts < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "received %s", body)
	}))
	defer server.Close()

	payments := mw.Must(retry.New("payments", retry.Config{Base: time.Millisecond}, retry.Hooks{}))
	client := &http.Client{
		Transport: httpmw.ClientRetry(payments, httpmw.ClientRetryConfig{IdempotencyKeys: true})(server.Client().Transport),
	}
	resp, err := client.Post(server.URL, "text/plain", strings.NewReader("9.99"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Printf("%s, %d attempts, %d key\n", body, attempts, len(keys))
	// Output: received 9.99, 3 attempts, 1 key
}

// The second of two replicas answers a request that the first is slow to answer. Retries and hedges have one budget.
func ExampleClientHedge() {
	shared := mw.Must(budget.New("search", budget.Config{}))
	again := mw.Must(retry.New("search", retry.Config{}, retry.Hooks{Budget: shared}))
	twice := mw.Must(hedge.New("search", hedge.Config{Delay: 5 * time.Millisecond}, hedge.Hooks{Budget: shared}))

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Replica") == "1" {
			<-r.Context().Done() // it hangs, until it has lost
			return
		}
		fmt.Fprint(w, "found")
	}))
	defer server.Close()
	replica := replicas{server.Client().Transport}

	client := &http.Client{Transport: mw.Chain(httpmw.ClientRetry(again), httpmw.ClientHedge(twice))(replica)}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Printf("%s %v, resent %d time\n", body, err, httpmw.ResendCount(resp.Request.Context()))
	// Output: found <nil>, resent 1 time
}

// replicas sends each attempt to a replica of its own.
type replicas struct{ next http.RoundTripper }

func (t replicas) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Replica", fmt.Sprint(1+httpmw.ResendCount(r.Context())))
	return t.next.RoundTrip(r)
}

// The server says that there is nothing left for an hour, and is not asked again.
func ExampleClientPace() {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("RateLimit-Policy", `"hourly";q=100;w=3600`)
		w.Header().Set("RateLimit", `"hourly";r=0;t=60`)
	}))
	defer server.Close()

	pacer := mw.Must(httpmw.NewPacer("maps", httpmw.PacerConfig{MaxWait: time.Second}))
	client := &http.Client{Transport: httpmw.ClientPace(pacer)(server.Client().Transport)}
	for range 3 {
		resp, err := client.Get(server.URL)
		var rejected *core.Rejection
		if errors.As(err, &rejected) {
			fmt.Println("come again in about", rejected.RetryAfter.Round(10*time.Second))
			continue
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
	}
	fmt.Println("asked", asked)
	// Output:
	// 200 OK
	// come again in about 1m0s
	// come again in about 1m0s
	// asked 1
}

// The limits of the pool change while requests are under way.
func ExampleNewTransport() {
	transport := mw.Must(httpmw.NewTransport(httpmw.TransportConfig{}, httpmw.TransportHooks{}))
	defer transport.CloseIdleConnections()
	fmt.Println(transport.Config().MaxIdlePerHost, transport.Config().MaxPerHost)

	err := transport.Tune(httpmw.TransportConfig{MaxPerHost: 20, MaxIdlePerHost: 20})
	fmt.Println(transport.Config().MaxIdlePerHost, transport.Config().MaxPerHost, err)
	fmt.Println(transport.Tune(httpmw.TransportConfig{DialTimeout: time.Hour}))
	// Output:
	// 100 none
	// 20 20 <nil>
	// httpmw: transport: dial_timeout: 1h is not allowed; allowed: 1ms..5m
}

// What a handler asks of others has the id of its own request.
func ExampleClientRequestID() {
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println("backend:", r.Header.Get("X-Request-ID"))
	}))
	defer backend.Close()
	client := &http.Client{Transport: httpmw.ClientRequestID()(backend.Client().Transport)}

	front := httpmw.RequestID(httpmw.RequestIDConfig{TrustIncoming: true})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		out, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, backend.URL, nil)
		resp, err := client.Do(out)
		if err == nil {
			resp.Body.Close()
		}
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Request-ID", "a1b2c3")
	front.ServeHTTP(httptest.NewRecorder(), r)
	// Output: backend: a1b2c3
}
