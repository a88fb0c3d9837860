package intercept

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a layer that answers what it is told to and notes what it was asked.
type script struct {
	w       Writer
	header  Action // at Header
	later   Action // at the other moments
	decide  func(w *Writer, m Moment)
	asked   []Moment
	copied  bytes.Buffer
	flushes int
	closed  bool
}

func (s *script) Decide(w *Writer, m Moment) Action {
	s.asked = append(s.asked, m)
	if s.decide != nil {
		s.decide(w, m)
	}
	if m == Header {
		return s.header
	}
	return s.later
}

func (s *script) Copied(p []byte) { s.copied.Write(p) }

// Write transforms into upper case.
func (s *script) Write(p []byte) (int, error) { return s.w.Inner().Write(bytes.ToUpper(p)) }
func (s *script) Flush() error                { s.flushes++; return nil }
func (s *script) Close() error {
	s.closed = true
	_, err := io.WriteString(s.w.Inner(), "!")
	return err
}

func (s *script) Answer() { http.Error(s.w.Inner(), "answer", http.StatusConflict) }

// wrap is the layer as a middleware.
func (s *script) wrap(limit int, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(s.w.Begin(w, r, limit, s), r)
		_ = s.w.Finish()
	})
}

func serve(t *testing.T, h http.Handler, h2 bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if h2 {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
