package compress

import (
	"bytes"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/httpmw"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hang bounds waits that end at once unless something is broken.
const hang = 30 * time.Second

// prose compresses and is longer than Min.
var prose = strings.Repeat("The quick brown fox jumps over the lazy dog. ", 100)

// forEachProtocol runs f over real connections: HTTP/1.1 without and HTTP/2 with TLS.
func forEachProtocol(t *testing.T, f func(t *testing.T, serve func(http.Handler) *httptest.Server)) {
	for _, h2 := range []bool{false, true} {
		name := "h1"
		if h2 {
			name = "h2"
		}
		t.Run(name, func(t *testing.T) {
			f(t, func(h http.Handler) *httptest.Server { return serve(t, h, h2) })
		})
	}
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
	s.Client().Transport.(*http.Transport).DisableCompression = true
	t.Cleanup(s.Close)
	return s
}

// fetch sends a request with these fields and returns the response with the body as it came.
func fetch(t *testing.T, s *httptest.Server, method string, fields ...string) (*http.Response, []byte, error) {
	t.Helper()
	r, err := http.NewRequest(method, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// plainText decodes a whole body; an error if it has no clean end.
func plainText(coding string, body []byte) (string, error) {
	var src io.Reader
	switch coding {
	case "":
		return string(body), nil
	case "gzip":
		zr, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return "", err
		}
		src = zr
	case "zstd":
		zr, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return "", err
		}
		defer zr.Close()
		src = zr
	default:
		panic(coding)
	}
	text, err := io.ReadAll(src)
	return string(text), err
}

// answer is a handler that says text with these fields.
func answer(status int, text string, fields ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		if status != 0 {
			w.WriteHeader(status)
		}
		_, _ = io.WriteString(w, text)
	})
}

func compressed(h http.Handler) http.Handler { return mw.Must(Compress(Config{}))(h) }

// quietRecover is Recover for panics that a test means to cause.
var quietRecover = httpmw.Recover(httpmw.RecoverConfig{Logger: slog.New(slog.DiscardHandler)})

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
