package httpmw

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
)

func newCache(t testing.TB, scope CacheScope, c CacheConfig, h ...CacheHooks) *ResponseCache {
	t.Helper()
	rc, err := NewResponseCache("test", scope, c, h...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		defer cancel()
		if err := rc.Close(ctx); err != nil {
			t.Error("close:", err)
		}
	})
	return rc
}

// cacheOrigin is a handler that counts its runs and numbers its answers.
type cacheOrigin struct {
	runs   atomic.Int64
	answer func(n int64, w http.ResponseWriter, r *http.Request)
}

func (o *cacheOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.answer(o.runs.Add(1), w, r)
}

// numbered answers "answer N" with fields in pairs.
func numbered(fields ...string) *cacheOrigin {
	return &cacheOrigin{answer: func(n int64, w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		_, _ = fmt.Fprintf(w, "answer %d", n)
	}}
}

// step is one request of a test and what is expected of its answer.
type step struct {
	after  time.Duration // before it
	method string        // default GET
	path   string        // default /
	fields []string
	body   string // "" does not matter
	code   int    // default 200
	status string // Cache-Status; "" does not matter
	age    string // "" does not matter
}

// walk runs steps in virtual time and settles what runs in the background after each.
func walk(t *testing.T, scope CacheScope, c CacheConfig, o http.Handler, steps []step) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := Cache(newCache(t, scope, c))(o)
		for i, s := range steps {
			time.Sleep(s.after)
			method, path, code := s.method, s.path, s.code
			if method == "" {
				method = "GET"
			}
			if path == "" {
				path = "/"
			}
			if code == 0 {
				code = 200
			}
			got := do(h, ask(method, path, s.fields...))
			what := fmt.Sprintf("step %d, ", i)
			equal(t, what+"status", got.Code, code)
			if s.body != "" {
				equal(t, what+"body", got.Body.String(), s.body)
			}
			if s.status != "" {
				equal(t, what+"Cache-Status", got.Header().Get("Cache-Status"), s.status)
			}
			if s.age != "" {
				equal(t, what+"Age", got.Header().Get("Age"), s.age)
			}
			synctest.Wait()
		}
	})
}

// TestCacheLifetimes: max-age, s-maxage, Expires, TTL (RFC 9111 section 4.2), Age and Cache-Status (RFC 9211).
func TestCacheLifetimes(t *testing.T) {
	const miss, hit9 = "test; fwd=uri-miss; ttl=10; stored", "test; hit; ttl=6"
	minute := CacheConfig{TTL: 10 * time.Second}
	for _, tc := range []struct {
		name   string
		scope  CacheScope
		config CacheConfig
		fields []string
		fresh  bool
	}{
		{"max-age", CacheShared, CacheConfig{}, []string{"Cache-Control", "max-age=10"}, true},
		{"max-age 0", CacheShared, minute, []string{"Cache-Control", "max-age=0"}, false},
		{"s-maxage goes first", CacheShared, CacheConfig{}, []string{"Cache-Control", "max-age=1, s-maxage=10"}, true},
		{"s-maxage is not for private caches", CachePrivate, CacheConfig{}, []string{"Cache-Control", "max-age=10, s-maxage=1"}, true},
		{"Expires", CacheShared, CacheConfig{}, []string{"Date", "Sat, 01 Jan 2000 00:00:00 GMT", "Expires", "Sat, 01 Jan 2000 00:00:10 GMT"}, true},
		{"Expires that is no date", CacheShared, minute, []string{"Expires", "0"}, false},
		{"TTL", CacheShared, minute, nil, true},
		{"nothing said", CacheShared, CacheConfig{}, nil, false},
		{"no-store", CacheShared, minute, []string{"Cache-Control", "no-store, max-age=10"}, false},
		{"private, shared", CacheShared, minute, []string{"Cache-Control", "private, max-age=10"}, false},
		{"private, private", CachePrivate, CacheConfig{}, []string{"Cache-Control", "private, max-age=10"}, true},
		{"Set-Cookie", CacheShared, minute, []string{"Set-Cookie", "id=1", "Cache-Control", "public, max-age=10"}, false},
		{"Vary *", CacheShared, minute, []string{"Vary", "Accept, *"}, false},
		{"event stream", CacheShared, minute, []string{"Content-Type", "text/event-stream"}, false},
		{"trailers", CacheShared, minute, []string{"Trailer", "X"}, false},
		{"promised more than came", CacheShared, minute, []string{"Content-Length", "100"}, false},
		{"no-cache", CacheShared, minute, []string{"Cache-Control", "no-cache"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			steps := []step{{body: "answer 1"}, {after: 3500 * time.Millisecond, body: "answer 2"}}
			if tc.fresh {
				steps = []step{
					{body: "answer 1", status: miss},
					{after: 3500 * time.Millisecond, body: "answer 1", status: hit9, age: "3"},
					{after: 7 * time.Second, body: "answer 2"},
				}
			}
			walk(t, tc.scope, tc.config, numbered(tc.fields...), steps)
		})
	}
}

