package compress

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/timeout"
	"github.com/mw-go/mw/httpmw"
)

// Events arrive as they are flushed, in any coding.
func TestCompressEventsArriveBeforeTheHandlerEnds(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		for _, kind := range []string{"text/event-stream", "text/plain"} {
			for _, streams := range []bool{false, true} {
				for _, coding := range []string{"gzip", "zstd"} {
					next := make(chan struct{})
					s := serve(mw.Must(Compress(Config{Streams: streams}))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						w.Header().Set("Content-Type", kind)
						for i := range 3 {
							fmt.Fprintf(w, "data: %d\n", i)
							w.(http.Flusher).Flush()
							<-next // the client has read the event
						}
					})))
					r, _ := http.NewRequest("GET", s.URL, nil)
					r.Header.Set("Accept-Encoding", coding)
					resp, err := s.Client().Do(r)
					if err != nil {
						t.Fatal(err)
					}
					want := coding
					if kind == "text/event-stream" && !streams {
						want = ""
					}
					equal(t, "coding", resp.Header.Get("Content-Encoding"), want)
					lines := bufio.NewReader(decoder(t, want, resp.Body))
					for i := range 3 {
						if line, err := lines.ReadString('\n'); line != fmt.Sprintf("data: %d\n", i) || err != nil {
							t.Fatalf("%q, %v", line, err)
						}
						next <- struct{}{}
					}
					if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
						t.Errorf("after the events: %q, %v", rest, err)
					}
					resp.Body.Close()
				}
			}
		}
	})
}

func decoder(t *testing.T, coding string, body io.Reader) io.Reader {
	t.Helper()
	var r io.Reader
	var err error
	switch coding {
	case "gzip":
		r, err = gzip.NewReader(body)
	case "zstd":
		d, zerr := zstd.NewReader(body, zstd.WithDecoderConcurrency(1))
		if zerr == nil {
			t.Cleanup(d.Close)
		}
		r, err = d, zerr
	default:
		return body
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A flush before the first byte sends the header: nothing is known of the body, and it passes.
func TestCompressFlushOfTheHeaderAlone(t *testing.T) {
	s := serve(t, compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, prose)
	})), false)
	resp, body, err := fetch(t, s, "GET", "Accept-Encoding", "gzip")
	equal(t, "coding", resp.Header.Get("Content-Encoding"), "")
	if string(body) != prose || err != nil {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

// Row "103 through wrappers": forwarded, and the final status kept.
func TestCompressForwardsEarlyHints(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, prose)
		})))
		hints := 0
		r, _ := http.NewRequest("GET", s.URL, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				if code == 103 && h.Get("Link") != "" && h.Get("Content-Encoding") == "" {
					hints++
				}
				return nil
			},
		}))
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		equal(t, "hints", hints, 1)
		equal(t, "status", resp.StatusCode, 201)
		equal(t, "coding", resp.Header.Get("Content-Encoding"), "gzip")
	})
}

// Row "ResponseController through wrappers": deadlines and full duplex work by unwrapping, Flush by encoding.
func TestCompressResponseControllerWorks(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			rc := http.NewResponseController(w)
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprint(w, "x")
			for name, err := range map[string]error{
				"write deadline": rc.SetWriteDeadline(time.Now().Add(hang)),
				"read deadline":  rc.SetReadDeadline(time.Now().Add(hang)),
				"full duplex":    rc.EnableFullDuplex(),
				"flush":          rc.Flush(),
			} {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})))
		resp, body, _ := fetch(t, s, "GET", "Accept-Encoding", "gzip")
		text, err := plainText(resp.Header.Get("Content-Encoding"), body)
		if text != "x" || err != nil || resp.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%q %v %v", text, err, resp.Header)
		}
	})
}

func TestCompressPassesTrailers(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Announced")
			_, _ = io.WriteString(w, prose)
			w.Header().Set("X-Announced", "1")
			w.Header().Set(http.TrailerPrefix+"X-Late", "2")
		})))
		resp, body, err := fetch(t, s, "GET", "Accept-Encoding", "gzip")
		equal(t, "coding", resp.Header.Get("Content-Encoding"), "gzip")
		if text, decodeErr := plainText("gzip", body); text != prose || err != nil || decodeErr != nil {
			t.Errorf("%d bytes, %v, %v", len(text), err, decodeErr)
		}
		equal(t, "announced", resp.Trailer.Get("X-Announced"), "1")
		equal(t, "late", resp.Trailer.Get("X-Late"), "2")
	})
}

