package otelmetrics

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/httpmw"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider() (metric.Meter, *sdk.ManualReader) {
	reader := sdk.NewManualReader()
	return sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test"), reader
}

// collect returns the counts of histograms and the values of sums that are not 0, by name and attributes.
func collect(t *testing.T, reader *sdk.ManualReader) map[string]uint64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	put := func(name string, set attribute.Set, n uint64) {
		if n != 0 {
			got[name+" "+set.Encoded(attribute.DefaultEncoder())] = n
		}
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					put(m.Name, p.Attributes, p.Count)
				}
			case metricdata.Histogram[int64]:
				for _, p := range d.DataPoints {
					put(m.Name+".sum", p.Attributes, uint64(p.Sum))
				}
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					put(m.Name, p.Attributes, uint64(p.Value))
				}
			default:
				t.Errorf("%s is a %T", m.Name, d)
			}
		}
	}
	return got
}

func check(t *testing.T, got, want map[string]uint64) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("\n got %v\nwant %v", got, want)
	}
}

func do(h http.Handler, method, path, body string) {
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, strings.NewReader(body)))
}

func TestServer(t *testing.T) {
	meter, reader := provider()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "Ada")
	})
	mux.HandleFunc("/fails", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	h := mw.Must(Server(Config{Meter: meter, Sizes: true}))(mux)
	do(h, "POST", "/users/1", "body")
	do(h, "POST", "https://shop.example/users/2", "")
	do(h, "BREW", "/fails", "")
	const post = "http.request.method=POST,http.response.status_code=200,http.route=/users/{id},url.scheme=http"
	const fails = "error.type=500,http.request.method=_OTHER,http.response.status_code=500,http.route=/fails,url.scheme=http"
	check(t, collect(t, reader), map[string]uint64{
		"http.server.request.duration " + post:             1,
		"http.server.request.duration " + post + "s":       1,
		"http.server.request.duration " + fails:            1,
		"http.server.request.body.size.sum " + post:        4,
		"http.server.response.body.size.sum " + post:       3,
		"http.server.response.body.size.sum " + post + "s": 3,
	})
}

func TestServerActive(t *testing.T) {
	meter, reader := provider()
	do(mw.Must(Server(Config{Meter: meter}))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		check(t, collect(t, reader), map[string]uint64{"http.server.active_requests http.request.method=PUT": 1})
	})), "PUT", "/", "")
}

func TestServerSeriesAreBounded(t *testing.T) {
	meter, reader := provider()
	h := mw.Must(Server(Config{Meter: meter, MaxSeries: 5}))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.URL.Path[1:])
		w.WriteHeader(status)
	}))
	for status := 200; status < 300; status++ {
		do(h, "GET", "/"+strconv.Itoa(status), "")
	}
	got := collect(t, reader)
	if n := got["http.server.request.duration error.type=_OTHER,http.request.method=_OTHER,http.route=_OTHER"]; n != 95 || len(got) != 6 {
		t.Errorf("%d shared, %d series", n, len(got))
	}
}

// trip is a RoundTripper.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestClient(t *testing.T) {
	meter, reader := provider()
	rt := mw.Must(Client(Config{Meter: meter, Sizes: true, MaxHosts: 1}))(trip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/refused" {
			return nil, io.ErrUnexpectedEOF
		}
		return &http.Response{StatusCode: 429, Body: io.NopCloser(strings.NewReader("later"))}, nil
	}))
	for _, url := range []string{"http://a.example/", "http://a.example/refused", "http://b.example:8080/"} {
		r, err := http.NewRequestWithContext(context.Background(), "GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := rt.RoundTrip(r); err == nil {
			_ = resp.Body.Close()
		}
	}
	const a = "http.request.method=GET,http.response.status_code=429,server.address=a.example,server.port=80"
	const other = "http.request.method=GET,http.response.status_code=429,server.address=_OTHER"
	const refused = "error.type=connection,http.request.method=GET,server.address=a.example,server.port=80"
	check(t, collect(t, reader), map[string]uint64{
		"http.client.request.duration error.type=429," + a:     1,
		"http.client.request.duration error.type=429," + other: 1,
		"http.client.request.duration " + refused:              1,
	})
}

func TestRefuses(t *testing.T) {
	for _, c := range []Config{{}, {Meter: noop.Meter{}, MaxSeries: -1}, {Meter: noop.Meter{}, MaxHosts: 1e9}} {
		if _, err := Server(c); err == nil {
			t.Errorf("Server took %+v", c)
		}
		if _, err := Client(c); err == nil {
			t.Errorf("Client took %+v", c)
		}
	}
}

// nullWriter takes everything.
type nullWriter struct{ header http.Header }

func (w nullWriter) Header() http.Header         { return w.header }
func (w nullWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w nullWriter) WriteHeader(int)             {}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	meter, _ := provider()
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	r, w := httptest.NewRequest("GET", "/", nil), nullWriter{http.Header{}}
	alone := httpmw.Recover()(h)
	both := mw.Chain(httpmw.Recover(), mw.Must(Server(Config{Meter: meter, Sizes: true})))(h)
	without := testing.AllocsPerRun(200, func() { alone.ServeHTTP(w, r) })
	if n := testing.AllocsPerRun(200, func() { both.ServeHTTP(w, r) }) - without; n != 0 {
		t.Errorf("%v allocations more", n)
	}
}
