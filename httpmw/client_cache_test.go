package httpmw

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// upstream is a transport that counts its requests and the bodies that were not closed.
type upstream struct {
	runs   atomic.Int64
	open   atomic.Int64
	answer func(n int64, r *http.Request) (*http.Response, error)
}

func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := u.answer(u.runs.Add(1), r)
	if resp != nil && resp.Body != nil {
		u.open.Add(1)
		resp.Body = &openBody{ReadCloser: resp.Body, open: &u.open}
	}
	return resp, err
}

type openBody struct {
	io.ReadCloser
	open *atomic.Int64
	once sync.Once
}

func (b *openBody) Close() error {
	b.once.Do(func() { b.open.Add(-1) })
	return b.ReadCloser.Close()
}

// reply makes a response of a body and fields in pairs.
func reply(code int, body io.Reader, fields ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(fields); i += 2 {
		h.Set(fields[i], fields[i+1])
	}
	return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(body), ContentLength: -1, ProtoMajor: 1, ProtoMinor: 1}
}

// numberedReplies answer "answer N".
func numberedReplies(fields ...string) *upstream {
	return &upstream{answer: func(n int64, _ *http.Request) (*http.Response, error) {
		return reply(200, strings.NewReader(fmt.Sprintf("answer %d", n)), fields...), nil
	}}
}

// fetch reads a response to its end and closes it.
func fetch(t *testing.T, rt http.RoundTripper, method string, fields ...string) (resp *http.Response, body string, err error) {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), method, "http://example.com/", nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	resp, err = rt.RoundTrip(r)
	if err != nil {
		return nil, "", err
	}
	equal(t, "request of the response", resp.Request == r || resp.Request == nil, true)
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return resp, string(b), err
}

// expect fetches and compares.
func expect(t *testing.T, rt http.RoundTripper, body, status string, fields ...string) {
	t.Helper()
	resp, got, err := fetch(t, rt, "GET", fields...)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body", got, body)
	if status != "" {
		equal(t, "Cache-Status", resp.Header.Get("Cache-Status"), status)
	}
}

func closed(t *testing.T, u *upstream) {
	t.Helper()
	equal(t, "open bodies", u.open.Load(), 0)
}

func TestClientCacheLifeOfAResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := numberedReplies("Cache-Control", "max-age=10, stale-while-revalidate=20", "Age", "3")
		rt := ClientCache(newCache(t, CachePrivate, CacheConfig{}))(u)
		expect(t, rt, "answer 1", "test; fwd=uri-miss; ttl=7; stored", "Authorization", "me")
		time.Sleep(2 * time.Second)
		expect(t, rt, "answer 1", "test; hit; ttl=5", "Authorization", "me")
		time.Sleep(6 * time.Second)
		expect(t, rt, "answer 1", "test; hit; ttl=-1")
		synctest.Wait()
		expect(t, rt, "answer 2", "test; hit; ttl=7")
		time.Sleep(time.Minute)
		expect(t, rt, "answer 3", "test; fwd=stale; ttl=7; stored")
		expect(t, rt, "answer 4", "test; fwd=request; ttl=7; stored", "Cache-Control", "no-cache")
		closed(t, u)
	})
}

