package httpmw

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/timeout"
)

// answering returns a response with that body.
func answering(r *http.Request, status int, body io.ReadCloser) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: body, Request: r, ProtoMajor: 1, ContentLength: -1}
}

// trickle is a body whose parts come after a pause, for as long as its context lives.
type trickle struct {
	ctx    context.Context
	parts  int
	pause  time.Duration
	closed bool
}

func (b *trickle) Read(p []byte) (int, error) {
	if b.parts == 0 {
		return 0, io.EOF
	}
	b.parts--
	select {
	case <-time.After(b.pause):
		return copy(p, "part"), nil
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
}

func (b *trickle) Close() error { b.closed = true; return nil }

// Row "cancel ownership" (failsafe-go #65, #123; resty #1197): the context lives as long as the body is read, and no longer.
func TestClientTimeoutKeepsTheContextForTheBody(t *testing.T) {
	for _, how := range []string{"to the end", "closed"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := newTimeout(time.Minute)
				body := &trickle{parts: 3, pause: time.Second}
				rt := ClientTimeout(to)(trip(func(r *http.Request) (*http.Response, error) {
					body.ctx = r.Context()
					return answering(r, 200, body), nil
				}))
				resp, err := rt.RoundTrip(anyRequest())
				if err != nil || body.ctx.Err() != nil {
					t.Fatalf("%v; the context is done: %v", err, body.ctx.Err())
				}
				if how == "closed" {
					_, _ = resp.Body.Read(make([]byte, 4))
					_ = resp.Body.Close()
				} else if all, err := io.ReadAll(resp.Body); string(all) != "partpartpart" || err != nil {
					t.Errorf("%q, %v", all, err)
				}
				if body.ctx.Err() == nil {
					t.Error("the context goes on: its timer too")
				}
				if n, err := resp.Body.Read(make([]byte, 4)); how == "to the end" && (n != 0 || err != io.EOF) {
					t.Errorf("afterwards %d, %v", n, err)
				}
				equal(t, "timed out", to.Snapshot().TimedOut, 0)
			})
		})
	}
}

// The same over real connections, with a body beyond every buffer in between.
func TestClientTimeoutReadsTheWholeBody(t *testing.T) {
	const size = 4 << 20
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) }))
		c := s.Client()
		c.Transport = mw.Chain(ClientTimeout(newTimeout(hang)), ClientTimeout(newTimeout(hang)))(c.Transport)
		_, body, err := get(t, s, "/")
		if len(body) != size || err != nil {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	})
}

// The error is ours in whatever part of the request the time ends, and guards inside know it.
func TestClientTimeoutNamesItsCause(t *testing.T) {
	for _, part := range []string{"header", "body"} {
		t.Run(part, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := newTimeout(time.Second)
				b := newBreaker(breaker.Config{ConsecutiveFailures: 1})
				rt := mw.Chain(ClientTimeout(to), ClientBreaker(b))(trip(func(r *http.Request) (*http.Response, error) {
					if part == "header" {
						<-r.Context().Done()
						return nil, r.Context().Err()
					}
					return answering(r, 200, &trickle{ctx: r.Context(), parts: 5, pause: 300 * time.Millisecond}), nil
				}))
				resp, err := rt.RoundTrip(anyRequest())
				if part == "body" {
					_, err = io.ReadAll(resp.Body)
					_, again := resp.Body.Read(make([]byte, 4))
					if again != err {
						t.Errorf("read again: %v", again)
					}
				}
				var over *timeout.Error
				if !errors.As(err, &over) || over.Limit != time.Second || !errors.Is(err, core.ErrTimeout) {
					t.Errorf("error %v", err)
				}
				equal(t, "timed out", to.Snapshot().TimedOut, 1)
				equal(t, "breaker", b.Snapshot().State, breaker.Open)
			})
		})
	}
}

// A request that cannot be answered in time is not sent, and its body is closed all the same.
func TestClientTimeoutSendsNothingInVain(t *testing.T) {
	to := mw.Must(timeout.New("payments", timeout.Config{Limit: time.Hour, MinRest: time.Minute}, timeout.Hooks{}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	body := &trickle{}
	req := httptest.NewRequest("POST", "/", body).WithContext(ctx)
	_, err := ClientTimeout(to)(trip(func(*http.Request) (*http.Response, error) {
		t.Error("sent")
		return nil, io.ErrUnexpectedEOF
	})).RoundTrip(req)
	if !errors.Is(err, core.ErrTooLong) || !body.closed {
		t.Errorf("%v, closed %v", err, body.closed)
	}
}

// Bodies of 101 stay writers, and outlive the time.
func TestClientTimeoutKeepsUpgradedConnections(t *testing.T) {
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
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
	}), false)
	var inner context.Context
	rt := ClientTimeout(newTimeout(time.Second))(trip(func(r *http.Request) (*http.Response, error) {
		inner = r.Context()
		return s.Client().Transport.RoundTrip(r)
	}))
	req, _ := http.NewRequest("GET", s.URL, nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("the body is a %T", resp.Body)
	}
	defer conn.Close()
	<-inner.Done() // the time is over
	fmt.Fprintln(conn, "hello")
	line := make([]byte, 6)
	if _, err := io.ReadFull(conn, line); string(line) != "hello\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
}

// Neither a panic nor Goexit of the inner RoundTripper leaves a timer behind, and settings apply to the next request.
func TestClientTimeoutEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := newTimeout(time.Minute)
		var inner context.Context
		rt := ClientTimeout(to)(trip(func(r *http.Request) (*http.Response, error) {
			inner = r.Context()
			if r.URL.Path == "/panic" {
				panic("inner")
			}
			<-inner.Done()
			return nil, inner.Err()
		}))
		func() {
			defer func() { _ = recover() }()
			_, _ = rt.RoundTrip(httptest.NewRequest("GET", "/panic", nil))
		}()
		if inner.Err() == nil {
			t.Error("the context goes on after a panic")
		}
		if err := to.Tune(timeout.Config{Limit: time.Second}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err := rt.RoundTrip(anyRequest())
		equal(t, "after", time.Since(start), time.Second)
		if !strings.Contains(err.Error(), "over after 1s") {
			t.Error(err)
		}
		if err := to.Override(core.Disabled, 0); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start = time.Now()
		_, err = rt.RoundTrip(anyRequest().WithContext(ctx))
		equal(t, "disabled: after", time.Since(start), 5*time.Second)
		equal(t, "error", err, context.DeadlineExceeded)
	})
}
