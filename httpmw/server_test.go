package httpmw

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/policy"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/throttle"
	"github.com/mw-go/mw/core/timeout"
)

func newSet(t testing.TB, c policy.Config) *policy.Set {
	t.Helper()
	return mw.Must(policy.New(c, nil))
}

// everyServerPolicy is settings for all that a server's plan has.
func everyServerPolicy() policy.Config {
	return policy.Config{
		Timeouts:       map[string]timeout.Config{"http": {Limit: time.Minute}},
		RateLimits:     map[string]ratelimit.Config{"http": {Limit: 3, Period: time.Hour}},
		AdaptiveLimits: map[string]adaptive.Config{"http": {}},
		Bulkheads:      map[string]bulkhead.Config{"http": {Limit: 10}},
		Breakers:       map[string]breaker.Config{"http": {}},
	}
}

// marker is a middleware that does nothing but have a name.
func marker(name string) func(http.Handler) http.Handler {
	return Observe(func(Summary) {}, ObserveConfig{Name: name})
}

// The recommended order, with everything in it and with nothing, makes sense to Check.
func TestServerOrder(t *testing.T) {
	full := ServerConfig{
		Logger: newDiscardAll(), Budget: nil, Metrics: marker("Metrics"), Trace: marker("Trace"), CORS: marker("CORS"),
		CSRF: marker("CSRF"), Fallback: marker("Fallback"), Authenticate: marker("Authenticate"), Decompress: marker("Decompress"),
		Cache: marker("Cache"), Compress: marker("Compress"), ETag: marker("ETag"),
		Criticality: CriticalityConfig{Class: func(*http.Request) core.Class { return core.Sheddable }},
		Inside:      []func(http.Handler) http.Handler{marker("IdempotencyKey"), marker("Validate")},
	}
	budget := full
	budget.Budget = &DeadlineConfig{}
	for _, tt := range []struct {
		name   string
		config ServerConfig
		set    policy.Config
		want   string
	}{
		{"everything", full, everyServerPolicy(), "Recover RequestID ClientIP Metrics Trace AccessLog SecureHeaders CORS HeaderLimits CSRF Criticality " +
			"Timeout Fallback Guard Authenticate BodyLimit Decompress Cache Compress ETag IdempotencyKey Validate"},
		{"budgets of callers", budget, everyServerPolicy(), "Recover RequestID ClientIP Metrics Trace AccessLog SecureHeaders CORS HeaderLimits CSRF " +
			"Criticality Deadline Fallback Guard Authenticate BodyLimit Decompress Cache Compress ETag IdempotencyKey Validate"},
		{"the default", ServerConfig{Logger: newDiscardAll()}, policy.Config{},
			"Recover RequestID ClientIP AccessLog SecureHeaders HeaderLimits BodyLimit"},
		{"less than that", ServerConfig{NoAccessLog: true, NoSecureHeaders: true}, policy.Config{}, "Recover RequestID ClientIP HeaderLimits BodyLimit"},
	} {
		set := newSet(t, tt.set)
		h := mw.Chain(mw.Must(Server(set, tt.config))...)(okHandler)
		equal(t, tt.name, strings.Join(Layers(h), " "), tt.want)
		if err := Check(h); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err := set.Check(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		equal(t, tt.name, do(h, httptest.NewRequest("GET", "/healthz", nil)).Code, 200)
	}
}

// The stack answers, refuses what the configuration says, leaves health checks alone, and follows a reload.
func TestServerFollowsTheConfiguration(t *testing.T) {
	set := newSet(t, everyServerPolicy())
	if _, err := set.KeyedRateLimit("http", ratelimit.Hooks{}); err != nil { // a keyed one is used as it is
		t.Fatal(err)
	}
	h := mw.Chain(mw.Must(Server(set, ServerConfig{Logger: newDiscardAll()}))...)(okHandler)
	from := func(client, path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.RemoteAddr = client + ":1234"
		return do(h, r)
	}
	for _, client := range []string{"192.0.2.1", "192.0.2.2"} {
		for range 3 {
			equal(t, "status", from(client, "/").Code, 200)
		}
		w := from(client, "/")
		equal(t, "limited", w.Code, 429)
		for _, field := range []string{"Retry-After", "Ratelimit", "X-Request-Id", "X-Content-Type-Options"} {
			if w.Header().Get(field) == "" {
				t.Errorf("the refusal lacks %s", field)
			}
		}
		equal(t, "health", from(client, "/readyz").Code, 200)
	}
	c := everyServerPolicy()
	c.Bulkheads["http"] = bulkhead.Config{Limit: 1}
	c.RateLimits["http"] = ratelimit.Config{Limit: 1_000_000}
	if err := set.Tune(c); err != nil {
		t.Fatal(err)
	}
	equal(t, "after the reload", from("192.0.2.3", "/").Code, 200)
}

// The access log goes past the Logger that panics are written to.
func TestServerLogsJSONBesideALogger(t *testing.T) {
	var lines, panics bytes.Buffer
	config := ServerConfig{Logger: slog.New(slog.NewTextHandler(&panics, nil)), LogJSON: &lines}
	h := mw.Chain(mw.Must(Server(newSet(t, policy.Config{}), config))...)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }))
	equal(t, "status", do(h, httptest.NewRequest("GET", "/", nil)).Code, 500)
	if !strings.Contains(lines.String(), `"http.response.status_code":500`) || !strings.Contains(panics.String(), "boom") {
		t.Errorf("lines %q, panics %q", lines.String(), panics.String())
	}
}