// A 304 confirms what is kept, and its fields come into it (RFC 9111 section 3.2).
func TestClientCacheMergesA304(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked http.Header
		u := &upstream{answer: func(n int64, r *http.Request) (*http.Response, error) {
			asked = r.Header
			if n == 1 {
				return reply(200, strings.NewReader("body"), "Etag", `"v"`, "Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT",
					"Cache-Control", "max-age=10", "Content-Type", "text/x", "X-Old", "1", "X-Both", "1"), nil
			}
			return reply(304, strings.NewReader(""), "Etag", `W/"v"`, "Cache-Control", "max-age=20", "Content-Type", "wrong",
				"Content-Length", "99", "Connection", "X-Hop", "X-Hop", "1", "X-Both", "2"), nil
		}}
		rt := ClientCache(newCache(t, CachePrivate, CacheConfig{}))(u)
		expect(t, rt, "body", "")
		time.Sleep(15 * time.Second)
		resp, body, err := fetch(t, rt, "GET")
		if err != nil || body != "body" || resp.StatusCode != 200 {
			t.Fatal(resp, body, err)
		}
		equal(t, "If-None-Match", asked.Get("If-None-Match"), `"v"`)
		equal(t, "If-Modified-Since", asked.Get("If-Modified-Since"), "Sat, 01 Jan 2000 00:00:00 GMT")
		for name, want := range map[string]string{
			"Content-Type": "text/x", "X-Old": "1", "X-Both": "2", "X-Hop": "", "Content-Length": "",
			"Cache-Status": "test; fwd=stale; fwd-status=304; ttl=20; stored",
		} {
			equal(t, name, resp.Header.Get(name), want)
		}
		time.Sleep(15 * time.Second)
		expect(t, rt, "body", "test; hit; ttl=5")
		equal(t, "requests", u.runs.Load(), 2)
		closed(t, u)
	})
}

func TestClientCacheStaleIfError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("no route")
		u := &upstream{answer: func(n int64, _ *http.Request) (*http.Response, error) {
			switch n {
			case 1:
				return reply(200, strings.NewReader("good"), "Cache-Control", "max-age=10"), nil
			case 2:
				return reply(503, strings.NewReader("bad")), nil
			default:
				return nil, down
			}
		}}
		rt := ClientCache(newCache(t, CachePrivate, CacheConfig{StaleIfError: time.Minute}))(u)
		expect(t, rt, "good", "")
		time.Sleep(15 * time.Second)
		expect(t, rt, "good", "test; fwd=stale; fwd-status=503; ttl=-5; detail=stale-if-error")
		expect(t, rt, "good", "test; fwd=stale; ttl=-5; detail=stale-if-error")
		time.Sleep(time.Minute)
		if _, _, err := fetch(t, rt, "GET"); !errors.Is(err, down) {
			t.Errorf("error %v", err)
		}
		closed(t, u)
	})
}

// Only what was read to its end is kept; the caller sees the same as without a cache.
func TestClientCacheKeepsCompleteBodiesOnly(t *testing.T) {
	broken := errors.New("connection reset")
	for name, tc := range map[string]struct {
		body func() io.Reader
		want string
		err  error
	}{
		"breaks off": {func() io.Reader { return io.MultiReader(strings.NewReader("part"), failingReader{broken}) }, "part", broken},
		"cut short":  {func() io.Reader { return io.MultiReader(strings.NewReader("part"), failingReader{io.ErrUnexpectedEOF}) }, "part", io.ErrUnexpectedEOF},
		"too long":   {func() io.Reader { return strings.NewReader(strings.Repeat("x", 101)) }, strings.Repeat("x", 101), nil},
	} {
		for _, alone := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, alone), func(t *testing.T) {
				u := &upstream{answer: func(int64, *http.Request) (*http.Response, error) {
					return reply(200, tc.body(), "Cache-Control", "public, max-age=10"), nil
				}}
				rc := newCache(t, CacheShared, CacheConfig{MaxBody: 100})
				var fields []string
				if alone {
					fields = []string{"Authorization", "x"}
				}
				_, body, err := fetch(t, ClientCache(rc)(u), "GET", fields...)
				equal(t, "body", body, tc.want)
				if !errors.Is(err, tc.err) {
					t.Errorf("error %v", err)
				}
				equal(t, "stored", rc.Snapshot().Stored, 0)
				closed(t, u)
			})
		}
	}
}

// A request on its own is kept at the end of its body, not before, and not if its caller has enough.
func TestClientCacheKeepsAtTheEndOfTheBody(t *testing.T) {
	u := numberedReplies("Cache-Control", "public, max-age=10")
	rc := newCache(t, CacheShared, CacheConfig{})
	rt := ClientCache(rc)(u)
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://example.com/", nil)
	r.Header.Set("Authorization", "x")
	resp, err := rt.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = resp.Body.Read(make([]byte, 3))
	_ = resp.Body.Close()
	equal(t, "stored after Close", rc.Snapshot().Stored, 0)
	expect(t, rt, "answer 2", "", "Authorization", "x")
	equal(t, "stored at the end", rc.Snapshot().Stored, 1)
	expect(t, rt, "answer 2", "")
	closed(t, u)
}

