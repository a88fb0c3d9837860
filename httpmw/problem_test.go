package httpmw

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestProblemDocument(t *testing.T) {
	p := newProblem(problemSpec{
		Status: 429, Type: "https://example.com/quota", Title: "Quota \"exceeded\"", Detail: "later <b>", Instance: "/x",
		Members: []member{{"violated-policies", []string{"burst", "daily"}}},
	})
	equal(t, "document", string(p.json), `{"type":"https://example.com/quota","title":"Quota \"exceeded\"","status":429,`+
		`"detail":"later \u003cb\u003e","instance":"/x","violated-policies":["burst","daily"]}`+"\n")
	equal(t, "text", string(p.text), "Quota \"exceeded\": later <b>\n")
	var doc map[string]any
	if err := json.Unmarshal(p.json, &doc); err != nil {
		t.Error(err)
	}
}

func TestProblemRefuses(t *testing.T) {
	for name, spec := range map[string]problemSpec{
		"no status":       {},
		"success":         {Status: 200},
		"standard member": {Status: 400, Members: []member{{"status", 1}}},
		"nameless member": {Status: 400, Members: []member{{"", 1}}},
		"not encodable":   {Status: 400, Members: []member{{"x", func() {}}}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			newProblem(spec)
		}()
	}
}

func TestProblemFields(t *testing.T) {
	w := httptest.NewRecorder()
	for _, name := range representation {
		w.Header().Set(name, "stale")
	}
	w.Header().Set("Retry-After", "7")
	w.Header().Set("Content-Type", "image/png")
	if !writeProblem(w, httptest.NewRequest("GET", "/", nil), problemPanic) {
		t.Fatal("nothing written")
	}
	equal(t, "status", w.Code, 500)
	for _, name := range representation {
		equal(t, name, w.Header().Get(name), "")
	}
	for name, want := range map[string]string{
		"Retry-After": "7", "Content-Type": "application/problem+json", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
	} {
		equal(t, name, w.Header().Get(name), want)
	}
	for _, name := range []string{"Content-Type", "X-Content-Type-Options"} {
		w.Header().Add(name, "x") // must not spill into a neighbour
	}
	equal(t, "neighbour", w.Header().Get("X-Content-Type-Options"), "nosniff")
	equal(t, "neighbour", w.Header().Get("Cache-Control"), "no-store")
}

func TestProblemForHEADHasTheFieldsOfGET(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { writeProblem(w, r, problemTimeout) }))
		get, err := s.Client().Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		get.Body.Close()
		head, err := s.Client().Head(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		head.Body.Close()
		equal(t, "status", head.StatusCode, 503)
		for _, name := range []string{"Content-Type", "Content-Length", "Cache-Control"} {
			equal(t, name, head.Header.Get(name), get.Header.Get(name))
		}
		equal(t, "length", head.ContentLength, int64(len(problemTimeout.json)))
	})
}

func TestProblemLeavesResponsesAlone(t *testing.T) {
	for name, begin := range map[string]func(w http.ResponseWriter){
		"begun":         func(w http.ResponseWriter) { w.WriteHeader(201) },
		"trailers":      func(w http.ResponseWriter) { w.Header().Set("Trailer", "X") },
		"late trailers": func(w http.ResponseWriter) { w.Header().Set(http.TrailerPrefix+"X", "1") },
	} {
		var x *exchange
		do(watch(&x, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", "e")
			begin(w)
			if writeProblem(w, r, problemPanic) || w.Header().Get("Etag") == "" {
				t.Errorf("%s: the response was changed", name)
			}
		})), httptest.NewRequest("GET", "/", nil))
		equal(t, name+": bytes", x.bytes, 0)
	}
}

func TestProblemNegotiation(t *testing.T) {
	for _, tc := range []struct {
		accept []string
		text   bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"*/*"}, false},
		{[]string{"text/plain"}, true},
		{[]string{"TEXT/PLAIN"}, true},
		{[]string{"text/*"}, true},
		{[]string{"text/html"}, false},
		{[]string{"text/html, */*;q=0.8"}, false},
		{[]string{"text/plain, application/json"}, false},
		{[]string{"text/plain;q=0.1, application/problem+json;q=0.1"}, false},
		{[]string{"text/plain, */*"}, false},
		{[]string{"text/plain, application/json;q=0"}, true},
		{[]string{"text/plain", "application/*"}, false},
		{[]string{"*/*, application/*;q=0"}, true},
		{[]string{"*/*, application/*;q=0.0, application/problem+json"}, false},
		{[]string{"*/*, application/json; q=0 , text/plain;q=0.00"}, false},
		{[]string{"application/json;q=0, application/*, text/plain, */*"}, true},
		{[]string{"text/plain;q=0, text/*, application/*;q=0"}, false},
		{[]string{"text/plain; q=0"}, false},
		{[]string{"*/*;q=0"}, false},
		{[]string{";;;,,,;q=,="}, false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Accept"] = tc.accept
		w := httptest.NewRecorder()
		writeProblem(w, r, problemPanic)
		want := "application/problem+json"
		if tc.text {
			want = "text/plain; charset=utf-8"
		}
		if got := w.Header().Get("Content-Type"); got != want {
			t.Errorf("Accept %q: %s, want %s", tc.accept, got, want)
		}
	}
}
