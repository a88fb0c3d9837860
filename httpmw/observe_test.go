package httpmw

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/bulkhead"
)

// summaries collects what an Observe tells.
type summaries struct {
	mu  sync.Mutex
	all []Summary
}

func (s *summaries) end(sum Summary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, sum)
}

// one returns the only summary there must be.
func (s *summaries) one(t *testing.T) Summary {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) != 1 {
		t.Fatalf("%d summaries, want 1: %+v", len(s.all), s.all)
	}
	return s.all[0]
}

// runHandler serves in a goroutine of its own, as net/http does, and swallows a panic.
func runHandler(h http.Handler, w http.ResponseWriter, r *http.Request) {
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() { _ = recover() }()
		h.ServeHTTP(w, r)
	})
	wg.Wait()
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
}

func TestObserve(t *testing.T) {
	full := newBulkhead(bulkhead.Config{Limit: 1})
	_, _ = full.Acquire(context.Background(), core.Call{})
	for _, c := range []struct {
		name   string
		method string
		body   string
		within func(http.Handler) http.Handler // between Observe and the handler
		h      http.Handler
		want   Summary
	}{
		{name: "a body", h: text("hello"), want: Summary{Status: 200, BytesOut: 5}},
		{name: "nothing said", h: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), want: Summary{Status: 200}},
		{name: "HEAD", method: "HEAD", h: text("hello"), want: Summary{Method: "HEAD", Status: 200}},
		{name: "an invented method", method: "BREW", h: text("x"), want: Summary{Method: "_OTHER", Status: 200, BytesOut: 1}},
		{name: "no content", h: status(204), want: Summary{Status: 204}},
		{name: "not found", h: status(404), want: Summary{Status: 404}},
		{name: "a failure", h: status(502), want: Summary{Status: 502, ErrorType: "502"}},
		{
			name: "early hints", h: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(201) }),
			want: Summary{Status: 201},
		},
		{
			name: "a body read in part", method: "POST", body: "0123456789",
			h: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.ReadFull(r.Body, make([]byte, 4))
				_, _ = io.WriteString(w, "abc")
			}),
			want: Summary{Method: "POST", Status: 200, BytesIn: 4, BytesOut: 3},
		},
		{
			name: "a stream", h: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for range 3 {
					_, _ = io.WriteString(w, "event\n")
					_ = http.NewResponseController(w).Flush()
				}
			}),
			want: Summary{Status: 200, BytesOut: 18},
		},
		{
			name: "a panic", h: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("planted") }),
			want: Summary{ErrorType: "aborted", Completion: Aborted},
		},
		{
			name: "a panic in the middle", h: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "ab")
				panic(http.ErrAbortHandler)
			}),
			want: Summary{Status: 200, BytesOut: 2, ErrorType: "aborted", Completion: Aborted},
		},
		{
			name: "Goexit", h: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runtime.Goexit() }),
			want: Summary{ErrorType: "aborted", Completion: Aborted},
		},
		{
			name: "a panic that is recovered within", within: Recover(RecoverConfig{Logger: quiet}),
			h:    http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("planted") }),
			want: Summary{Status: 500, BytesOut: 47, ErrorType: "panic"},
		},
		{
			name: "a rejection", within: Bulkhead(full), h: text("never"),
			want: Summary{Status: 503, BytesOut: 211, ErrorType: "full", Rejected: true},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got summaries
			h := c.h
			if c.within != nil {
				h = c.within(h)
			}
			mux := http.NewServeMux()
			mux.Handle("/users/{id}", h)
			method := c.method
			if method == "" {
				method, c.want.Method = "GET", "GET"
			}
			r := httptest.NewRequest(method, "/users/7", strings.NewReader(c.body))
			runHandler(Observe(got.end)(mux), httptest.NewRecorder(), r)
			sum := got.one(t)
			equal(t, "pattern", sum.Request.Pattern, "/users/{id}")
			if sum.Start.IsZero() {
				t.Error("no start")
			}
			c.want.Route = "/users/{id}"
			sum.Request, sum.Start, sum.Duration = nil, time.Time{}, 0
			equal(t, "summary", sum, c.want)
		})
	}
}

// What is told is the outermost view, whatever stands outside of Observe.
func TestObserveSaysWhatTheClientGot(t *testing.T) {
	var got summaries
	h := mw.Chain(Recover(RecoverConfig{Logger: quiet}), Observe(got.end))(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("planted") }))
	w := do(h, httptest.NewRequest("GET", "/", nil))
	sum := got.one(t)
	equal(t, "status sent", w.Code, 500)
	equal(t, "status told", sum.Status, 500)
	equal(t, "error", sum.ErrorType, "panic")
	equal(t, "completion", sum.Completion, Complete)
}

