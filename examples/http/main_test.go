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
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func open(t *testing.T) *service {
	t.Helper()
	s, err := start(options{dir: "config", listen: "127.0.0.1:0", log: slog.New(slog.DiscardHandler)})
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

func send(t *testing.T, method, url string) (status int, body string, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
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
	s := open(t)
	_, help, _ := send(t, "GET", s.url+"/")
	lines := strings.Split(strings.TrimSpace(help), "\n")
	target := regexp.MustCompile(`curl (?:.*?-X (\w+) )?.*?(http://\S+?)(?:;|\s|$)`)
	for _, line := range lines {
		m := target.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("no request in %q", line)
		}
		method := m[1]
		if method == "" {
			method = "GET"
		}
		if status, body, _ := send(t, method, m[2]); status >= 400 && !strings.HasSuffix(m[2], "/orders") {
			t.Errorf("%s: %d %s", line, status, body)
		}
	}
	if len(lines) < 4 {
		t.Errorf("only %d lines", len(lines))
	}
}

func TestOrdersAndStatus(t *testing.T) {
	s := open(t)
	if status, body, _ := send(t, "POST", s.url+"/orders"); status != http.StatusCreated {
		t.Errorf("healthy: %d %s", status, body)
	}
	s.upstream.set("failing")
	if status, body, _ := send(t, "POST", s.url+"/orders"); status != http.StatusBadGateway {
		t.Errorf("failing: %d %s", status, body)
	}
	_, _, header := send(t, "GET", s.url+"/products")
	if header.Get("RateLimit") == "" || header.Get("X-Request-Id") == "" {
		t.Errorf("header %v", header)
	}
	var status struct {
		Guards map[string]struct{ Admitted int }
	}
	_, body, _ := send(t, "GET", s.url+"/status")
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	if got := status.Guards["ratelimit/clients"].Admitted; got != 3 {
		t.Errorf("the limiter admitted %d, want 3: %s", got, body)
	}
}

// A bad file ends the program with a message that says where and what.
func TestBadConfigurationIsRefusedAtStart(t *testing.T) {
	good, err := os.ReadFile("config/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, fresh, want string }{
		{"limit: 50", "limit: -1", "rate_limits.clients.limit"},
		{"limit: 50", "limit: 0", "rate_limits.clients.limit"},
		{"min_calls: 20", "min_cals: 20", "did you mean"},
		{"    clients:", "    client:", "did you mean"},
	} {
		dir := t.TempDir()
		text := strings.Replace(string(good), c.old, c.fresh, 1)
		if err := os.WriteFile(filepath.Join(dir, "default.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := serve(ctx, dir, "127.0.0.1:0")
		cancel()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want one with %q", c.fresh, err, c.want)
		}
	}
}
