package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/retry"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// open starts the shop with the settings of dir, but for the wait when it leaves.
func open(t *testing.T, dir, wait string) *service {
	t.Helper()
	t.Setenv("APP_LIFECYCLE__WAIT", wait)
	s, err := start(options{dir: dir, listen: "127.0.0.1:0", admin: "127.0.0.1:0", log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// send sends a request with fields, given as name and value by turns, and a body of JSON if it is not empty.
func send(t *testing.T, method, url, body string, fields ...string) (status int, answer string, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

// What the shop tells a new user to try must work.
func TestEveryLineToTryWorks(t *testing.T) {
	s := open(t, "config", "none")
	_, help, _ := send(t, "GET", s.url+"/", "")
	lines := strings.Split(strings.TrimSpace(help), "\n")
	part := func(line, pattern string) string {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(line); m != nil {
			return m[1]
		}
		return ""
	}
	for _, line := range lines {
		method, url, body := part(line, `-X (\w+)`), part(line, `(http://[^\s;]+)`), part(line, `-d '([^']*)'`)
		var fields []string
		if key := part(line, `'Idempotency-Key: ([^']*)'`); key != "" {
			fields = []string{"Idempotency-Key", key}
		}
		switch {
		case method != "":
		case body != "":
			method = "POST"
		default:
			method = "GET"
		}
		status, answer, _ := send(t, method, url, body, fields...)
		if want := map[bool]int{false: 200, true: 201}[body != ""]; status != want && !strings.Contains(line, "the breaker opens") {
			t.Errorf("%s: %d %s", line, status, answer)
		}
	}
	if len(lines) < 6 {
		t.Errorf("only %d lines", len(lines))
	}
}

// Orders are what they should be or refused with all that is wrong, and status and metrics count them.
func TestOrdersAndStatus(t *testing.T) {
	s := open(t, "config", "none")
	if status, body, _ := send(t, "POST", s.url+"/orders", pears); status != 201 {
		t.Errorf("healthy: %d %s", status, body)
	}
	status, body, _ := send(t, "POST", s.url+"/orders", `{"product":"stone","quantity":0}`)
	if status != 422 || !strings.Contains(body, "#/product") || !strings.Contains(body, "#/quantity") {
		t.Errorf("nothing to sell: %d %s", status, body)
	}
	if status, body, _ := send(t, "POST", s.url+"/orders", `{"product":"pear","quantity":2,"price":1}`); status != 422 {
		t.Errorf("a field too many: %d %s", status, body)
	}
	if n := s.upstream.payments.Load(); n != 1 {
		t.Errorf("%d payments, want 1", n)
	}
	s.upstream.set("failing")
	if status, body, _ := send(t, "POST", s.url+"/orders", pears); status != 502 {
		t.Errorf("failing: %d %s", status, body)
	}
	var seen struct {
		State    string
		Policies map[string]struct{ Admitted int }
	}
	_, body, _ = send(t, "GET", s.admin+"/status", "")
	if err := json.Unmarshal([]byte(body), &seen); err != nil {
		t.Fatal(err)
	}
	if got := seen.Policies["ratelimit/shop"].Admitted; got != 4 || seen.State != "ready" {
		t.Errorf("the limiter admitted %d, want 4; the state is %q: %s", got, seen.State, body)
	}
	_, body, _ = send(t, "GET", s.admin+"/metrics", "")
	for _, want := range []string{
		`http_server_request_duration_seconds_count{error_type="",http_request_method="POST",http_response_status_code="201",http_route="/orders"} 1`,
		`mw_policy_admitted_total{kind="ratelimit",name="shop"} 4`,
		`http_client_request_duration_seconds_count{`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in the metrics:\n%s", want, body)
		}
	}
}

// A provider that hangs costs an order its time, and holds nothing up when the shop ends.
func TestHungProvider(t *testing.T) {
	s := open(t, "config", "none")
	s.upstream.set("hanging")
	status, body, _ := send(t, "POST", s.url+"/orders", pears)
	if status != 503 {
		t.Errorf("%d %s", status, body)
	}
}

// Who sends an order again with its key pays once; a payment that failed may be tried again with the same key.
func TestAnOrderIsPaidOnce(t *testing.T) {
	s := open(t, "config", "none")
	key := []string{"Idempotency-Key", `"k1"`}
	s.upstream.set("failing")
	if status, body, _ := send(t, "POST", s.url+"/orders", pears, key...); status != 502 {
		t.Errorf("failing: %d %s", status, body)
	}
	s.upstream.set("healthy")
	_, first, _ := send(t, "POST", s.url+"/orders", pears, key...)
	status, again, header := send(t, "POST", s.url+"/orders", pears, key...)
	if status != 201 || again != first || header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%d %q %v, want what came first: %q", status, again, header, first)
	}
	if n := s.upstream.payments.Load(); n != 2 { // one of them in vain
		t.Errorf("%d payments, want 2", n)
	}
}

// What comes of the layers in front of the list of products: limits, ids, security, CORS, compression, conditions.
func TestProductsPassTheWholeStack(t *testing.T) {
	s := open(t, "config", "none")
	list := func(fields ...string) (int, string, http.Header) {
		return send(t, "GET", s.url+"/products", "", append(fields, "Accept-Encoding", "gzip", "Origin", "http://localhost:3000")...)
	}
	status, _, header := list()
	for field, want := range map[string]string{
		"RateLimit": `"shop";r=99`, "X-Request-Id": "", "X-Content-Type-Options": "nosniff", "Content-Encoding": "gzip",
		"Etag": "-gzip", "Access-Control-Allow-Origin": "http://localhost:3000",
	} {
		if got := header.Get(field); got == "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want it to have %q", field, got, want)
		}
	}
	if status != 200 {
		t.Errorf("status %d", status)
	}
	if status, body, _ := list("If-None-Match", header.Get("Etag")); status != 304 || body != "" {
		t.Errorf("who has the list is answered %d %q", status, body)
	}
}

