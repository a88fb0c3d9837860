package compress

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mw-go/mw"
)

// nullWriter costs nothing, so that what is counted is ours.
type nullWriter struct{ header http.Header }

func (w *nullWriter) Header() http.Header         { return w.header }
func (w *nullWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *nullWriter) WriteHeader(int)             {}

func BenchmarkCompress(b *testing.B) {
	body := []byte(prose)
	for _, tc := range []struct{ name, accept, kind string }{
		{"image", "gzip", "image/png"}, {"plain", "", "text/plain"}, {"gzip", "gzip", "text/plain"}, {"zstd", "zstd", "text/plain"},
	} {
		b.Run(tc.name, func(b *testing.B) {
			kind := []string{tc.kind}
			h := compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = kind
				_, _ = w.Write(body)
			}))
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Accept-Encoding", tc.accept)
			w := &nullWriter{http.Header{}}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
		})
	}
}

// What an encoder and a decoder hold, as the documentation says.
func BenchmarkEncoderMemory(b *testing.B) {
	c := fill(Config{})
	for _, coding := range []string{"gzip", "zstd"} {
		b.Run(coding, func(b *testing.B) {
			text := []byte(prose)
			b.ReportAllocs()
			for b.Loop() {
				enc := newEncoders(coding, &c).make()
				enc.Reset(&nullWriter{})
				for range 300 {
					_, _ = enc.Write(text)
				}
			}
		})
	}
}

func TestAllocations(t *testing.T) {
	for _, tc := range []struct {
		name, accept, kind string
		allocs             float64
	}{
		// The writer; the shape of it is free for a writer without optional methods.
		{"image", "gzip", "image/png", 1},
		// Vary.
		{"plain", "", "text/plain", 2},
		// The coding; what the encoder does is its own affair, and nothing for gzip.
		{"gzip", "gzip", "text/plain", 3},
	} {
		body, kind := []byte(prose), []string{tc.kind}
		length := []string{"4500"}
		h := mw.Must(Compress(Config{}))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"], w.Header()["Content-Length"] = kind, length
			_, _ = w.Write(body)
		}))
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Encoding", tc.accept)
		w := &nullWriter{http.Header{}}
		h.ServeHTTP(w, r) // fills the pool
		got := testing.AllocsPerRun(100, func() {
			clear(w.header)
			h.ServeHTTP(w, r)
		})
		if !raceEnabled {
			equal(t, tc.name, got, tc.allocs)
		}
	}
}