// fiber #3905: one user's response reached another. Section 3.5 of RFC 9111.
func TestCacheAuthorizationIsNotShared(t *testing.T) {
	ann, bob := []string{"Authorization", "Bearer ann"}, []string{"Authorization", "Bearer bob"}
	walk(t, CacheShared, CacheConfig{TTL: time.Minute}, numbered(), []step{
		{fields: ann, body: "answer 1"}, {fields: bob, body: "answer 2"}, {body: "answer 3"},
		{fields: ann, body: "answer 4", status: "test; fwd=request"}, {body: "answer 3"},
	})
	for _, open := range []string{"public, max-age=60", "s-maxage=60", "must-revalidate, max-age=60"} {
		walk(t, CacheShared, CacheConfig{}, numbered("Cache-Control", open), []step{
			{fields: ann, body: "answer 1"}, {fields: bob, body: "answer 1"}, {body: "answer 1"},
		})
	}
	walk(t, CachePrivate, CacheConfig{}, numbered("Cache-Control", "max-age=60"), []step{
		{fields: ann, body: "answer 1"}, {fields: ann, body: "answer 1"},
	})
}

func TestCacheCookiePolicy(t *testing.T) {
	cookie := []string{"Cookie", "id=1"}
	walk(t, CacheShared, CacheConfig{TTL: time.Minute}, numbered(), []step{
		{fields: cookie, body: "answer 1", status: "test; fwd=bypass"}, {body: "answer 2"},
		{fields: cookie, body: "answer 3"}, {body: "answer 2"},
	})
	walk(t, CacheShared, CacheConfig{TTL: time.Minute, Cookies: IgnoreCookies}, numbered(), []step{
		{fields: cookie, body: "answer 1"}, {body: "answer 1"},
	})
	walk(t, CachePrivate, CacheConfig{TTL: time.Minute}, numbered(), []step{
		{fields: cookie, body: "answer 1"}, {fields: cookie, body: "answer 1"},
	})
}

func TestCacheVary(t *testing.T) {
	de, en := []string{"Accept-Language", "de"}, []string{"Accept-Language", " en "}
	walk(t, CacheShared, CacheConfig{TTL: time.Minute}, numbered("Vary", "accept-language"), []step{
		{fields: de, body: "answer 1", status: "test; fwd=uri-miss; ttl=60; stored"},
		{fields: en, body: "answer 2", status: "test; fwd=vary-miss; ttl=60; stored"},
		{fields: de, body: "answer 1"}, {fields: en, body: "answer 2"}, {body: "answer 3"},
	})
}

// What is passed on: nothing of it is kept.
func TestCacheBypass(t *testing.T) {
	walk(t, CacheShared, CacheConfig{TTL: time.Minute}, numbered(), []step{
		{fields: []string{"Range", "bytes=0-1"}, body: "answer 1", status: "test; fwd=bypass"},
		{method: "HEAD", status: "test; fwd=uri-miss"},
		{body: "answer 3"},
		{fields: []string{"Range", "bytes=0-1"}, body: "answer 4"},
		{fields: []string{"If-Match", `"x"`}, body: "answer 5"},
		{method: "HEAD", status: "test; hit; ttl=60"},
		{body: "answer 3"},
	})
}

