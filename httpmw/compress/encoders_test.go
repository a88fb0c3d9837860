package compress

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A handler that leaves a goroutine behind which goes on writing writes to nobody, and never into another response.
func TestCompressEncodersAreNeverShared(t *testing.T) {
	var left sync.WaitGroup
	h := compressed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		letter := r.Header.Get("X-Letter")
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, strings.Repeat(letter, 4096))
		begun := make(chan struct{})
		left.Go(func() {
			for i := 0; ; i++ {
				_, err := io.WriteString(w, strings.Repeat(letter, 100))
				if i == 0 {
					close(begun)
				}
				if err != nil {
					return
				}
			}
		})
		<-begun
	}))
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			letter := string(rune('a' + i))
			for range 30 {
				r := httptest.NewRequest("GET", "/", nil)
				r.Header.Set("Accept-Encoding", "gzip")
				r.Header.Set("X-Letter", letter)
				w := &lockedRecorder{header: http.Header{}}
				h.ServeHTTP(w, r)
				w.mu.Lock()
				text, err := plainText("gzip", []byte(w.body.String()))
				w.mu.Unlock()
				if strings.Trim(text, letter) != "" || err != nil {
					t.Errorf("%q in a response of %q, %v", strings.Trim(text, letter), letter, err)
				}
			}
		})
	}
	clients.Wait()
	left.Wait()
}

type lockedRecorder struct {
	header http.Header
	mu     sync.Mutex
	body   strings.Builder
}

func (w *lockedRecorder) Header() http.Header { return w.header }

func (w *lockedRecorder) WriteHeader(int) {}

func (w *lockedRecorder) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.body.Write(p)
}

// The error of a client that has gone reaches the handler, and the encoder is right for the next response.
func TestCompressAfterAClientThatLeft(t *testing.T) {
	h := compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 1000 {
			if _, err := io.WriteString(w, prose); err != nil {
				return
			}
		}
	}))
	gone := errors.New("broken pipe")
	r := httptest.NewRequest("GET", "/", nil)
	for _, coding := range []string{"gzip", "zstd"} {
		r.Header.Set("Accept-Encoding", coding)
		for range 3 {
			h.ServeHTTP(&failingWriter{ResponseRecorder: httptest.NewRecorder(), err: gone}, r)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if text, err := plainText(coding, w.Body.Bytes()); len(text) != 1000*len(prose) || err != nil {
				t.Errorf("%s: %d bytes, %v", coding, len(text), err)
			}
		}
	}
}

type failingWriter struct {
	*httptest.ResponseRecorder
	err error
}

func (w *failingWriter) Write([]byte) (int, error) { return 0, w.err }

// The end of the coding is not written after a panic, also where no connection breaks off.
func TestCompressWritesNoEndAfterAPanic(t *testing.T) {
	for _, coding := range []string{"gzip", "zstd"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Encoding", coding)
		w := httptest.NewRecorder()
		func() {
			defer func() { _ = recover() }()
			compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, prose)
				w.(http.Flusher).Flush()
				panic("no such table")
			})).ServeHTTP(w, r)
		}()
		if text, err := plainText(coding, w.Body.Bytes()); err == nil {
			t.Errorf("%s: a clean end after %d bytes", coding, len(text))
		}
	}
}

// An encoder is taken away in the moment in which it is closed: klauspost's gzip panics when it is written to then.
func TestCompressTakesTheEncoderWhenItIsClosed(t *testing.T) {
	c := fill(Config{})
	m := &compressor{Config: c, encoders: []*encoders{newEncoders("gzip", &c)}}
	r := &response{m: m, declared: -1, enc: m.encoders[0].get(io.Discard)}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Write([]byte("x")); err != http.ErrHandlerTimeout {
		t.Errorf("write after the end: %v", err)
	}
}