// Truncation stays visible: what the handler did not finish has no end, neither of the coding nor of the message.
func TestCompressNeverEndsWhatTheHandlerDidNot(t *testing.T) {
	long := strings.Repeat(prose, 100)
	for name, end := range map[string]func(){
		"abort":  func() { panic(http.ErrAbortHandler) },
		"panic":  func() { panic("no such table") },
		"length": func() {},
	} {
		for _, flush := range []bool{false, true} {
			forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
				for _, coding := range []string{"gzip", "zstd"} {
					s := serve(quietRecover(compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						w.Header().Set("Content-Type", "text/plain")
						w.Header().Set("Content-Length", fmt.Sprint(len(long)+1))
						_, _ = io.WriteString(w, long)
						if flush {
							w.(http.Flusher).Flush()
						}
						end()
					}))))
					r, _ := http.NewRequest("GET", s.URL, nil)
					r.Header.Set("Accept-Encoding", coding)
					resp, err := s.Client().Do(r)
					if err != nil {
						continue // nothing arrived, which is no clean end either
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err == nil {
						t.Errorf("%s, %s: a clean end of the message after %d bytes", name, coding, len(body))
					}
					if _, err := plainText(coding, body); err == nil {
						t.Errorf("%s, %s: a clean end of the coding", name, coding)
					}
				}
			})
		}
	}
}

// A panic before anything was sent leaves the answer to Recover, which is not encoded by halves.
func TestCompressPanicBeforeTheFirstByteIsA500(t *testing.T) {
	s := serve(t, quietRecover(compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "held")
		panic("no such table")
	}))), false)
	resp, body, err := fetch(t, s, "GET", "Accept-Encoding", "gzip")
	if resp.StatusCode != 500 || resp.Header.Get("Content-Encoding") != "" || !strings.HasPrefix(string(body), "{") || err != nil {
		t.Errorf("%d %v %q %v", resp.StatusCode, resp.Header, body, err)
	}
}

func TestCompressBodyLongerThanItsLength(t *testing.T) {
	var got error
	s := serve(t, compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", fmt.Sprint(len(prose)))
		_, _ = io.WriteString(w, prose)
		_, got = io.WriteString(w, "x")
	})), false)
	resp, body, _ := fetch(t, s, "GET", "Accept-Encoding", "gzip")
	text, err := plainText(resp.Header.Get("Content-Encoding"), body)
	if text != prose || err != nil || got != http.ErrContentLength {
		t.Errorf("%d bytes, %v, %v", len(text), err, got)
	}
}

// Upgrades and hijacked connections are none of our business.
func TestCompressLeavesHijackedConnectionsAlone(t *testing.T) {
	for _, upgrade := range []string{"", "Connection: Upgrade\r\nUpgrade: echo\r\n"} {
		s := serve(t, compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, buf, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprint(buf, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello\n")
			buf.Flush()
		})), false)
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n%s\r\n", upgrade)
		all, err := io.ReadAll(conn)
		conn.Close()
		if !strings.HasSuffix(string(all), "\r\n\r\nhello\n") || strings.Contains(string(all), "Encoding") || err != nil {
			t.Errorf("%q, %v", all, err)
		}
	}
}

// What layers outside do for a handler that says nothing, or not all, they do with Compress in between as well.
func TestCompressLeavesAnswersToTheLayersOutside(t *testing.T) {
	timeout := mw.Must(httpmw.Timeout(mw.Must(timeout.New("t", timeout.Config{Limit: time.Second}, timeout.Hooks{}))))
	limit := mw.Must(httpmw.BodyLimit(httpmw.BodyLimitConfig{Max: 1}))
	wait := func(r *http.Request) { <-r.Context().Done() }
	for name, tc := range map[string]struct {
		h      http.HandlerFunc
		status int
		body   string
	}{
		"silent at the deadline": {func(_ http.ResponseWriter, r *http.Request) { wait(r) }, 503, "problem"},
		"a part at the deadline": {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "part"); wait(r) }, 503, "problem"},
		"the whole before it": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			fmt.Fprint(w, "whole")
			wait(r)
		}, 200, "whole"},
		"an own answer after it": {func(w http.ResponseWriter, r *http.Request) { wait(r); fmt.Fprint(w, "late") }, 200, "late"},
		"a body too large":       {func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) }, 413, "problem"},
		"nothing at all":         {func(http.ResponseWriter, *http.Request) {}, 200, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("xx")))
			r.Header.Set("Accept-Encoding", "gzip")
			w := httptest.NewRecorder()
			timeout(limit(compressed(tc.h))).ServeHTTP(w, r)
			equal(t, name, w.Code, tc.status)
			if tc.body == "problem" {
				equal(t, name, w.Header().Get("Content-Type"), "application/problem+json")
			} else {
				equal(t, name, w.Body.String(), tc.body)
			}
		})
	}
}
