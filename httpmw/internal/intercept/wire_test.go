package intercept

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// handlers answer in every way that a client could tell apart.
func handlers(t *testing.T) map[string]http.HandlerFunc {
	file := filepath.Join(t.TempDir(), "file.txt")
	if err := os.WriteFile(file, []byte(strings.Repeat("0123456789", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("<html>", 1000)
	return map[string]http.HandlerFunc{
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"small":   func(w http.ResponseWriter, _ *http.Request) { text(w, "small") },
		"big":     func(w http.ResponseWriter, _ *http.Request) { text(w, big) },
		"pieces": func(w http.ResponseWriter, _ *http.Request) {
			text(w, "<")
			text(w, "html>")
			text(w, big)
			text(w, "x")
		},
		"empty write":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil); w.WriteHeader(404) },
		"404":          func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 404) },
		"204":          func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204); text(w, "no") },
		"304":          func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Etag", `"e"`); w.WriteHeader(304) },
		"two statuses": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); w.WriteHeader(500) },
		"early hints": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</a>")
			w.WriteHeader(103)
			w.Header().Del("Link")
			w.WriteHeader(201)
		},
		"late field": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(200)
			w.Header().Set("Late", "1")
			text(w, "x")
		},
		"trailers": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "A")
			text(w, "body")
			w.Header().Set("A", "1")
			w.Header().Set(http.TrailerPrefix+"B", "2")
		},
		"trailers without a body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "A")
			w.WriteHeader(200)
			w.Header().Set("A", "1")
		},
		"flush": func(w http.ResponseWriter, _ *http.Request) {
			text(w, "a")
			w.(http.Flusher).Flush()
			text(w, "b")
			_ = http.NewResponseController(w).Flush()
		},
		"length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			text(w, "abc")
		},
		"length too long": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			text(w, "abcd")
			text(w, "abc")
		},
		"length too short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			text(w, "abc")
		},
		"no sniffing": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			text(w, "<html>")
		},
		"event stream": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			text(w, "data: 1\n\n")
		},
		"copy": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, onlyReader{strings.NewReader(big)})
		},
		"file": func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) },
		"copy after status": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(203)
			_, _ = io.Copy(w, onlyReader{strings.NewReader(big)})
		},
		"panic before": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"panic after flush": func(w http.ResponseWriter, _ *http.Request) {
			text(w, "part")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
	}
}

// observe is all that a client sees.
func observe(t *testing.T, srv *httptest.Server, method string, field ...string) string {
	t.Helper()
	var b strings.Builder
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		fmt.Fprintf(&b, "%d %v\n", code, h)
		return nil
	}}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), method, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(field); i += 2 {
		r.Header.Set(field[i], field[i+1])
	}
	resp, err := srv.Client().Do(r)
	if err != nil {
		return b.String() + "broken"
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil { // how much of it arrived is chance
		return b.String() + "broken"
	}
	resp.Header.Del("Date")
	fmt.Fprintf(&b, "%d %d %v %q %v", resp.StatusCode, resp.ContentLength, resp.Header, body, resp.Trailer)
	return b.String()
}

// TestTheClientSeesNoDifference runs each handler bare and behind a layer that changes nothing.
func TestTheClientSeesNoDifference(t *testing.T) {
	layers := map[string]struct {
		header, later Action
		limit         int
	}{
		"pass":          {Pass, Pass, 0},
		"copy":          {Copy, Copy, 0},
		"hold":          {Hold, Pass, 1 << 20},
		"hold few":      {Hold, Pass, 4},
		"hold and copy": {Hold, Copy, 100},
	}
	for _, h2 := range []bool{false, true} {
		for name, h := range handlers(t) {
			bare := serve(t, h, h2)
			for layer, l := range layers {
				wrapped := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					(&script{header: l.header, later: l.later}).wrap(l.limit, h).ServeHTTP(w, r)
				}), h2)
				for _, method := range []string{"GET", "HEAD", "POST"} {
					t.Run(fmt.Sprintf("%s/%s/%s/h2=%v", name, layer, method, h2), func(t *testing.T) {
						want, got := observe(t, bare, method), observe(t, wrapped, method)
						if got != want {
							t.Errorf("got\n%.500s\nwant\n%.500s", got, want)
						}
					})
				}
				if name == "file" {
					field := []string{"Range", "bytes=5-9"}
					equal(t, "range", observe(t, wrapped, "GET", field...), observe(t, bare, "GET", field...))
				}
			}
		}
	}
}

// 101 by the handler over the hijacked connection, both ways, whatever the layer means to do.
func TestUpgradeEndsTheInterception(t *testing.T) {
	for _, a := range []Action{Hold, Copy, Transform} {
		s := &script{header: a, later: Pass}
		srv := serve(t, s.wrap(100, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, buf, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			text(buf, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
			_ = buf.Flush()
			line, _ := buf.ReadString('\n')
			text(buf, line)
			_ = buf.Flush()
			if _, err := w.Write([]byte("x")); err != http.ErrHijacked {
				t.Errorf("write after hijack: %v", err)
			}
		})), false)
		r, _ := http.NewRequestWithContext(t.Context(), "GET", srv.URL, nil)
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "echo")
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		conn := resp.Body.(io.ReadWriteCloser)
		text(conn, "hello\n")
		line, err := bufio.NewReader(conn).ReadString('\n')
		_ = conn.Close()
		if resp.StatusCode != 101 || line != "hello\n" || err != nil {
			t.Errorf("%d %q %v", resp.StatusCode, line, err)
		}
		equal(t, "hijacked", s.w.Hijacked(), true)
		equal(t, "decisions", len(s.asked), 0)
	}
}

// A hijack in the middle of a response leaves the client with what the server would have sent by then.
func TestHijackMidway(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "8")
		text(w, "held")
		_ = http.NewResponseController(w).Flush()
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		text(buf, "more")
		_ = buf.Flush()
		_ = conn.Close()
	})
	unflushed := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(201)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.Close()
	})
	for _, h := range []http.Handler{h, unflushed} {
		s := &script{header: Hold, later: Pass}
		want := observe(t, serve(t, h, false), "GET")
		equal(t, "client", observe(t, serve(t, s.wrap(100, h), false), "GET"), want)
		if !slices.Equal(s.asked, []Moment{Header, Stream}) {
			t.Errorf("asked at %v", s.asked)
		}
	}
}

// A panic after a part has gone out is seen as a broken message, however the layer passes it on.
func TestPanicMidwayIsSeen(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		for _, a := range []Action{Pass, Copy, Transform} {
			srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				(&script{header: a}).wrap(0, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					text(w, strings.Repeat("x", 10000))
					panic(http.ErrAbortHandler)
				})).ServeHTTP(w, r)
			}), h2)
			if got := observe(t, srv, "GET"); got != "broken" {
				t.Errorf("the response looks whole: %.80s", got)
			}
		}
	}
}

// Deadlines and full duplex are found through the writer.
func TestResponseControllerWorks(t *testing.T) {
	s := &script{header: Hold, later: Pass}
	srv := serve(t, s.wrap(100, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		if err := c.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		if _, ok := w.(http.Pusher); ok {
			t.Error("a Pusher over HTTP/1.1")
		}
	})), false)
	observe(t, srv, "GET")
}
