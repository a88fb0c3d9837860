package httpmw_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/policy"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/timeout"
	"github.com/mw-go/mw/httpmw"
)

// What the configuration has under the name of the server stands in front of its handlers.
func ExampleServer() {
	set := mw.Must(policy.New(policy.Config{ // hotconfig reads it from a file, and binds set to it
		RateLimits: map[string]ratelimit.Config{"shop": {Limit: 2, Period: time.Hour}},
		Timeouts:   map[string]timeout.Config{"shop": {Limit: 2 * time.Second}},
	}, nil))
	layers := mw.Must(httpmw.Server(set, httpmw.ServerConfig{Name: "shop", NoAccessLog: true}))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /products", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "apples") })
	handler := mw.Chain(layers...)(mux)
	if err := httpmw.Check(handler); err != nil {
		fmt.Println(err)
	}
	fmt.Println(strings.Join(httpmw.Layers(handler), " > "))
	for range 3 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/products", http.NoBody))
		fmt.Println(w.Code, w.Header().Get("X-Content-Type-Options"))
	}
	// Output:
	// Recover > RequestID > ClientIP > SecureHeaders > HeaderLimits > Timeout > Guard > BodyLimit
	// 200 nosniff
	// 200 nosniff
	// 429 nosniff
}

// What the configuration has under the name of a dependency stands behind the client: here a time for the whole, one for
// each attempt, a retry and a breaker.
func ExampleClient() {
	attempts := 0
	stock := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if attempts++; attempts < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "7 apples")
	}))
	defer stock.Close()

	set := mw.Must(policy.New(policy.Config{
		Timeouts: map[string]timeout.Config{"stock": {Limit: 10 * time.Second}, "stock-attempt": {Limit: 3 * time.Second}},
		Retries:  map[string]retry.Config{"stock": {Base: time.Millisecond}},
		Breakers: map[string]breaker.Config{"stock": {}},
	}, nil))
	transport := mw.Must(httpmw.Client(set, "stock", httpmw.ClientConfig{Base: stock.Client().Transport}))
	fmt.Println(strings.Join(httpmw.ClientLayers(transport), " > "))

	resp, err := (&http.Client{Transport: transport}).Get(stock.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Printf("%s %v, %d attempts\n", body, err, attempts)
	// Output:
	// ClientRequestID > ClientTimeout > ClientRetry > ClientGuard > ClientTimeout
	// 7 apples <nil>, 3 attempts
}