// What cannot be right is refused at the start, all at once.
func TestServerRefuses(t *testing.T) {
	_, err := Server(newSet(t, everyServerPolicy()), ServerConfig{
		BodyLimit: BodyLimitConfig{Max: -1}, SecureHeaders: SecureHeadersConfig{Preset: "none"}, Timeout: TimeoutConfig{Buffer: -5},
	})
	for _, want := range []string{"max: -1", "preset: \"none\"", "buffer: -5"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if _, err := Server(nil, ServerConfig{}); err == nil {
		t.Error("a nil Set")
	}
}

// everyClientPolicy is settings for all that a client's plan has.
func everyClientPolicy() policy.Config {
	return policy.Config{
		Timeouts:   map[string]timeout.Config{"pay": {Limit: 5 * time.Second}, "pay-attempt": {Limit: time.Second}},
		Retries:    map[string]retry.Config{"pay": {Base: time.Millisecond}},
		Hedges:     map[string]hedge.Config{"pay": {Delay: 500 * time.Millisecond}},
		Throttles:  map[string]throttle.Config{"pay": {}},
		RateLimits: map[string]ratelimit.Config{"pay": {Limit: 1000}},
		Breakers:   map[string]breaker.Config{"pay": {}},
		Bulkheads:  map[string]bulkhead.Config{"pay": {Limit: 10}},
	}
}

// clientMarker is marker for RoundTrippers.
func clientMarker(name string) func(http.RoundTripper) http.RoundTripper {
	return ClientObserve(func(ClientSummary) {}, ClientObserveConfig{Name: name})
}

// The order of a client with everything in it.
func TestClientOrder(t *testing.T) {
	set := newSet(t, everyClientPolicy())
	rt := mw.Must(Client(set, "pay", ClientConfig{
		Fallback: clientMarker("Fallback"), Cache: clientMarker("Cache"), Metrics: clientMarker("Metrics"),
		AttemptMetrics: clientMarker("AttemptMetrics"), Trace: clientMarker("Trace"), Budget: &ClientDeadlineConfig{},
		Pace: mw.Must(NewPacer("pay", PacerConfig{})),
	}))
	equal(t, "layers", strings.Join(ClientLayers(rt), " "), "ClientRequestID Fallback Cache Metrics ClientTimeout ClientRetry ClientHedge "+
		"ClientPace ClientGuard ClientTimeout ClientDeadline AttemptMetrics Trace Transport")
	if err := set.Check(); err != nil {
		t.Error(err)
	}
	r, h := mw.Must(set.Retry("pay", retry.Hooks{})), mw.Must(set.Hedge("pay", hedge.Hooks{}))
	if r.Budget() != h.Budget() {
		t.Error("two budgets")
	}
}

// The client asks again, opens its breaker for the host that fails alone, and follows a reload.
func TestClientAgainstServers(t *testing.T) {
	var failing, calls int
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		if failing > 0 {
			failing--
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer broken.Close()
	healthy := httptest.NewServer(okHandler)
	defer healthy.Close()
	c := everyClientPolicy()
	c.Hedges = nil
	c.Breakers["pay"] = breaker.Config{MinCalls: 5, FailureRate: 0.5}
	set := newSet(t, c)
	breakers := mw.Must(set.KeyedBreaker("pay", breaker.Hooks{}))
	transport := mw.Must(NewTransport(TransportConfig{}, TransportHooks{}))
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: mw.Must(Client(set, "pay", ClientConfig{Base: transport}))}
	get := func(url string) (int, error) {
		resp, err := client.Get(url)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, nil
	}
	failing = 2
	if status, err := get(broken.URL); status != 200 || err != nil || calls != 3 {
		t.Errorf("%d, %v after %d calls", status, err, calls)
	}
	failing = 1000
	for range 20 {
		_, _ = get(broken.URL)
	}
	before := calls
	if _, err := get(broken.URL); err == nil || !strings.Contains(err.Error(), "open") || calls != before {
		t.Errorf("%v, %d calls more", err, calls-before)
	}
	if status, err := get(healthy.URL); status != 200 || err != nil {
		t.Errorf("the other host: %d, %v", status, err)
	}
	if n := breakers.Status().Keys; n != 2 {
		t.Errorf("%d hosts", n)
	}
	c.Timeouts = map[string]timeout.Config{"pay": {Limit: 5 * time.Second}, "pay-attempt": {Limit: 10 * time.Second}}
	if err := set.Tune(c); err == nil || !strings.Contains(err.Error(), "the inner 10s can never be over") {
		t.Errorf("a reload that makes no sense: %v", err)
	}
}

func TestClientRefuses(t *testing.T) {
	c := everyClientPolicy()
	c.Hedges["pay"] = hedge.Config{Delay: time.Minute}
	for name, err := range map[string]error{
		"a delay beyond the time": second2(Client(newSet(t, c), "pay", ClientConfig{})),
		"an unknown name":         second2(Client(newSet(t, everyClientPolicy()), "payments", ClientConfig{})),
		"a nil Set":               second2(Client(nil, "pay", ClientConfig{})),
		"a bad Budget":            second2(Client(newSet(t, everyClientPolicy()), "pay", ClientConfig{Budget: &ClientDeadlineConfig{Margin: time.Hour}})),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := ClientLayers(nil); got != nil {
		t.Errorf("%q", got)
	}
}

func second2(_ http.RoundTripper, err error) error { return err }
