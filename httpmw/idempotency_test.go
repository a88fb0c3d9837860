package httpmw

import (
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

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
)

// oneScope puts all requests into one scope but for those that name another.
func oneScope(r *http.Request) string {
	if user := r.Header.Get("X-User"); user != "" {
		return strings.TrimPrefix(user, "nobody")
	}
	return "ada"
}

// runs is a handler that counts what it carries out.
type runs struct {
	n atomic.Int32
	h http.HandlerFunc // nil: says how often it ran
}

func (l *runs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := l.n.Add(1)
	if l.h != nil {
		l.h(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Run", fmt.Sprint(n))
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, "run %d of %s", n, body)
}

func keyed(l *runs, c IdempotencyKeyConfig) http.Handler {
	return mw.Must(IdempotencyKey(oneScope, c))(l)
}

func withKey(key, body string, header ...string) *http.Request {
	return post(body, append(header, headerIdempotencyKey, key)...)
}

// TestIdempotencyKey mirrors the table of the documentation.
func TestIdempotencyKey(t *testing.T) {
	l := &runs{}
	h := keyed(l, IdempotencyKeyConfig{MaxBody: 100})
	first := do(h, withKey(`"k1"`, "a"))
	equal(t, "new", fmt.Sprint(first.Code, first.Body.String()), "201run 1 of a")
	equal(t, "new, replayed", first.Header().Get("Idempotency-Replayed"), "")

	again := do(h, withKey(`"k1"`, "a"))
	equal(t, "again", fmt.Sprint(again.Code, again.Body.String(), again.Header().Get("X-Run")), "201run 1 of a1")
	equal(t, "again, replayed", again.Header().Get("Idempotency-Replayed"), "true")

	for name, r := range map[string]*http.Request{
		"body":   withKey(`"k1"`, "b"),
		"path":   elsewhere(withKey(`"k1"`, "a"), "/other"),
		"query":  elsewhere(withKey(`"k1"`, "a"), "/orders?x=1"),
		"type":   withType(withKey(`"k1"`, "a"), "text/plain"),
		"method": withMethod(withKey(`"k1"`, "a"), "PATCH"),
	} {
		w := do(h, r)
		equal(t, "another "+name, w.Code, 422)
		problemOf(t, w)
	}
	equal(t, "too large", do(h, withKey(`"k2"`, strings.Repeat("x", 101))).Code, 413)
	equal(t, "malformed", do(h, withKey(`k2`, "a")).Code, 400)
	equal(t, "two fields", do(h, withKey(`"k2"`, "a", headerIdempotencyKey, `"k3"`)).Code, 400)
	equal(t, "runs", l.n.Load(), 1)

	equal(t, "another key", do(h, withKey(`"k4"`, "a")).Body.String(), "run 2 of a")
	equal(t, "another scope", do(h, withKey(`"k1"`, "b", "X-User", "bob")).Body.String(), "run 3 of b")
	equal(t, "no key", do(h, post("a")).Body.String(), "run 4 of a")
	equal(t, "no scope", do(h, withKey(`"k1"`, "a", "X-User", "nobody")).Body.String(), "run 5 of a")
	equal(t, "a method that needs none", do(h, withMethod(withKey(`"k1"`, "a"), "PUT")).Body.String(), "run 6 of a")
}

func elsewhere(r *http.Request, target string) *http.Request {
	r.URL = httptest.NewRequest("GET", target, nil).URL
	return r
}

func withMethod(r *http.Request, method string) *http.Request {
	r.Method = method
	return r
}

func TestIdempotencyKeyRequired(t *testing.T) {
	l := &runs{}
	h := keyed(l, IdempotencyKeyConfig{Required: true, Methods: []string{"PUT"}})
	w := do(h, withMethod(post("a"), "PUT"))
	equal(t, "status", w.Code, 400)
	if !strings.Contains(w.Body.String(), "is missing") {
		t.Errorf("%s", w.Body)
	}
	equal(t, "another method", do(h, post("a")).Code, 201)
	equal(t, "runs", l.n.Load(), 1)
}

// While the first runs the others are told so, however many they are; it runs once.
func TestIdempotencyKeyRunsOnce(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		enter, leave := make(chan struct{}), make(chan struct{})
		l := &runs{h: func(w http.ResponseWriter, _ *http.Request) {
			close(enter)
			<-leave
			w.Header().Set("Location", "/orders/7")
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, "done")
		}}
		s := serve(keyed(l, IdempotencyKeyConfig{}))
		send := func(body string) (*http.Response, string) {
			r, _ := http.NewRequest("POST", s.URL+"/orders", strings.NewReader(body))
			r.Header.Set(headerIdempotencyKey, `"k"`)
			resp, err := s.Client().Do(r)
			if err != nil {
				t.Error(err)
				return &http.Response{}, ""
			}
			defer resp.Body.Close()
			answer, _ := io.ReadAll(resp.Body)
			return resp, string(answer)
		}
		var first sync.WaitGroup
		first.Go(func() {
			resp, answer := send("a")
			equal(t, "first", fmt.Sprint(resp.StatusCode, answer), "201done")
		})
		<-enter
		var others sync.WaitGroup
		for range 8 {
			others.Go(func() {
				resp, _ := send("a")
				equal(t, "meanwhile", fmt.Sprint(resp.StatusCode, resp.Header.Get("Retry-After")), "4091")
			})
		}
		resp, _ := send("b")
		equal(t, "meanwhile, another body", resp.StatusCode, 422)
		others.Wait()
		close(leave)
		first.Wait()
		resp, answer := send("a")
		equal(t, "afterwards", fmt.Sprint(resp.StatusCode, answer, resp.Header.Get("Location")), "201done/orders/7")
		equal(t, "runs", l.n.Load(), 1)
	})
}

