package httpmw

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/ratelimit"
)

// same reports which of the requests share a cell with the first.
func same(key KeyFunc, first *http.Request, others ...*http.Request) (equal []bool) {
	for _, r := range others {
		equal = append(equal, key(r) == key(first))
	}
	return equal
}

func TestByHeader(t *testing.T) {
	key := mw.Must(ByHeader("x-api-key", 16))
	ada, long := withFields("X-Api-Key", "ada"), withFields("X-Api-Key", strings.Repeat("a", 17))
	for i, want := range []bool{true, false, false, false, false} {
		got := same(key, ada,
			withFields("X-Api-Key", "ada"),
			withFields("X-Api-Key", "Ada"),
			withFields(),
			withFields("X-Api-Key", ""),
			withFields("X-Api-Key", "ada", "X-Api-Key", "eve"), // whose would it be?
		)[i]
		equal(t, "like ada's, "+string(rune('0'+i)), got, want)
	}
	equal(t, "too long", same(key, long, withFields("X-Api-Key", strings.Repeat("b", 9000)))[0], true)
	equal(t, "absent and empty", same(key, withFields(), withFields("X-Api-Key", ""))[0], false)
	equal(t, "absent and its name", same(key, withFields(), withFields("X-Api-Key", "absent"))[0], false)
	hosts := mw.Must(ByHeader("Host", 64))
	equal(t, "hosts", same(hosts, httptest.NewRequest("GET", "http://a/", nil), httptest.NewRequest("GET", "http://b/", nil))[0], false)
	for _, bad := range []struct {
		name    string
		longest int
	}{{"", 16}, {"a b", 16}, {"X", 0}, {"X", 8193}} {
		if _, err := ByHeader(bad.name, bad.longest); err == nil {
			t.Errorf("%q, %d: taken", bad.name, bad.longest)
		}
	}
}

func TestBySubject(t *testing.T) {
	key := BySubject(func(r *http.Request) string { return r.Header.Get("User") })
	got := same(key, withFields("User", "ada"), withFields("User", "ada"), withFields("User", "eve"), withFields())
	if !got[0] || got[1] || got[2] {
		t.Error(got)
	}
	if !same(key, withFields(), withFields())[0] {
		t.Error("anonymous requests do not share a cell")
	}
}

// A client that varies the path gets no more cells than there are routes.
func TestByRoute(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("GET /users/{id}", okHandler)
	mux.Handle("POST /users/{id}", okHandler)
	to := func(method, path string) *http.Request { return httptest.NewRequest(method, path, nil) }
	for name, key := range map[string]KeyFunc{"outside": ByRoute(mux), "inside": func(r *http.Request) core.Key {
		var k core.Key
		inside := http.NewServeMux()
		seen := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { k = ByRoute(nil)(r) })
		inside.Handle("GET /users/{id}", seen)
		inside.Handle("POST /users/{id}", seen)
		if inside.ServeHTTP(httptest.NewRecorder(), r); k.IsZero() {
			k = ByRoute(nil)(anyRequest())
		}
		return k
	}} {
		got := same(key, to("GET", "/users/1"), to("GET", "/users/2"), to("POST", "/users/1"), to("GET", "/none/1"))
		if !got[0] || got[1] || got[2] {
			t.Errorf("%s: %v", name, got)
		}
		equal(t, name+": unmatched", same(key, to("GET", "/none/1"), to("GET", "/none/2"))[0], true)
	}
}

// The limit of a pair is neither that of its first nor of its second.
func TestJoin(t *testing.T) {
	a, b := mw.Must(ByHeader("A", 8)), mw.Must(ByHeader("B", 8))
	got := same(Join(a, b), withFields("A", "1", "B", "2"),
		withFields("A", "1", "B", "2"), withFields("A", "2", "B", "1"), withFields("A", "1"), withFields("B", "2"))
	if !got[0] || got[1] || got[2] || got[3] {
		t.Error(got)
	}
	equal(t, "one", Join(a)(withFields("A", "1")), a(withFields("A", "1")))
	for name, f := range map[string]func(){
		"none": func() { Join() }, "nil": func() { Join(a, nil) }, "subject": func() { BySubject(nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: taken", name)
				}
			}()
			f()
		}()
	}
}

func TestKeysDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := withFields("A", "1")
	r.Pattern = "GET /users/{id}"
	key := Join(mw.Must(ByHeader("A", 8)), ByRoute(nil), BySubject(func(r *http.Request) string { return r.Host }))
	equal(t, "allocations", testing.AllocsPerRun(200, func() { key(r) }), 0)
}

// Several named policies, each with its own key, are announced together, and a rejection names the one that it is about.
func TestRateLimitsByName(t *testing.T) {
	byUser := mw.Must(ratelimit.NewKeyed("per-user", ratelimit.Config{Limit: 1, Burst: 1}, core.Hooks{}))
	all := newLimit(ratelimit.Config{Limit: 100})
	h := Guard(
		Guarded{Guard: all},
		Guarded{Guard: byUser, GuardConfig: GuardConfig{Key: mw.Must(ByHeader("User", 64))}},
	)(okHandler)
	w := do(h, withFields("User", "ada"))
	equal(t, "status", w.Code, 200)
	equal(t, "items", len(w.Header()["Ratelimit"]), 2)
	equal(t, "another user", do(h, withFields("User", "eve")).Code, 200)
	w = do(h, withFields("User", "ada"))
	equal(t, "status", w.Code, 429)
	if body := w.Body.String(); !strings.Contains(body, `"violated-policies":["per-user"]`) || !strings.Contains(body, "quota-exceeded") {
		t.Error(body)
	}
	if !strings.HasPrefix(w.Header()["Ratelimit"][1], `"per-user";r=0;`) {
		t.Error(w.Header()["Ratelimit"])
	}
}