// Section 4.4 of RFC 9111: an unsafe request makes what is kept invalid, unless it fails.
func TestCacheUnsafeMethodInvalidates(t *testing.T) {
	o := &cacheOrigin{}
	o.answer = func(n int64, w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fails":
			w.WriteHeader(409)
		case "/list":
			w.Header().Set("Location", "http://example.com/other")
			w.Header().Set("Content-Location", "http://elsewhere.example/foreign")
			w.WriteHeader(201)
		}
		_, _ = fmt.Fprintf(w, "answer %d", n)
	}
	walk(t, CacheShared, CacheConfig{TTL: time.Minute}, o, []step{
		{body: "answer 1"},
		{method: "POST", body: "answer 2", status: "test; fwd=method"},
		{body: "answer 3"},
		{path: "/other", body: "answer 4"},
		{method: "POST", path: "/list", code: 201},
		{path: "/other", body: "answer 6"},
		{body: "answer 3"},
		{method: "OPTIONS", body: "answer 7"},
		{body: "answer 3"},
		{path: "/fails", code: 409},
		{method: "DELETE", path: "/fails", code: 409},
	})
}

func TestCacheRequestDirectives(t *testing.T) {
	with := func(s string) []string { return []string{"Cache-Control", s} }
	steps := func(heeded bool) []step {
		s := []step{
			{body: "answer 1"},
			{after: 10 * time.Second, fields: with("max-age=20"), body: "answer 1"},
			{fields: with("min-fresh=40"), body: "answer 1"},
			{fields: with("only-if-cached"), body: "answer 1"},
		}
		if !heeded {
			return append(s, step{fields: with("no-cache"), body: "answer 1"}, step{fields: with("max-age=0"), body: "answer 1"})
		}
		return append(s,
			step{fields: with("max-age=5"), body: "answer 2", status: "test; fwd=request; ttl=60; stored"},
			step{fields: with("no-cache"), body: "answer 3"},
			step{fields: []string{"Pragma", "no-cache"}, body: "answer 4"},
			step{fields: with("no-store"), body: "answer 4"}, // it may be answered, not kept
			step{after: 30 * time.Second, fields: with("min-fresh=40"), body: "answer 5"},
			step{after: 70 * time.Second, fields: with("max-stale=20"), body: "answer 5", status: "test; hit; ttl=-10", age: "70"},
			step{fields: with("max-stale"), body: "answer 5"},
			step{fields: with("max-stale=5"), body: "answer 6"},
			step{path: "/new", fields: with("only-if-cached"), code: 504, status: "test"},
			step{path: "/new", fields: with("no-store"), body: "answer 7"},
			step{path: "/new", body: "answer 8"},
		)
	}
	walk(t, CacheShared, CacheConfig{TTL: time.Minute}, numbered(), steps(true))
	walk(t, CacheShared, CacheConfig{TTL: time.Minute, IgnoreRequest: true}, numbered(), steps(false))
}

// RFC 5861: given out at once while one request refreshes it.
func TestCacheStaleWhileRevalidate(t *testing.T) {
	steps := []step{
		{body: "answer 1"},
		{after: 15 * time.Second, body: "answer 1", status: "test; hit; ttl=-5", age: "15"},
		{body: "answer 2", status: "test; hit; ttl=10"},
		{after: 45 * time.Second, body: "answer 3", status: "test; fwd=stale; ttl=10; stored"},
	}
	walk(t, CacheShared, CacheConfig{}, numbered("Cache-Control", "max-age=10, stale-while-revalidate=30"), steps)
	walk(t, CacheShared, CacheConfig{StaleWhileRevalidate: 30 * time.Second}, numbered("Cache-Control", "max-age=10"), steps)
	walk(t, CacheShared, CacheConfig{}, numbered("Cache-Control", "s-maxage=10, stale-while-revalidate=30"), steps)
	for _, strict := range []string{"max-age=10, must-revalidate", "s-maxage=10", "max-age=10, proxy-revalidate"} {
		walk(t, CacheShared, CacheConfig{StaleWhileRevalidate: 30 * time.Second}, numbered("Cache-Control", strict), []step{
			{body: "answer 1"}, {after: 15 * time.Second, body: "answer 2"},
		})
	}
}

