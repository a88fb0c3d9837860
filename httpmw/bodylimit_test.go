package httpmw

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
)

const bodyTooLarge = `{"title":"Content Too Large","status":413}` + "\n"

// readAll reads the body and answers its error as a handler should.
var readAll = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		WriteError(w, r, fmt.Errorf("reading: %w", err))
		return
	}
	fmt.Fprint(w, len(body))
})

func limitTo(n int64) layerFunc { return mw.Must(BodyLimit(BodyLimitConfig{Max: n})) }

// Row "Body limit": Content-Length first, then what is read; *http.MaxBytesError becomes a 413.
func TestBodyLimit(t *testing.T) {
	for _, tc := range []struct {
		name    string
		length  int
		chunked bool
		handler http.Handler
		status  int
		body    string
	}{
		{"as large as allowed", 8, false, readAll, 200, "8"},
		{"a byte more, announced", 9, false, readAll, 413, bodyTooLarge},
		{"as large as allowed, not announced", 8, true, readAll, 200, "8"},
		{"a byte more, not announced", 9, true, readAll, 413, bodyTooLarge},
		{"much more, not announced", 1 << 20, true, readAll, 413, bodyTooLarge},
		{"a handler that gives up in silence", 9, true, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
		}), 413, bodyTooLarge},
		{"a handler that answers otherwise", 9, true, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err != nil {
				http.Error(w, "bad", 400)
			}
		}), 400, "bad\n"},
		{"a handler that does not read", 9, true, okHandler, 200, "ok"},
		{"no body", 0, false, readAll, 200, "0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
				s := serve(mw.Chain(Recover(), limitTo(8))(tc.handler))
				var body io.Reader = strings.NewReader(strings.Repeat("x", tc.length))
				if tc.chunked {
					body = onlyReader{body}
				}
				resp, err := s.Client().Post(s.URL, "text/plain", body)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				got, _ := io.ReadAll(resp.Body)
				equal(t, "status", resp.StatusCode, tc.status)
				equal(t, "body", string(got), tc.body)
			})
		})
	}
}

// Row "1xx, Expect: 100-continue": the rejection comes before the client was told to go on.
func TestBodyLimitRejectsBeforeTheClientUploads(t *testing.T) {
	s := serve(t, mw.Chain(Recover(), RequestID(), limitTo(8))(readAll), false)
	conn, in := dial(t, s)
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
	line, err := in.ReadString('\n') // no 100 before it
	if err != nil || line != "HTTP/1.1 413 Request Entity Too Large\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if !closes(in) {
		t.Error("the connection stays open with a body that may or may not come")
	}
}

// The server's writer learns of the excess through all wrappers and closes the connection.
func TestBodyLimitClosesTheConnectionThroughAllWrappers(t *testing.T) {
	s := serve(t, mw.Chain(Recover(), RequestID(), mw.Must(Timeout(TimeoutConfig{Timeout: time.Hour})), limitTo(8))(readAll), false)
	conn, in := dial(t, s)
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n")
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "status", resp.StatusCode, 413)
	equal(t, "Connection: close", resp.Close, true)
	body, _ := io.ReadAll(resp.Body)
	equal(t, "body", string(body), bodyTooLarge)
	if resp.Close && !closes(in) {
		t.Error("the connection stays open")
	}
}

func dial(t *testing.T, s *httptest.Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(hang))
	return conn, bufio.NewReader(conn)
}

// closes reports whether the peer closes after what it has sent.
func closes(in io.Reader) bool {
	_, err := io.Copy(io.Discard, in)
	var timeout net.Error
	return !errors.As(err, &timeout) || !timeout.Timeout()
}

// A handler gets the error by its type, with the limit, and again if it reads on.
func TestBodyLimitGivesMaxBytesError(t *testing.T) {
	h := limitTo(4)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for range 2 {
			_, err := io.ReadAll(r.Body)
			tooLarge, ok := errors.AsType[*http.MaxBytesError](err)
			if !ok || tooLarge.Limit != 4 {
				t.Errorf("error %v", err)
			}
		}
	}))
	do(h, httptest.NewRequest("POST", "/", onlyReader{strings.NewReader("12345")}))
}

// decode stands for a middleware that decodes bodies: each byte becomes a thousand.
func decode(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			WriteError(w, r, err)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 1000*len(raw)))), -1
		next.ServeHTTP(w, r)
	})
}

// "Count decompressed bytes too": inside a decoder the limit is on what comes out of it.
func TestBodyLimitCountsDecodedBytesInsideADecoder(t *testing.T) {
	for _, tc := range []struct {
		name   string
		chain  layerFunc
		status int
	}{
		{"outside", mw.Chain(limitTo(100), decode), 200},
		{"inside", mw.Chain(decode, limitTo(100)), 413},
		{"both", mw.Chain(limitTo(4), decode, limitTo(5000)), 413},
	} {
		w := do(tc.chain(readAll), httptest.NewRequest("POST", "/", onlyReader{strings.NewReader("12345")}))
		equal(t, tc.name, w.Code, tc.status)
	}
}

func TestBodyLimitOfSomeRequests(t *testing.T) {
	h := mw.Must(BodyLimit(BodyLimitConfig{Max: 4, MaxFor: func(r *http.Request) int64 {
		switch r.URL.Path {
		case "/upload":
			return 8
		case "/stream":
			return -1
		default:
			return 0
		}
	}}))(readAll)
	for path, want := range map[string]int{"/": 413, "/upload": 200, "/stream": 200} {
		equal(t, path, do(h, httptest.NewRequest("POST", path, strings.NewReader("12345678"))).Code, want)
	}
	equal(t, "more", do(h, httptest.NewRequest("POST", "/upload", strings.NewReader("123456789"))).Code, 413)
}

func TestBodyLimitInShadowModeReadsOn(t *testing.T) {
	logs := newLogSink()
	h := mw.Chain(AccessLog(AccessLogConfig{Logger: slog.New(logs)}),
		mw.Must(BodyLimit(BodyLimitConfig{Max: 4, Mode: core.Shadow})))(readAll)
	for body, want := range map[string]any{"1234": nil, "12345": "body_too_large"} {
		w := do(h, httptest.NewRequest("POST", "/", onlyReader{strings.NewReader(body)}))
		equal(t, "body", w.Body.String(), fmt.Sprint(len(body)))
		equal(t, body, logs.next(t, "request")[attrShadow], want)
	}
}

// The answer of who announced trailers is theirs.
func TestBodyLimitLeavesTrailersAlone(t *testing.T) {
	h := limitTo(4)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Grpc-Status")
		_, err := io.ReadAll(r.Body)
		WriteError(w, r, err)
	}))
	w := do(h, httptest.NewRequest("POST", "/", onlyReader{strings.NewReader("12345")}))
	equal(t, "status", w.Code, 200)
	equal(t, "body", w.Body.String(), "")
}

func TestBodyLimitConfig(t *testing.T) {
	_, err := BodyLimit(BodyLimitConfig{Max: -1})
	refused(t, "negative", err, "max: -1 is not allowed; allowed: 1..1099511627776")
}