// Among many that come at once exactly one runs.
func TestIdempotencyKeyRace(t *testing.T) {
	l := &runs{}
	h := keyed(l, IdempotencyKeyConfig{})
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			if w := do(h, withKey(`"k"`, "a")); w.Code != 201 && w.Code != 409 {
				t.Errorf("status %d", w.Code)
			}
		})
	}
	all.Wait()
	equal(t, "runs", l.n.Load(), 1)
}

// What is no conclusion is not replayed: the next request runs. With Once a handler that came to no end is not run again.
func TestIdempotencyKeyEndings(t *testing.T) {
	for _, tc := range []struct {
		name  string
		c     IdempotencyKeyConfig
		h     http.HandlerFunc
		first string // status, or "aborted"
		again string // status, runs
	}{
		{"201", IdempotencyKeyConfig{}, says(201), "201", "201 1"},
		{"204", IdempotencyKeyConfig{}, says(204), "204", "204 1"},
		{"nothing said", IdempotencyKeyConfig{}, func(http.ResponseWriter, *http.Request) {}, "200", "200 1"},
		{"404", IdempotencyKeyConfig{}, says(404), "404", "404 1"},
		{"401", IdempotencyKeyConfig{}, says(401), "401", "401 2"},
		{"429", IdempotencyKeyConfig{}, says(429), "429", "429 2"},
		{"500", IdempotencyKeyConfig{}, says(500), "500", "500 2"},
		{"500, kept", IdempotencyKeyConfig{Keep: func(int, http.Header) bool { return true }}, says(500), "500", "500 1"},
		{"500, Once", IdempotencyKeyConfig{Once: true}, says(500), "500", "500 2"},
		{"rejected inside", IdempotencyKeyConfig{Keep: func(int, http.Header) bool { return true }}, func(w http.ResponseWriter, r *http.Request) {
			WriteError(w, r, &core.Rejection{Kind: core.KindBulkhead})
		}, "503", "503 2"},
		{"panic", IdempotencyKeyConfig{}, func(http.ResponseWriter, *http.Request) { panic("x") }, "500", "500 2"},
		{"panic, Once", IdempotencyKeyConfig{Once: true}, func(http.ResponseWriter, *http.Request) { panic("x") }, "500", "409 1"},
		{"panic after a part", IdempotencyKeyConfig{}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "x"); panic("x") }, "500", "500 2"},
		{"abort", IdempotencyKeyConfig{}, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "aborted", "aborted 2"},
		{"abort, Once", IdempotencyKeyConfig{Once: true}, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "aborted", "409 1"},
		{"shorter than promised", IdempotencyKeyConfig{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			fmt.Fprint(w, "x")
		}, "200", "200 2"},
		{"long", IdempotencyKeyConfig{MaxReply: 3}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "xxxx") }, "200", "409 1"},
		{"long, in parts", IdempotencyKeyConfig{MaxReply: 3}, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "xx")
			fmt.Fprint(w, "xx")
		}, "200", "409 1"},
		{"as long as may be", IdempotencyKeyConfig{MaxReply: 3}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "xxx") }, "200", "200 1"},
		{"stream", IdempotencyKeyConfig{}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "x"); w.(http.Flusher).Flush() }, "200", "409 1"},
		{"trailers", IdempotencyKeyConfig{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			fmt.Fprint(w, "x")
			w.Header().Set("X-Sum", "1")
		}, "200", "409 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := &runs{h: tc.h}
			h := Recover(RecoverConfig{Logger: quiet})(keyed(l, tc.c))
			run := func() string {
				w, aborted := doAborting(h, withKey(`"k"`, "a"))
				if aborted {
					return "aborted"
				}
				return fmt.Sprint(w.Code)
			}
			equal(t, "first", run(), tc.first)
			again := run()
			equal(t, "again", fmt.Sprint(again, " ", l.n.Load()), tc.again)
		})
	}
}

