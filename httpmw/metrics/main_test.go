package metrics

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gather returns every series as name{label=value,...}, without empty labels: a gauge's value, or a histogram's count.
func gather(t *testing.T, r prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			value := m.GetGauge().GetValue()
			if f.GetType() == dto.MetricType_HISTOGRAM {
				value = float64(m.GetHistogram().GetSampleCount())
			}
			got[f.GetName()+"{"+labels(m)+"}"] = value
		}
	}
	return got
}

func labels(m *dto.Metric) string {
	var pairs []string
	for _, l := range m.GetLabel() {
		if l.GetValue() != "" {
			pairs = append(pairs, l.GetName()+"="+l.GetValue())
		}
	}
	return strings.Join(pairs, ",")
}

// want checks that the series are there with their values, and that there are no others of the same metrics.
func want(t *testing.T, got, want map[string]float64) {
	t.Helper()
	metrics := map[string]bool{}
	for key, value := range want {
		name, _, _ := strings.Cut(key, "{")
		metrics[name] = true
		if v, ok := got[key]; !ok || v != value {
			t.Errorf("%s: %v (there: %v), want %v", key, v, ok, value)
		}
	}
	for key, value := range got {
		name, _, _ := strings.Cut(key, "{")
		if _, ok := want[key]; !ok && metrics[name] {
			t.Errorf("%s %v is one too many", key, value)
		}
	}
}

func do(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

// trip is a RoundTripper.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, body string) trip {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}
