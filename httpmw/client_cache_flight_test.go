package httpmw

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// The first caller leaves: those who wait with him get the response, and when all have left the request is cancelled.
func TestClientCacheFlightSurvivesItsFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended error
		u := &upstream{answer: func(_ int64, r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(time.Second):
				return reply(200, strings.NewReader("body"), "Cache-Control", "max-age=10"), nil
			case <-r.Context().Done():
				ended = r.Context().Err()
				return nil, ended
			}
		}}
		rc := newCache(t, CachePrivate, CacheConfig{})
		rt := ClientCache(rc)(u)
		ctx, cancel := context.WithCancel(t.Context())
		ask := func(ctx context.Context) (*http.Response, error) {
			r, _ := http.NewRequestWithContext(ctx, "GET", "http://example.com/", nil)
			return rt.RoundTrip(r)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := ask(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("first: %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() { expect(t, rt, "body", "test; fwd=uri-miss; ttl=9; stored; collapsed") })
		synctest.Wait()
		cancel()
		wg.Wait()
		equal(t, "requests", u.runs.Load(), 1)
		rc.Purge()
		ctx, cancel = context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		if _, err := ask(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("alone: %v", err)
		}
		synctest.Wait()
		if !errors.Is(ended, context.Canceled) {
			t.Errorf("the request goes on: %v", ended)
		}
		closed(t, u)
	})
}

// A response that is handed over lives by its caller's context, and its request ends with its body.
func TestClientCacheHandedBodyLivesUntilItIsClosed(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		rc := newCache(t, CachePrivate, CacheConfig{MaxBody: 10})
		gone := make(chan struct{})
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(gone)
			w.Header().Set("Cache-Control", "max-age=10")
			for range 100 {
				_, _ = io.WriteString(w, strings.Repeat("x", 1000))
			}
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}), h2)
		rt := ClientCache(rc)(s.Client().Transport)
		r, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL, nil)
		resp, err := rt.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.CopyN(io.Discard, resp.Body, 100_000); err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		_ = resp.Body.Close()
		<-gone
		equal(t, "stored", rc.Snapshot().Stored, 0)
		s.Client().CloseIdleConnections()
	}
}

// The caller's cancellation reaches a body that was handed over.
func TestClientCacheCancelEndsAHandedBody(t *testing.T) {
	rc := newCache(t, CachePrivate, CacheConfig{MaxBody: 10})
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 1000))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}), false)
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
	resp, err := ClientCache(rc)(s.Client().Transport).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 1000)
	cancel()
	if _, err := resp.Body.Read(make([]byte, 1)); err == nil {
		t.Error("no error")
	}
}

func TestClientCacheTransportPanicIsCarriedOver(t *testing.T) {
	rc := newCache(t, CachePrivate, CacheConfig{})
	rt := ClientCache(rc)(&upstream{answer: func(int64, *http.Request) (*http.Response, error) { panic("transport") }})
	defer func() {
		if p, ok := recover().(*core.PanicError); !ok || p.Value != "transport" {
			t.Errorf("panic %v", p)
		}
		equal(t, "flights", len(rc.flights), 0)
	}()
	_, _, _ = fetch(t, rt, "GET")
}

// The request that the caller gave is not changed, and a hit's body cannot be used to change what is kept.
func TestClientCacheSharesNothing(t *testing.T) {
	u := numberedReplies("Cache-Control", "max-age=10", "X-List", "a")
	rt := ClientCache(newCache(t, CachePrivate, CacheConfig{}))(u)
	expect(t, rt, "answer 1", "")
	for range 2 {
		resp, body, _ := fetch(t, rt, "GET")
		equal(t, "body", body, "answer 1")
		equal(t, "field", resp.Header.Get("X-List"), "a")
		resp.Header["X-List"][0] = "changed"
		resp.Header.Add("X-List", "b")
	}
}