func says(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func TestIdempotencyKeyTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &runs{}
		h := keyed(l, IdempotencyKeyConfig{TTL: time.Hour})
		do(h, withKey(`"k"`, "a"))
		time.Sleep(time.Hour - time.Second)
		do(h, withKey(`"k"`, "a"))
		equal(t, "runs within the TTL", l.n.Load(), 1)
		time.Sleep(2 * time.Second)
		do(h, withKey(`"k"`, "b"))
		equal(t, "runs after it", l.n.Load(), 2)
	})
}

// A replay has the fields of the handler, and those that layers outside set for the request at hand, not for the first.
func TestIdempotencyKeyReplaysTheFieldsOfTheHandler(t *testing.T) {
	l := &runs{h: func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["X-Two"] = []string{"1", "2"}
		w.Header().Set("Ratelimit", `"x";r=1`)
		w.Header().Set("Server-Timing", "db")
		w.Header().Set("Content-Type", "text/x")
		fmt.Fprint(w, "done")
	}}
	h := mw.Chain(RequestID(), func(next http.Handler) http.Handler {
		n := 0
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n++
			w.Header().Set("X-Outside", fmt.Sprint(n))
			next.ServeHTTP(w, r)
		})
	})(keyed(l, IdempotencyKeyConfig{}))
	first, again := do(h, withKey(`"k"`, "a")), do(h, withKey(`"k"`, "a"))
	equal(t, "handler's", fmt.Sprint(again.Header()["X-Two"], again.Header().Get("Content-Type")), "[1 2]text/x")
	equal(t, "outside", again.Header().Get("X-Outside"), "2")
	if id := again.Header().Get("X-Request-ID"); id == "" || id == first.Header().Get("X-Request-ID") {
		t.Errorf("request id %q", id)
	}
	for _, name := range []string{"Ratelimit", "Server-Timing"} {
		equal(t, name, again.Header().Get(name), "")
	}
}

func TestIdempotencyKeyModes(t *testing.T) {
	var x *exchange
	l := &runs{}
	h := watch(&x, keyed(l, IdempotencyKeyConfig{Mode: core.Shadow, Required: true}))
	for i, tc := range []struct {
		r    *http.Request
		note string
	}{
		{withKey(`"k"`, "a"), ""},
		{withKey(`"k"`, "a"), "idempotency_not_kept"},
		{withKey(`"k"`, "b"), "idempotency_key_reused"},
		{withKey(`k`, "b"), "idempotency_key_malformed"},
		{post("b"), "idempotency_key_missing"},
	} {
		body, _ := io.ReadAll(tc.r.Body)
		tc.r.Body = io.NopCloser(strings.NewReader(string(body)))
		w := do(h, tc.r)
		equal(t, "answer", w.Body.String(), fmt.Sprintf("run %d of %s", i+1, body))
		equal(t, "note", x.rec.shadowed, tc.note)
	}
	h = keyed(l, IdempotencyKeyConfig{Mode: core.Disabled, Required: true})
	equal(t, "disabled", do(h, post("b")).Code, 201)
}

func TestIdempotencyKeyRefusesItsConfig(t *testing.T) {
	for _, c := range []IdempotencyKeyConfig{
		{Methods: []string{"post"}}, {Methods: []string{""}}, {MaxKey: 1}, {MaxBody: -1}, {MaxReply: 1 << 25}, {TTL: time.Millisecond},
		{Lease: time.Millisecond}, {StoreTimeout: time.Hour}, {Memory: 1}, {Mode: core.ForcedOpen},
	} {
		if _, err := IdempotencyKey(oneScope, c); err == nil {
			t.Errorf("%+v: accepted", c)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a nil scope was taken")
		}
	}()
	_, _ = IdempotencyKey(nil, IdempotencyKeyConfig{})
}
