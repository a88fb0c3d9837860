package metrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/httpmw"
	"github.com/mw-go/mw/httpmw/metrics"
)

// Requests by method, route, status and what went wrong.
func ExampleServer() {
	registry := prometheus.NewRegistry()
	measure := mw.Must(metrics.Server(metrics.Config{Registerer: registry}))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "Ada") })
	h := mw.Chain(httpmw.Recover(), measure)(mux)
	for _, path := range []string{"/users/7", "/users/8", "/wp-login.php"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	families, _ := registry.Gather() // what promhttp.HandlerFor(registry, ...) serves
	for _, f := range families {
		if f.GetName() != "http_server_request_duration_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				fmt.Printf("%s=%s ", l.GetName(), l.GetValue())
			}
			fmt.Println(m.GetHistogram().GetSampleCount())
		}
	}
	// Output:
	// error_type= http_request_method=GET http_response_status_code=200 http_route=/users/{id} 2
	// error_type= http_request_method=GET http_response_status_code=404 http_route=unmatched 1
}