func TestClientCacheCallersOwnConditionPasses(t *testing.T) {
	u := &upstream{answer: func(_ int64, r *http.Request) (*http.Response, error) {
		if r.Header.Get("If-None-Match") != "" {
			return reply(304, strings.NewReader("")), nil
		}
		return reply(200, strings.NewReader("body"), "Cache-Control", "max-age=10"), nil
	}}
	rt := ClientCache(newCache(t, CachePrivate, CacheConfig{}))(u)
	expect(t, rt, "body", "")
	resp, _, err := fetch(t, rt, "GET", "If-None-Match", `"x"`)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "status", resp.StatusCode, 304)
	equal(t, "Cache-Status", resp.Header.Get("Cache-Status"), "test; fwd=bypass")
}

func TestClientCacheUnsafeMethodInvalidates(t *testing.T) {
	u := numberedReplies("Cache-Control", "max-age=10")
	rt := ClientCache(newCache(t, CachePrivate, CacheConfig{}))(u)
	expect(t, rt, "answer 1", "")
	if _, _, err := fetch(t, rt, "PUT"); err != nil {
		t.Fatal(err)
	}
	expect(t, rt, "answer 3", "")
	u.answer = func(n int64, r *http.Request) (*http.Response, error) {
		if r.Method == "PUT" {
			return nil, io.ErrUnexpectedEOF // who knows what it did
		}
		return reply(200, strings.NewReader(fmt.Sprintf("answer %d", n)), "Cache-Control", "max-age=10"), nil
	}
	_, _, _ = fetch(t, rt, "PUT")
	expect(t, rt, "answer 5", "")
}

func TestClientCacheOnlyIfCached(t *testing.T) {
	u := numberedReplies("Cache-Control", "max-age=10")
	rt := ClientCache(newCache(t, CachePrivate, CacheConfig{}))(u)
	resp, _, err := fetch(t, rt, "GET", "Cache-Control", "only-if-cached")
	if err != nil || resp.StatusCode != 504 {
		t.Errorf("%v, %v", resp, err)
	}
	equal(t, "requests", u.runs.Load(), 0)
}

// A handler behind Cache and a client behind ClientCache, over a real connection: ETag, 304, hit.
func TestClientCacheOverTheWire(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		runs := atomic.Int64{}
		s := serve(etag(ETagConfig{})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			runs.Add(1)
			w.Header().Set("Cache-Control", "no-cache")
			_, _ = io.WriteString(w, "body")
		})))
		client := s.Client()
		client.Transport = ClientCache(newCache(t, CachePrivate, CacheConfig{}))(client.Transport)
		for i, want := range []string{"test; fwd=uri-miss; ttl=0; stored", "test; fwd=stale; fwd-status=304; ttl=0; stored"} {
			resp, body, err := get(t, s, "/")
			equal(t, "error", err, nil)
			equal(t, "body", body, "body")
			equal(t, "Cache-Status", resp.Header.Get("Cache-Status"), want)
			equal(t, "runs", runs.Load(), int64(i+1))
		}
		client.CloseIdleConnections()
	})
}

func TestClientCacheModes(t *testing.T) {
	u := numberedReplies("Cache-Control", "max-age=10")
	rc := newCache(t, CachePrivate, CacheConfig{Mode: core.Shadow})
	rt := ClientCache(rc)(u)
	expect(t, rt, "answer 1", "")
	expect(t, rt, "answer 2", "")
	equal(t, "shadowed", rc.Snapshot().Shadowed, 1)
	_ = rc.Override(core.Disabled, time.Hour)
	expect(t, rt, "answer 3", "")
	rc.Restore()
	_ = rc.Tune(CacheConfig{})
	expect(t, rt, "answer 2", "")
	closed(t, u)
}
