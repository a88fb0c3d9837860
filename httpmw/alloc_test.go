package httpmw

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mw-go/mw"
)

// nullWriter costs nothing, so that what is counted is ours.
type nullWriter struct{ header http.Header }

func (w *nullWriter) Header() http.Header         { return w.header }
func (w *nullWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *nullWriter) WriteHeader(int)             {}

var okBody = []byte("ok")

// okHandler answers without an allocation.
var okHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(okBody) })

// newDiscardAll returns a logger that formats each record and throws it away.
func newDiscardAll() *slog.Logger { return slog.New(slog.NewTextHandler(nowhere{}, nil)) }

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

type layerFunc = func(http.Handler) http.Handler

// stacks are the chains whose cost is pinned and measured.
func stacks(t testing.TB) []struct {
	name   string
	chain  layerFunc
	allocs float64
} {
	t.Helper()
	xff := mw.Must(TrustProxies(prefixes("192.0.2.0/24")...))
	var (
		recoverer = Recover()
		id        = RequestID()
		client    = ClientIP(xff)
		silent    = AccessLog(AccessLogConfig{Logger: quiet})
		log       = AccessLog(AccessLogConfig{Logger: newDiscardAll()})
		lines     = AccessLog(AccessLogConfig{JSON: io.Discard})
		limit     = mw.Must(Timeout(TimeoutConfig{Timeout: time.Hour}))
	)
	return []struct {
		name   string
		chain  layerFunc
		allocs float64
	}{
		// The record, which has the copy of the request that carries it.
		{"Recover", recoverer, 1},
		// The id.
		{"Recover RequestID", mw.Chain(recoverer, id), 2},
		{"Recover RequestID ClientIP", mw.Chain(recoverer, id, client), 2},
		{"the same and AccessLog off", mw.Chain(recoverer, id, client, silent), 2},
		// The address as text, and the attributes beyond the five that a slog.Record holds.
		{"the same and AccessLog on", mw.Chain(recoverer, id, client, log), 4},
		// The address as text.
		{"the same and AccessLog of JSON", mw.Chain(recoverer, id, client, lines), 3},
		// The context, its cancel function, the timer, the timer's function, the request, and the watch on the header.
		{"all", mw.Chain(recoverer, id, client, log, limit), 10},
	}
}

func allocRequest() *http.Request {
	r := httptest.NewRequest("GET", "/path", nil)
	r.Header.Set("User-Agent", "test/1")
	r.Header.Set("X-Forwarded-For", "198.51.100.1, 192.0.2.2")
	return r
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, s := range stacks(t) {
		h, w, r := s.chain(okHandler), &nullWriter{http.Header{}}, allocRequest()
		equal(t, s.name, testing.AllocsPerRun(200, func() { h.ServeHTTP(w, r) }), s.allocs)
	}
}

func TestAllocationsOfKeysAndProblems(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := allocRequest()
	key := ByClientIP(mw.Must(TrustProxies(prefixes("192.0.2.0/24")...)))
	equal(t, "ByClientIP", testing.AllocsPerRun(200, func() { key(r) }), 0)
	std := mw.Must(TrustForwarded(prefixes("192.0.2.0/24")...))
	r.Header.Set("Forwarded", `for=198.51.100.1;host="a,b", for="[2001:db8::1]"`)
	equal(t, "Forwarded", testing.AllocsPerRun(200, func() { std.addr(r) }), 0)
	r.Header.Set("Accept", "text/html, application/json;q=0.9")
	w := &nullWriter{http.Header{}}
	equal(t, "problem", testing.AllocsPerRun(200, func() { writeProblem(w, r, problemTimeout) }), 1)
}

func BenchmarkStack(b *testing.B) {
	for _, s := range stacks(b) {
		b.Run(s.name, func(b *testing.B) {
			h, w, r := s.chain(okHandler), &nullWriter{http.Header{}}, allocRequest()
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

func BenchmarkByClientIP(b *testing.B) {
	key, r := ByClientIP(mw.Must(TrustProxies(prefixes("192.0.2.0/24")...))), allocRequest()
	b.ReportAllocs()
	for b.Loop() {
		key(r)
	}
}

func BenchmarkProblem(b *testing.B) {
	w, r := &nullWriter{http.Header{}}, allocRequest()
	b.ReportAllocs()
	for b.Loop() {
		writeProblem(w, r, problemTimeout)
	}
}
