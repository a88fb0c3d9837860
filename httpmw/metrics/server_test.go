package metrics

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/httpmw"
)

// server returns the middleware and where its metrics are.
func newServer(t testing.TB, c Config) (func(http.Handler) http.Handler, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	c.Registerer = registry
	return mw.Must(Server(c)), registry
}

func shop() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, "Ada")
	})
	mux.HandleFunc("POST /users", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	})
	mux.HandleFunc("/fails", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mux.HandleFunc("/panics", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	return mux
}

func TestServer(t *testing.T) {
	metrics, registry := newServer(t, Config{Sizes: true})
	full := mw.Must(bulkhead.New("full", bulkhead.Config{Limit: 1}, bulkhead.Hooks{}))
	_, _ = full.Acquire(context.Background(), core.Call{})
	mux := shop()
	mux.Handle("/full", httpmw.Bulkhead(full)(http.NotFoundHandler()))
	h := metrics(mux)
	for range 3 {
		do(h, "GET", "/users/7", "")
	}
	do(h, "GET", "/users/8", "")
	do(h, "POST", "/users", "twelve bytes")
	do(h, "GET", "/nowhere/"+strconv.Itoa(1), "")
	do(h, "BREW", "/nowhere/2", "")
	do(h, "GET", "/fails", "")
	do(h, "GET", "/full", "")
	func() {
		defer func() { _ = recover() }()
		do(h, "GET", "/panics", "")
	}()
	got := gather(t, registry)
	const d = "http_server_request_duration_seconds"
	want(t, got, map[string]float64{
		d + "{http_request_method=GET,http_response_status_code=200,http_route=/users/{id}}":           4,
		d + "{http_request_method=POST,http_response_status_code=201,http_route=/users}":               1,
		d + "{http_request_method=GET,http_response_status_code=404,http_route=unmatched}":             1,
		d + "{http_request_method=_OTHER,http_response_status_code=404,http_route=unmatched}":          1,
		d + "{error_type=502,http_request_method=GET,http_response_status_code=502,http_route=/fails}": 1,
		d + "{error_type=full,http_request_method=GET,http_response_status_code=503,http_route=/full}": 1,
		d + "{error_type=aborted,http_request_method=GET,http_route=/panics}":                          1,
	})
	for key, n := range got {
		if name := "http_server_active_requests"; len(key) > len(name) && key[:len(name)] == name && n != 0 {
			t.Errorf("%s is %v after all", key, n)
		}
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	sum := sums(t, registry)
	equal(t, "request bodies", sum["http_server_request_body_size_bytes"], 12)
	if out := sum["http_server_response_body_size_bytes"]; out < 4*3 {
		t.Errorf("response bodies: %v", out)
	}
}

// sums returns the sum of each histogram over all its series.
func sums(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			sum[f.GetName()] += m.GetHistogram().GetSampleSum()
		}
	}
	return sum
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestServerTimesAndCountsWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		metrics, registry := newServer(t, Config{})
		go do(metrics(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(3 * time.Second) })), "PUT", "/", "")
		time.Sleep(time.Second)
		equal(t, "in flight", gather(t, registry)["http_server_active_requests{http_request_method=PUT}"], 1)
		time.Sleep(3 * time.Second)
		equal(t, "in flight after", gather(t, registry)["http_server_active_requests{http_request_method=PUT}"], 0)
		equal(t, "seconds", sums(t, registry)["http_server_request_duration_seconds"], 3)
	})
}

// However many statuses a handler invents, there are so many series and one more.
func TestServerSeriesAreBounded(t *testing.T) {
	metrics, registry := newServer(t, Config{MaxSeries: 10})
	h := metrics(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.URL.Path[1:])
		w.WriteHeader(status)
	}))
	for status := 200; status < 500; status++ {
		do(h, "GET", "/"+strconv.Itoa(status), "")
	}
	n, rest := 0, 0.0
	for key, value := range gather(t, registry) {
		if key[:len("http_server_request")] == "http_server_request" {
			n++
			if key == "http_server_request_duration_seconds{error_type=_OTHER,http_request_method=_OTHER,"+
				"http_response_status_code=_OTHER,http_route=_OTHER}" {
				rest = value
			}
		}
	}
	equal(t, "series", n, 11)
	equal(t, "shared", rest, 290)
}

// Two servers of a program, one for its users and one for its operators, share the metrics.
func TestServerTwice(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	for range 2 {
		do(mw.Must(Server(Config{Registerer: registry, Sizes: true}))(shop()), "GET", "/users/1", "")
	}
	const d = "http_server_request_duration_seconds"
	want(t, gather(t, registry), map[string]float64{
		d + "{http_request_method=GET,http_response_status_code=200,http_route=/users/{id}}": 2,
	})
}

func TestServerRefuses(t *testing.T) {
	if _, err := Server(Config{MaxSeries: -1}); err == nil {
		t.Error("MaxSeries -1 was taken")
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "http_server_request_duration_seconds", Help: "another"}))
	if _, err := Server(Config{Registerer: registry}); err == nil {
		t.Error("another metric of that name was taken")
	}
}

func TestNative(t *testing.T) {
	metrics, registry := newServer(t, Config{Native: true})
	do(metrics(shop()), "GET", "/users/1", "")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "http_server_request_duration_seconds" {
			h := f.GetMetric()[0].GetHistogram()
			if len(h.GetPositiveSpan()) == 0 || len(h.GetBucket()) == 0 {
				t.Error("not native, or native alone")
			}
		}
	}
}

// nullWriter takes everything.
type nullWriter struct{ header http.Header }

func (w nullWriter) Header() http.Header         { return w.header }
func (w nullWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w nullWriter) WriteHeader(int)             {}

func TestServerAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	metrics, _ := newServer(t, Config{Sizes: true})
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	r, w := httptest.NewRequest("GET", "/", nil), nullWriter{http.Header{}}
	alone := httpmw.Recover()(h)
	both := mw.Chain(httpmw.Recover(), metrics)(h)
	without := testing.AllocsPerRun(200, func() { alone.ServeHTTP(w, r) })
	equal(t, "allocations more", testing.AllocsPerRun(200, func() { both.ServeHTTP(w, r) })-without, 0)
}

func BenchmarkServer(b *testing.B) {
	metrics, _ := newServer(b, Config{})
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	r, w := httptest.NewRequest("GET", "/", nil), nullWriter{http.Header{}}
	for name, chain := range map[string]http.Handler{
		"without": httpmw.Recover()(h), "with": mw.Chain(httpmw.Recover(), metrics)(h),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				chain.ServeHTTP(w, r)
			}
		})
	}
}
