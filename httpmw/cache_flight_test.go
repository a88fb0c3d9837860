package httpmw

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
)

// The first client leaves: those who wait with him get the response all the same.
func TestCacheFlightSurvivesItsFirstClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rc := newCache(t, CacheShared, CacheConfig{TTL: time.Minute})
		o := &cacheOrigin{answer: func(_ int64, w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(time.Second):
				_, _ = io.WriteString(w, "body")
			case <-r.Context().Done():
				w.WriteHeader(499)
			}
		}}
		h := Cache(rc)(o)
		ctx, cancel := context.WithCancel(t.Context())
		var first, second *httptest.ResponseRecorder
		var wg sync.WaitGroup
		wg.Go(func() { first = do(h, ask("GET", "/").WithContext(ctx)) })
		synctest.Wait()
		wg.Go(func() { second = do(h, ask("GET", "/")) })
		synctest.Wait()
		cancel()
		wg.Wait()
		equal(t, "first", first.Body.String(), "")
		equal(t, "second", second.Body.String(), "body")
		equal(t, "Cache-Status", second.Header().Get("Cache-Status"), "test; fwd=uri-miss; ttl=60; stored; collapsed")
		equal(t, "runs", o.runs.Load(), 1)
	})
}

// The last one leaves: the handler is cancelled, and what it makes of that is not kept.
func TestCacheFlightEndsWithItsLastClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rc := newCache(t, CacheShared, CacheConfig{TTL: time.Minute})
		o := &cacheOrigin{answer: func(_ int64, w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			_, _ = io.WriteString(w, "half of it")
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		do(Cache(rc)(o), ask("GET", "/").WithContext(ctx))
		synctest.Wait()
		s := rc.Snapshot()
		equal(t, "flights", s.Flights, 0)
		equal(t, "stored", s.Stored, 0)
	})
}

func TestCacheCollapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rc := newCache(t, CacheShared, CacheConfig{TTL: time.Minute})
		o := &cacheOrigin{answer: func(_ int64, w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			_, _ = io.WriteString(w, "body")
		}}
		h := Cache(rc)(o)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { equal(t, "body", do(h, ask("GET", "/")).Body.String(), "body") })
		}
		wg.Wait()
		equal(t, "runs", o.runs.Load(), 1)
		equal(t, "collapsed", rc.Snapshot().Collapsed, 49)
	})
}

// A response that is for one client alone: the others do not get it, and do not wait for one another afterwards.
func TestCacheWaitersOfAPrivateResponseAskForThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rc := newCache(t, CacheShared, CacheConfig{TTL: time.Minute})
		o := &cacheOrigin{answer: func(n int64, w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			w.Header().Set("Cache-Control", "private")
			_, _ = fmt.Fprintf(w, "answer %d", n)
		}}
		h := Cache(rc)(o)
		began := time.Now()
		var seen sync.Map
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, twice := seen.LoadOrStore(do(h, ask("GET", "/")).Body.String(), 1); twice {
					t.Error("two clients got the same")
				}
			})
		}
		wg.Wait()
		equal(t, "time", time.Since(began), 2*time.Second)
		equal(t, "runs", o.runs.Load(), 20)
	})
}

// An unsafe request comes while a response is being made: that response was made of what is no more.
func TestCacheInvalidationReachesWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rc := newCache(t, CacheShared, CacheConfig{TTL: time.Minute})
		var value atomic.Value
		value.Store("old")
		h := Cache(rc)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "PUT" {
				value.Store("new")
				return
			}
			v := value.Load().(string)
			time.Sleep(time.Second)
			_, _ = io.WriteString(w, v)
		}))
		var wg sync.WaitGroup
		wg.Go(func() { equal(t, "begun before", do(h, ask("GET", "/")).Body.String(), "old") })
		synctest.Wait()
		do(h, ask("PUT", "/"))
		equal(t, "begun after", do(h, ask("GET", "/")).Body.String(), "new")
		wg.Wait()
		equal(t, "kept", do(h, ask("GET", "/")).Body.String(), "new")
	})
}

// Long bodies and streams go through while they are made, with the fields of the layers outside.
func TestCachePassesOnWhatIsTooLong(t *testing.T) {
	long := strings.Repeat("x", 100)
	for name, answer := range map[string]http.HandlerFunc{
		"long": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, long) },
		"declared": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, long)
		},
		"flushed": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, long[:1])
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, long[1:])
		},
	} {
		t.Run(name, func(t *testing.T) {
			rc := newCache(t, CacheShared, CacheConfig{TTL: time.Minute, MaxBody: 50})
			runs := 0
			h := mw.Chain(fullChain(t, newLogSink()), Cache(rc))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				runs++
				answer(w, r)
			}))
			for i := range 2 {
				got := do(h, ask("GET", "/"))
				equal(t, "body", got.Body.String(), long)
				equal(t, "Cache-Status", got.Header().Get("Cache-Status"), "test; fwd=uri-miss")
				equal(t, "id", got.Header().Get("X-Request-Id") != "", true)
				equal(t, "runs", runs, i+1)
			}
		})
	}
}

// A panic goes to the client who began, with the stack of where it came from; ErrAbortHandler as it is.
func TestCachePanicIsCarriedOver(t *testing.T) {
	for name, tc := range map[string]struct {
		value any
		flush bool
		want  func(v any) bool
	}{
		"value": {"oops", false, func(v any) bool {
			p, ok := v.(*core.PanicError)
			return ok && p.Value == "oops" && strings.Contains(string(p.Stack), "cache_flight_test.go")
		}},
		"abort":   {http.ErrAbortHandler, false, func(v any) bool { return v == http.ErrAbortHandler }},
		"midways": {"oops", true, func(v any) bool { _, ok := v.(*core.PanicError); return ok }},
	} {
		t.Run(name, func(t *testing.T) {
			rc := newCache(t, CacheShared, CacheConfig{TTL: time.Minute})
			h := Cache(rc)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "part")
				if tc.flush {
					w.(http.Flusher).Flush()
				}
				panic(tc.value)
			}))
			rec := httptest.NewRecorder()
			func() {
				defer func() {
					if v := recover(); !tc.want(v) {
						t.Errorf("panic %v", v)
					}
				}()
				h.ServeHTTP(rec, ask("GET", "/"))
			}()
			equal(t, "sent", rec.Body.Len() > 0, tc.flush)
			equal(t, "stored", rc.Snapshot().Stored, 0)
		})
	}
}

func TestCacheGoexitIsCarriedOver(t *testing.T) {
	rc := newCache(t, CacheShared, CacheConfig{TTL: time.Minute})
	h := Cache(rc)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runtime.Goexit() }))
	returned := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.ServeHTTP(httptest.NewRecorder(), ask("GET", "/"))
		returned = true
	}()
	<-done
	equal(t, "returned", returned, false)
}
