package httpmw

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
)

func TestCacheModes(t *testing.T) {
	rc := newCache(t, CacheShared, CacheConfig{TTL: time.Minute, Mode: core.Shadow})
	o := numbered()
	h := Cache(rc)(o)
	for n := 1; n <= 3; n++ {
		got := do(h, ask("GET", "/"))
		equal(t, "shadow", got.Body.String(), fmt.Sprintf("answer %d", n))
		equal(t, "Cache-Status", got.Header().Get("Cache-Status"), "")
	}
	s := rc.Snapshot()
	equal(t, "shadowed", s.Shadowed, 2)
	equal(t, "stored", s.Stored, 3)
	if err := rc.Override(core.Enforce, 0); err != nil {
		t.Error(err)
	}
	equal(t, "enforced", do(h, ask("GET", "/")).Body.String(), "answer 3")
	if err := rc.Override(core.Disabled, 0); err != nil {
		t.Error(err)
	}
	equal(t, "disabled", do(h, ask("GET", "/")).Body.String(), "answer 4")
	equal(t, "disabled", do(h, ask("PUT", "/")).Body.String(), "answer 5")
	rc.Restore()
	if err := rc.Tune(CacheConfig{TTL: time.Minute}); err != nil {
		t.Error(err)
	}
	equal(t, "invalidated while disabled", do(h, ask("GET", "/")).Body.String(), "answer 6")
	if rc.Override(core.ForcedOpen, 0) == nil || rc.Override(core.Shadow, -1) == nil {
		t.Error("a wrong override is accepted")
	}
	var _ core.Machine = rc
}

func TestCacheIsBoundedByBytes(t *testing.T) {
	rc := newCache(t, CacheShared, CacheConfig{TTL: time.Minute, MaxBytes: 100 << 10, MaxBody: 10 << 10})
	h := Cache(rc)(replying(strings.Repeat("x", 9<<10)))
	for i := range 50 {
		do(h, ask("GET", fmt.Sprintf("/%d", i)))
	}
	s := rc.Snapshot()
	if s.Bytes > 100<<10 || s.Resources < 5 || s.Evicted == 0 {
		t.Errorf("%d bytes, %d resources, %d evicted", s.Bytes, s.Resources, s.Evicted)
	}
	if err := rc.Tune(CacheConfig{MaxBytes: 4096}); err != nil {
		t.Error(err)
	}
	equal(t, "resources after Tune", rc.Snapshot().Resources, 0)
}

func TestCacheClosedPassesOn(t *testing.T) {
	rc := newCache(t, CacheShared, CacheConfig{TTL: time.Minute})
	h := Cache(rc)(numbered())
	if err := rc.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for n := 1; n <= 2; n++ {
		equal(t, "body", do(h, ask("GET", "/")).Body.String(), fmt.Sprintf("answer %d", n))
	}
}

func TestCacheConfigIsJudged(t *testing.T) {
	for want, f := range map[string]func() (*ResponseCache, error){
		"scope":    func() (*ResponseCache, error) { return NewResponseCache("x", 0, CacheConfig{}) },
		"name":     func() (*ResponseCache, error) { return NewResponseCache("a b", CacheShared, CacheConfig{}) },
		"max_body": func() (*ResponseCache, error) { return NewResponseCache("x", CacheShared, CacheConfig{MaxBody: -1}) },
		"cookies":  func() (*ResponseCache, error) { return NewResponseCache("x", CacheShared, CacheConfig{Cookies: "eat"}) },
	} {
		if _, err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	rc := newCache(t, CacheShared, CacheConfig{})
	if err := rc.Tune(CacheConfig{MaxBody: -1}); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("tune: %v", err)
	}
}

// The route of a hit is that of the response, so that logs and metrics know it.
func TestCacheHitKeepsTheRoute(t *testing.T) {
	rc := newCache(t, CacheShared, CacheConfig{TTL: time.Minute})
	sink := newLogSink()
	mux := http.NewServeMux()
	mux.Handle("GET /users/{id}", replying("user"))
	h := mw.Chain(fullChain(t, sink), Cache(rc))(mux)
	for range 2 {
		do(h, ask("GET", "/users/7"))
		equal(t, "route", sink.next(t, "request")["http.route"], any("/users/{id}"))
	}
}

// Over real connections: the client sees the same of a miss, a hit and the handler itself.
func TestCacheOnTheWire(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		rc := newCache(t, CacheShared, CacheConfig{TTL: time.Minute})
		handler := replying(strings.Repeat("<html>", 1000), "X-Own", "1")
		bare, s := serve(handler), serve(Cache(rc)(handler))
		want, wantBody, _ := get(t, bare, "/")
		for range 2 {
			got, body, err := get(t, s, "/")
			equal(t, "error", err, nil)
			equal(t, "body", body == wantBody, true)
			equal(t, "status", got.StatusCode, want.StatusCode)
			equal(t, "type", got.Header.Get("Content-Type"), want.Header.Get("Content-Type"))
			equal(t, "own field", got.Header.Get("X-Own"), "1")
		}
	})
}
