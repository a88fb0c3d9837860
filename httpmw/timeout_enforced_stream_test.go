package httpmw

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// What is too long to be held is sent as it comes, and broken off where the time is over.
func TestEnforcedTimeoutAbortsWhatHasBegun(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		done := make(chan struct{})
		defer close(done)
		s := serve(enforcing(newTimeout(300 * time.Millisecond))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, 10<<10))
			<-done
		})))
		resp, body, err := get(t, s, "/")
		if resp.StatusCode != 200 || len(body) > 10<<10 || err == nil {
			t.Errorf("%d, %d bytes, %v; want a broken body", resp.StatusCode, len(body), err)
		}
	})
}

// The same without a network: nothing but the panic says that it is not whole. What is whole stands.
func TestEnforcedTimeoutAbortsByPanic(t *testing.T) {
	for size, whole := range map[string]bool{"10240": true, "10241": false, "": false} {
		synctest.Test(t, func(t *testing.T) {
			h := enforcing(newTimeout(time.Second))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if size != "" {
					w.Header().Set("Content-Length", size)
				}
				_, _ = w.Write(make([]byte, 10<<10))
				time.Sleep(time.Minute)
			}))
			w, aborted := doAborting(h, anyRequest())
			if w.Body.Len() != 10<<10 || aborted == whole {
				t.Errorf("Content-Length %q: %d bytes, aborted %v", size, w.Body.Len(), aborted)
			}
			time.Sleep(time.Minute)
		})
	}
}

// A client that does not read keeps neither the serving goroutine nor the connection.
func TestEnforcedTimeoutIsNotHeldByASlowClient(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		wrote, served := make(chan error, 1), make(chan struct{})
		h := enforcing(newTimeout(300 * time.Millisecond))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					wrote <- err
					return
				}
			}
		}))
		s := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(served)
			h.ServeHTTP(w, r)
		}))
		resp, err := s.Client().Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		within(t, "serving", served)
		select {
		case err := <-wrote:
			if err == nil {
				t.Error("a write succeeded")
			}
		case <-time.After(hang):
			t.Fatal("the handler is stuck in a write")
		}
	})
}

// A handler that waits for a request's body when it is left behind lets go of the connection, and reads nothing more of it.
func TestEnforcedTimeoutTakesTheBodyBack(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		read, again, left := make(chan error, 1), make(chan error, 1), make(chan struct{})
		s := serve(enforcing(newTimeout(300 * time.Millisecond))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			read <- err
			<-left
			_, err = r.Body.Read(make([]byte, 1))
			again <- err
		})))
		body, client := io.Pipe()
		defer client.Close()
		go func() { _, _ = client.Write([]byte("begun")) }()
		req, _ := http.NewRequest("POST", s.URL, body)
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "status", resp.StatusCode, 503)
		_ = resp.Body.Close()
		close(left)
		for what, c := range map[string]chan error{"waiting": read, "afterwards": again} {
			select {
			case err := <-c:
				if err == nil || what == "afterwards" && err != http.ErrHandlerTimeout {
					t.Errorf("%s: %v", what, err)
				}
			case <-time.After(hang):
				t.Fatal(what + ": the handler is stuck in a read")
			}
		}
	})
}

// http.md row "std TimeoutHandler needs Flusher and Controller": streams and upgrades are not held.
func TestEnforcedTimeoutLeavesStreamsAlone(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		for name, ask := range map[string]func(*http.Request){
			"accepts events": func(r *http.Request) { r.Header.Set("Accept", "text/event-stream") },
			"gRPC":           func(r *http.Request) { r.Header.Set("Content-Type", "application/grpc+proto") },
			"by its type":    func(*http.Request) {},
		} {
			t.Run(name, func(t *testing.T) {
				next := make(chan struct{})
				s := serve(enforcing(newTimeout(100 * time.Millisecond))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "text/event-stream")
					w.Header().Set("Trailer", "X-End")
					rc := http.NewResponseController(w)
					if err := errors.Join(rc.SetWriteDeadline(time.Now().Add(hang)), rc.SetReadDeadline(time.Time{})); err != nil {
						t.Error(err)
					}
					fmt.Fprint(w, "data: 1\n\n")
					if err := rc.Flush(); err != nil {
						t.Error(err)
					}
					<-next
					<-r.Context().Done() // the handler looks, and says goodbye
					fmt.Fprint(w, "data: bye\n\n")
				})))
				req, _ := http.NewRequest("GET", s.URL, nil)
				ask(req)
				resp, err := s.Client().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				lines := bufio.NewReader(resp.Body)
				line, _ := lines.ReadString('\n')
				equal(t, "the first event", line, "data: 1\n") // while the handler waits
				close(next)
				rest, err := io.ReadAll(lines)
				if string(rest) != "\ndata: bye\n\n" || err != nil {
					t.Errorf("the rest: %q, %v", rest, err)
				}
			})
		}
	})
}

func TestEnforcedTimeoutLetsAConnectionBeTaken(t *testing.T) {
	s := serve(t, enforcing(newTimeout(hang))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(buf, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = buf.Flush()
		line, _ := buf.ReadString('\n')
		fmt.Fprint(buf, line)
		_ = buf.Flush()
	})), false)
	for _, upgrade := range []string{"echo", ""} { // without the field it is in the handler's goroutine
		req, _ := http.NewRequest("GET", s.URL, nil)
		if upgrade != "" {
			req.Header.Set("Connection", "Upgrade")
			req.Header.Set("Upgrade", upgrade)
		}
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		conn := resp.Body.(io.ReadWriteCloser)
		fmt.Fprintln(conn, "hello")
		line, _ := bufio.NewReader(conn).ReadString('\n')
		equal(t, "echo", line, "hello\n")
		_ = conn.Close()
	}
}
