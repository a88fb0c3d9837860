package trace_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/httpmw"
	"github.com/mw-go/mw/httpmw/trace"
)

// A span has the name of the route that the mux found inside.
func ExampleServer() {
	spans := tracetest.NewSpanRecorder() // in a service: a batch processor and an exporter
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "Ada") })
	h := mw.Chain(
		httpmw.Recover(),
		trace.Server(trace.Config{Provider: provider}),
		httpmw.RequestID(),
	)(mux)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/users/7", nil))
	fmt.Println(spans.Ended()[0].Name())
	// Output: GET /users/{id}
}
