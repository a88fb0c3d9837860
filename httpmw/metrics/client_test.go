package metrics

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
)

func newClient(t testing.TB, c Config) (func(http.RoundTripper) http.RoundTripper, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	c.Registerer = registry
	return mw.Must(Client(c)), registry
}

func send(t *testing.T, rt http.RoundTripper, method, url, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}

func TestClient(t *testing.T) {
	metrics, registry := newClient(t, Config{Sizes: true})
	rejects := trip(func(*http.Request) (*http.Response, error) { return nil, &core.Rejection{Reason: core.ReasonOpen} })
	send(t, metrics(answer(200, "hello")), "GET", "http://users.example/7", "")
	send(t, metrics(answer(200, "hello")), "", "http://Users.example:80/8", "")
	send(t, metrics(answer(404, "")), "POST", "https://users.example/9", "body")
	send(t, metrics(rejects), "GET", "http://users.example/7", "")
	const d = "http_client_request_duration_seconds"
	const host = ",server_address=users.example,server_port="
	want(t, gather(t, registry), map[string]float64{
		d + "{http_request_method=GET,http_response_status_code=200" + host + "80}":                  2,
		d + "{error_type=404,http_request_method=POST,http_response_status_code=404" + host + "443}": 1,
		d + "{error_type=open,http_request_method=GET" + host + "80}":                                1,
	})
	sum := sums(t, registry)
	equal(t, "received", sum["http_client_response_body_size_bytes"], 10)
	equal(t, "sent", sum["http_client_request_body_size_bytes"], 4)
	for key, n := range gather(t, registry) {
		if strings.HasPrefix(key, "http_client_active_requests") && n != 0 {
			t.Errorf("%s is %v after all", key, n)
		}
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

// A client that is told where to go by others does not make a series for every place.
func TestClientHostsAreBounded(t *testing.T) {
	metrics, registry := newClient(t, Config{MaxHosts: 3})
	rt := metrics(answer(200, ""))
	for i := range 20 {
		send(t, rt, "GET", "http://hook"+strconv.Itoa(i)+".example/", "")
	}
	n := 0
	for key, value := range gather(t, registry) {
		if strings.HasPrefix(key, "http_client_request") {
			n++
			if strings.Contains(key, "server_address=_OTHER") {
				equal(t, "shared", value, 17)
			}
		}
	}
	equal(t, "series", n, 4)
}

// In flight until the body is closed.
func TestClientOverTheWire(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer s.Close()
	metrics, registry := newClient(t, Config{})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: metrics(transport)}
	resp, err := c.Get(s.URL) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "in flight", gather(t, registry)["http_client_active_requests{http_request_method=GET}"], 1)
	_ = resp.Body.Close()
	equal(t, "in flight after", gather(t, registry)["http_client_active_requests{http_request_method=GET}"], 0)
}
