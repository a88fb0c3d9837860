package httpmw

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestServerSentEventsArriveBeforeTheHandlerEnds(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		logs, next := newLogSink(), make(chan struct{})
		s := serve(fullChain(t, logs)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			rc := http.NewResponseController(w)
			for i := range 3 {
				_ = rc.SetWriteDeadline(time.Now().Add(hang))
				fmt.Fprintf(w, "data: %d\n\n", i)
				if i == 1 {
					w.(http.Flusher).Flush()
				} else if err := rc.Flush(); err != nil {
					t.Error(err)
				}
				<-next // the client has read the event
			}
		})))
		resp, err := s.Client().Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body := bufio.NewReader(resp.Body)
		for i := range 3 {
			line, err := body.ReadString('\n')
			if want := fmt.Sprintf("data: %d\n", i); line != want || err != nil {
				t.Fatalf("read %q, %v; want %q", line, err, want)
			}
			_, _ = body.ReadString('\n')
			next <- struct{}{}
		}
		if rest, err := io.ReadAll(body); len(rest) > 0 || err != nil {
			t.Errorf("after the events: %q, %v", rest, err)
		}
		entry := logs.next(t, "request")
		equal(t, "logged bytes", entry[attrBytes], any(int64(27)))
	})
}

// TestUpgradeByHijack speaks a protocol of its own after a raw 101, as WebSocket libraries do.
func TestUpgradeByHijack(t *testing.T) {
	for name, hijack := range map[string]func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"assertion": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"controller": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	} {
		t.Run(name, func(t *testing.T) {
			logs := newLogSink()
			s := serve(t, fullChain(t, logs)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				conn, buf, err := hijack(w)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				fmt.Fprint(buf, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
				buf.Flush()
				line, _ := buf.ReadString('\n')
				fmt.Fprint(buf, strings.ToUpper(line))
				buf.Flush()
			})), false)
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			in := bufio.NewReader(conn)
			resp, err := http.ReadResponse(in, nil)
			if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("%v, %v", resp, err)
			}
			resp.Body.Close()
			fmt.Fprint(conn, "hello\n")
			if line, err := in.ReadString('\n'); line != "HELLO\n" {
				t.Errorf("echo: %q, %v", line, err)
			}
			entry := logs.next(t, "request")
			equal(t, "outcome", entry[attrOutcome], any("hijacked"))
			if status, ok := entry[attrStatus]; ok {
				t.Errorf("a status was logged: %v", status)
			}
		})
	}
}

func TestFileReachesReadFromOfTheInnerWriter(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	content := bytes.Repeat([]byte("0123456789"), 10_000)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	file := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, name) })

	var src io.Reader
	spy := &copySpy{ResponseRecorder: httptest.NewRecorder(), src: &src}
	fullChain(t, newLogSink())(file).ServeHTTP(spy, httptest.NewRequest("GET", "/", nil))
	limited, _ := src.(*io.LimitedReader)
	if limited == nil {
		t.Fatalf("ReadFrom got a %T, want the *io.LimitedReader of http.ServeFile", src)
	}
	if _, ok := limited.R.(*os.File); !ok {
		t.Errorf("the file arrived as %T", limited.R)
	}

	logs := newLogSink()
	resp, body, err := get(t, serve(t, fullChain(t, logs)(file), false), "/")
	if err != nil || resp.StatusCode != 200 || body != string(content) {
		t.Errorf("got %d, %d bytes, %v", resp.StatusCode, len(body), err)
	}
	equal(t, "logged bytes", logs.next(t, "request")[attrBytes], any(int64(len(content))))
}

type copySpy struct {
	*httptest.ResponseRecorder
	src *io.Reader
}

func (s *copySpy) ReadFrom(r io.Reader) (int64, error) {
	*s.src = r
	return io.Copy(s.ResponseRecorder, r)
}

func TestTrailersPass(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(fullChain(t, newLogSink())(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Announced")
			fmt.Fprint(w, "body")
			w.(http.Flusher).Flush()
			w.Header().Set("X-Announced", "1")
			w.Header().Set(http.TrailerPrefix+"X-Late", "2")
		})))
		resp, body, err := get(t, s, "/")
		if body != "body" || err != nil {
			t.Errorf("body %q, %v", body, err)
		}
		equal(t, "announced trailer", resp.Trailer.Get("X-Announced"), "1")
		equal(t, "late trailer", resp.Trailer.Get("X-Late"), "2")
	})
}

func TestEarlyHintsPassAndTheFinalStatusIsRecorded(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		logs := newLogSink()
		s := serve(fullChain(t, logs)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusCreated)
		})))
		var hints []string
		r, _ := http.NewRequest("GET", s.URL, nil)
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				hints = append(hints, fmt.Sprint(code, " ", h.Get("Link")))
				return nil
			},
		}))
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		equal(t, "hints", strings.Join(hints, ";"), "103 </style.css>; rel=preload")
		equal(t, "status", resp.StatusCode, http.StatusCreated)
		equal(t, "logged status", logs.next(t, "request")[attrStatus], any(int64(http.StatusCreated)))
	})
}

func TestFullDuplex(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(fullChain(t, newLogSink())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			if err := rc.EnableFullDuplex(); err != nil {
				t.Error(err)
			}
			_ = rc.Flush()
			line, _ := bufio.NewReader(r.Body).ReadString('\n')
			fmt.Fprint(w, "got "+line)
		})))
		out, in := io.Pipe()
		r, _ := http.NewRequest("POST", s.URL, out)
		resp, err := s.Client().Do(r) // returns before anything was sent: the response has begun
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		fmt.Fprint(in, "line\n")
		in.Close()
		body, err := io.ReadAll(resp.Body)
		if string(body) != "got line\n" || err != nil {
			t.Errorf("%q, %v", body, err)
		}
	})
}

func TestBytesOnTheWireForBodylessAnswers(t *testing.T) {
	logs := newLogSink()
	s := serve(t, fullChain(t, logs)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/304" {
			w.WriteHeader(http.StatusNotModified)
		}
		fmt.Fprint(w, "twelve bytes")
	})), false)
	for _, path := range []string{"/", "/304"} {
		method := http.MethodHead
		if path != "/" {
			method = http.MethodGet
		}
		r, _ := http.NewRequest(method, s.URL+path, nil)
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		equal(t, method+" "+path+" bytes", logs.next(t, "request")[attrBytes], any(int64(0)))
	}
}