// Without a stock the shop shows what it sells, and the connections follow the file.
func TestProductsWithoutStock(t *testing.T) {
	dir := t.TempDir()
	s := open(t, copyOf(t, dir, "", ""), "none")
	if _, body, _ := send(t, "GET", s.url+"/products", ""); !strings.Contains(body, `{"name":"apple","price":30,"left":7}`) {
		t.Errorf("with the stock: %s", body)
	}
	copyOf(t, dir, "max_idle_per_host: 64", "max_idle_per_host: 65")
	if err := s.live.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.transport.Config().MaxIdlePerHost; got != 65 {
		t.Errorf("%d idle connections, want 65", got)
	}
	if err := s.servers[0].Close(); err != nil { // that of the stock
		t.Error(err)
	}
	status, body, _ := send(t, "GET", s.url+"/products", "")
	if status != 200 || !strings.Contains(body, `{"name":"apple","price":30}`) || s.shop.blind.Load() != 1 {
		t.Errorf("without: %d %s", status, body)
	}
}

// The stock refuses calls and is late, and the list of products is whole each time.
func TestFlakyStock(t *testing.T) {
	t.Setenv("APP_POLICIES__RATE_LIMITS__SHOP__BURST", "1000")
	s := open(t, "config", "none")
	for range 6 * lateEvery {
		if status, body, _ := send(t, "GET", s.url+"/products", ""); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
	}
	retries, hedges := mw.Must(s.set.Retry("stock", retry.Hooks{})).Snapshot(), mw.Must(s.set.Hedge("stock", hedge.Hooks{})).Snapshot()
	if retries.Rescued == 0 || hedges.Won == 0 || s.shop.blind.Load() > 0 {
		t.Errorf("%d calls rescued by another attempt, %d won by a second one, %d lists without the stock; want some, some and none",
			retries.Rescued, hedges.Won, s.shop.blind.Load())
	}
}

// A shop that leaves says so, serves on, and closes its door then.
func TestLeaving(t *testing.T) {
	s := open(t, "config", "2s")
	if status, _, _ := send(t, "GET", s.url+"/readyz", ""); status != 200 {
		t.Errorf("ready: %d", status)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.life.Shutdown(context.Background()) }()
	(&story{service: s}).awaitLeaving()
	if status, _, _ := send(t, "GET", s.url+"/readyz", ""); status != 503 {
		t.Errorf("leaving: %d", status)
	}
	if status, body, _ := send(t, "POST", s.url+"/orders", pears); status != 201 {
		t.Errorf("an order while it leaves: %d %s", status, body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if resp, err := http.Get(s.url + "/livez"); err == nil {
		resp.Body.Close()
		t.Errorf("after it has left: %s", resp.Status)
	}
	if status, _, _ := send(t, "GET", s.admin+"/status", ""); status != 200 {
		t.Errorf("the operators: %d", status)
	}
}

// copyOf writes the configuration to dir, with a text replaced.
func copyOf(t *testing.T, dir, old, fresh string) string {
	t.Helper()
	text, err := os.ReadFile("config/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("the configuration has no %q", old)
	}
	text = []byte(strings.Replace(string(text), old, fresh, 1))
	if err := os.WriteFile(filepath.Join(dir, "default.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A bad file ends the program with a message that says where and what.
func TestBadConfigurationIsRefusedAtStart(t *testing.T) {
	for _, c := range []struct{ old, fresh, want string }{
		{"limit: 50", "limit: -1", "rate_limits.shop.limit"},
		{"limit: 50", "limit: 0", "rate_limits.shop.limit"},
		{"min_calls: 20", "min_cals: 20", "did you mean"},
		{"    shop:", "    shops:", "did you mean"},
		{"  hedges:\n    # The stock", "  hedges:\n    stok: {}\n    # The stock", "hedges.stok: no code asks for it; did you mean stock"},
		{"      limit: 400ms", "      limit: 2s", "the inner 2s can never be over before the outer 1s"},
		{"http://localhost:*", "\"null\"", "origins"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := serve(ctx, copyOf(t, t.TempDir(), c.old, c.fresh), "127.0.0.1:0", "127.0.0.1:0")
		cancel()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want one with %q", c.fresh, err, c.want)
		}
	}
}
