package main

import (
	"context"
	"net/http"

	"github.com/go-chi/httprate"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/httpmw"
)

func httpRows() []Row {
	rows := []Row{{
		Name: "HTTPRateLimit", About: "one request through a rate limit by client address that always admits, fields included",
		Contestants: []Contestant{{Ours, oursHTTP}, {"httprate", httprateHTTP}},
	}}
	rows = append(rows, stackRow())
	rows = append(rows, partRows()...)
	return append(rows, guardRows()...)
}

// oursHTTP is RateLimit alone. It is then the outermost middleware and makes the request's record; in a chain all share
// one.
func oursHTTP() Subject {
	l := mw.Must(ratelimit.NewKeyed("bench", slowRefill, ratelimit.Hooks{}))
	limit := httpmw.RateLimit(l, httpmw.GuardConfig{Key: httpmw.ByClientIP(httpmw.TrustNone())})
	return Subject{Loop: requests(limit, "Ratelimit")}
}

func httprateHTTP() Subject {
	return Subject{Loop: requests(httprate.LimitByIP(plenty, day), "X-Ratelimit-Remaining")}
}

// requests returns a loop that sends one request after another through a middleware to a handler, and counts those that
// reach it with the given field, if any, in their response. There is no mux: it would cost both sides the same. Writer, header and request are used again, as a server uses
// none of them but the header's map would be new; clearing it costs both sides the same.
func requests(middleware func(http.Handler) http.Handler, field string) func(from, n int) int {
	handler := middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) }))
	template, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://bench.example/users/7", nil)
	if err != nil {
		panic(err)
	}
	template.RemoteAddr = "198.51.100.7:40000"
	template.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	template.Header.Set("Accept", "application/json")
	return func(_, n int) (admitted int) {
		r := template.Clone(context.Background())
		w := &blank{header: http.Header{}}
		for range n {
			clear(w.header)
			w.writes = 0
			handler.ServeHTTP(w, r)
			if w.writes == 1 && (field == "" || len(w.header[field]) == 1) {
				admitted++
			}
		}
		return admitted
	}
}

var answer = []byte(`{"name":"Ada"}`)

// blank is a ResponseWriter that keeps the header and counts the writes.
type blank struct {
	header http.Header
	writes int
}

func (w *blank) Header() http.Header { return w.header }

func (w *blank) Write(p []byte) (int, error) {
	w.writes++
	return len(p), nil
}

func (w *blank) WriteHeader(int) {}