func TestCacheStaleIfError(t *testing.T) {
	for _, code := range []int{500, 502, 503, 504} {
		o := &cacheOrigin{answer: func(n int64, w http.ResponseWriter, _ *http.Request) {
			if n > 1 {
				w.WriteHeader(code)
				return
			}
			w.Header().Set("Cache-Control", "max-age=10, stale-if-error=30")
			_, _ = io.WriteString(w, "good")
		}}
		walk(t, CacheShared, CacheConfig{}, o, []step{
			{body: "good"},
			{after: 15 * time.Second, body: "good", status: fmt.Sprintf("test; fwd=stale; fwd-status=%d; ttl=-5; detail=stale-if-error", code), age: "15"},
			{after: 30 * time.Second, code: code, status: "test; fwd=stale"},
		})
	}
}

// A 304 of the handler confirms what is kept; its fields come into it.
func TestCacheRevalidates(t *testing.T) {
	o := &cacheOrigin{answer: func(n int64, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"v"`)
		w.Header().Set("Cache-Control", "max-age=10")
		w.Header().Set("X-Run", fmt.Sprint(n))
		if r.Header.Get("If-None-Match") == `"v"` {
			w.WriteHeader(304)
			return
		}
		_, _ = io.WriteString(w, "body")
	}}
	walk(t, CacheShared, CacheConfig{}, o, []step{
		{body: "body"},
		{after: 15 * time.Second, body: "body", status: "test; fwd=stale; fwd-status=304; ttl=10; stored"},
		{after: time.Second, body: "body", status: "test; hit; ttl=9"},
		{fields: []string{"If-None-Match", `"v"`}, code: 304, status: "test; hit; ttl=9"},
		{fields: []string{"If-None-Match", `"other"`}, body: "body"},
		{fields: []string{"If-None-Match", `"v"`, "Cache-Control", "no-cache"}, code: 304},
	})
	equal(t, "runs", o.runs.Load(), 3)
}

// A 304 about another representation than the one kept: the whole is asked for.
func TestCacheForeign304(t *testing.T) {
	o := &cacheOrigin{answer: func(n int64, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", fmt.Sprintf(`"v%d"`, n))
		w.Header().Set("Cache-Control", "max-age=10")
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(304)
			return
		}
		_, _ = fmt.Fprintf(w, "answer %d", n)
	}}
	walk(t, CacheShared, CacheConfig{}, o, []step{{body: "answer 1"}, {after: 15 * time.Second, body: "answer 3"}})
}

// A 304 that forbids keeping still answers who asked.
func TestCache304ThatForbids(t *testing.T) {
	o := &cacheOrigin{answer: func(n int64, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"v"`)
		if r.Header.Get("If-None-Match") != "" {
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(304)
			return
		}
		w.Header().Set("Cache-Control", "max-age=10")
		_, _ = fmt.Fprintf(w, "answer %d", n)
	}}
	walk(t, CacheShared, CacheConfig{}, o, []step{
		{body: "answer 1"}, {after: 15 * time.Second, body: "answer 1", status: "test; fwd=stale; fwd-status=304"}, {body: "answer 3"},
	})
}

func TestCacheSetsOwnFieldsOfOtherLayersAside(t *testing.T) {
	rc := newCache(t, CacheShared, CacheConfig{TTL: time.Minute})
	outer := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Set-Cookie", "session="+r.Header.Get("X-User"))
			w.Header().Set("X-Outer", r.Header.Get("X-User"))
			next.ServeHTTP(w, r)
		})
	}
	o := numbered()
	h := mw.Chain(outer, Cache(rc))(o)
	for _, user := range []string{"ann", "bob"} {
		got := do(h, ask("GET", "/", "X-User", user))
		equal(t, "body", got.Body.String(), "answer 1")
		equal(t, "cookie", got.Header().Get("Set-Cookie"), "session="+user)
		equal(t, "X-Outer", got.Header().Get("X-Outer"), user)
	}
}
