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
	return []Row{{
		Name: "HTTPRateLimit", About: "one request through a rate limit by client address that always admits, fields included",
		Contestants: []Contestant{{Ours, oursHTTP}, {"httprate", httprateHTTP}},
	}}
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

// requests returns a loop that sends one request after another through limit, and counts those that reach the handler
// with the given field in their response. Writer, header and request are used again, as a server uses none of them but
// the header's map would be new; clearing it costs both sides the same.
func requests(limit func(http.Handler) http.Handler, field string) func(from, n int) int {
	handler := limit(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(nil)
	}))
	template, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://bench.example/path", nil)
	if err != nil {
		panic(err)
	}
	template.RemoteAddr = "198.51.100.7:40000"
	return func(_, n int) (admitted int) {
		r := template.Clone(context.Background())
		w := &blank{header: http.Header{}}
		for range n {
			clear(w.header)
			w.writes = 0
			handler.ServeHTTP(w, r)
			if w.writes == 1 && len(w.header[field]) == 1 {
				admitted++
			}
		}
		return admitted
	}
}

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