func TestObserveHijack(t *testing.T) {
	told := make(chan Summary, 1)
	h := Observe(func(s Summary) { told <- s })(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		_ = conn.Close()
	}))
	s := serve(t, h, false)
	if _, _, err := get(t, s, "/"); err != nil {
		t.Error(err)
	}
	sum := <-told
	equal(t, "completion", sum.Completion, Hijacked)
	equal(t, "status", sum.Status, 0)
	equal(t, "error", sum.ErrorType, "")
}

func TestObserveDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got summaries
		do(Observe(got.end)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(3 * time.Second) })),
			httptest.NewRequest("GET", "/", nil))
		equal(t, "duration", got.one(t).Duration, 3*time.Second)
	})
}

// The count of the body belongs to the request: two observers read one count, and the body is the handler's to read.
func TestObserveTwice(t *testing.T) {
	var outer, inner summaries
	h := mw.Chain(Observe(outer.end), Observe(inner.end))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if string(b) != "twelve bytes" || err != nil {
			t.Errorf("body %q, %v", b, err)
		}
	}))
	do(h, httptest.NewRequest("POST", "/", strings.NewReader("twelve bytes")))
	equal(t, "outer", outer.one(t).BytesIn, 12)
	equal(t, "inner", inner.one(t).BytesIn, 12)
}

// A body that is known to be empty stays http.NoBody.
func TestObserveKeepsNoBody(t *testing.T) {
	r := httptest.NewRequest("GET", "/", http.NoBody)
	do(Observe(func(Summary) {})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Body != http.NoBody {
			t.Errorf("a body of type %T", r.Body)
		}
	})), r)
}

// A panic of an observer goes on, and keeps no other from being told.
func TestObserverPanics(t *testing.T) {
	var got summaries
	h := mw.Chain(
		Observe(func(Summary) { panic("first") }), Observe(got.end), Observe(func(Summary) { panic("third") }),
		Observe(got.end), Observe(got.end),
	)(okHandler)
	var panics any
	func() {
		defer func() { panics = recover() }()
		do(h, httptest.NewRequest("GET", "/", nil))
	}()
	equal(t, "told", len(got.all), 3)
	if panics == nil {
		t.Error("the panic was swallowed")
	}
}

func TestObserveBegin(t *testing.T) {
	began := 0
	var got summaries
	h := Observe(got.end, ObserveConfig{Begin: func(s Summary) {
		began++
		equal(t, "path", s.Request.URL.Path, "/a")
		equal(t, "method", s.Method, "GET")
	}})(okHandler)
	do(h, httptest.NewRequest("GET", "/a", nil))
	got.one(t)
	equal(t, "begins", began, 1)

	h = Observe(got.end, ObserveConfig{Begin: func(Summary) { panic("planted") }})(okHandler)
	runHandler(h, httptest.NewRecorder(), httptest.NewRequest("GET", "/a", nil))
	got.one(t) // still
}

func TestObserveNames(t *testing.T) {
	for want, h := range map[string]http.Handler{
		"Observe": Observe(func(Summary) {})(okHandler),
		"Metrics": Observe(func(Summary) {}, ObserveConfig{Name: "Metrics"})(okHandler),
	} {
		equal(t, "layer", h.(interface{ Layer() string }).Layer(), want)
	}
	mustPanic(t, "nil function", func() { Observe(nil) })
	mustPanic(t, "nil handler", func() { Observe(func(Summary) {})(nil) })
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}

func TestObserveAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	n := 0
	observe := Observe(func(s Summary) { n += s.Status })
	r, body := allocRequest(), strings.NewReader("body")
	r.Body = io.NopCloser(body)
	buf := make([]byte, 8)
	drain := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for {
			if _, err := r.Body.Read(buf); err != nil {
				return
			}
		}
	})
	w := &nullWriter{http.Header{}}
	for name, h := range map[string]http.Handler{
		"one": observe(drain), "three": mw.Chain(observe, observe, observe)(drain),
	} {
		equal(t, name, testing.AllocsPerRun(200, func() { body.Reset("body"); h.ServeHTTP(w, r) }), 1) // the record
	}
}

// A middleware that lets a form say which method it means changes the request; begin and end must not disagree, or
// requests would stay in flight for ever.
func TestObserveMethodIsThatOfTheWire(t *testing.T) {
	override := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Method = http.MethodDelete
			next.ServeHTTP(w, r)
		})
	}
	var got summaries
	active := map[string]int{}
	observe := Observe(func(s Summary) { active[s.Method]--; got.end(s) },
		ObserveConfig{Begin: func(s Summary) { active[s.Method]++ }})
	do(mw.Chain(Recover(), override, observe, override)(okHandler), httptest.NewRequest("POST", "/", nil))
	equal(t, "method", got.one(t).Method, "POST")
	for m, n := range active {
		equal(t, m, n, 0)
	}
}
