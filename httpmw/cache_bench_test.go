package httpmw

import (
	"net/http"
	"testing"
	"time"
)

// TestCacheHitAllocations pins what a hit costs: the key, the question, and the fields of the answer.
func TestCacheHitAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h, w, r := hitHandler(t), &nullWriter{http.Header{}}, ask("GET", "/")
	h.ServeHTTP(w, r)
	if n := testing.AllocsPerRun(200, func() { clear(w.header); h.ServeHTTP(w, r) }); n > 8 {
		t.Errorf("%v allocations, want 8 at most", n)
	}
}

func hitHandler(t testing.TB) http.Handler {
	return Cache(newCache(t, CacheShared, CacheConfig{TTL: time.Hour}))(replying("body", "Content-Type", "text/plain"))
}

func BenchmarkCacheHit(b *testing.B) {
	h, w, r := hitHandler(b), &nullWriter{http.Header{}}, ask("GET", "/")
	h.ServeHTTP(w, r)
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

func BenchmarkETag(b *testing.B) {
	h, w, r := etag(ETagConfig{})(okHandler), &nullWriter{http.Header{}}, ask("GET", "/")
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}
