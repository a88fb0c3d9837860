package httpmw

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/retry"
)

func TestClientRetryContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		body := &bare{Reader: strings.NewReader("x")}
		s := &script{steps: []any{200}}
		_, err := ClientRetry(newRetry(t, retry.Config{}))(s).RoundTrip(request(ctx, "GET", body))
		if !errors.Is(err, cause) || len(s.requests) != 0 || body.closed.Load() != 1 {
			t.Errorf("done before: %v, %d attempts, closed %d times", err, len(s.requests), body.closed.Load())
		}

		ctx, cancel = context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		s = &script{steps: []any{503}, header: http.Header{"Retry-After": {"30"}}}
		resp, err := ClientRetry(newRetry(t, retry.Config{}))(s).RoundTrip(outgoing(ctx))
		status, ok := errors.AsType[*StatusError](err)
		if resp != nil || !errors.Is(err, context.Canceled) || !errors.Is(err, cause) || !ok || status.Status != 503 {
			t.Errorf("left during the delay: %v, %v", resp, err)
		}
		equal(t, "bodies open", s.open, 0)
	})
}

// go-resty 1197, failsafe-go 65: the context of the attempt ended when the response was returned, and the body with it.
func TestClientRetryAttemptTimeoutLivesAsLongAsTheBody(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 512<<10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Idempotency-Key") == "stall" {
			<-r.Context().Done()
			return
		}
		_, _ = w.Write(big)
	}))
	defer s.Close()
	defer http.DefaultClient.CloseIdleConnections()
	rt := ClientRetry(newRetry(t, retry.Config{AttemptTimeout: hang}))(http.DefaultTransport)
	r, _ := http.NewRequest("GET", s.URL, nil)
	resp, err := rt.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	equal(t, "bytes", n, int64(len(big)))
	if err != nil {
		t.Error(err)
	}
	resp.Body.Close()
}

func TestClientRetryAttemptTimeoutEndsWithTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, end := range map[string]func(*http.Response){
			"read":   func(r *http.Response) { _, _ = io.Copy(io.Discard, r.Body) },
			"closed": func(r *http.Response) { r.Body.Close() },
		} {
			s := &script{steps: []any{200}}
			resp, err := ClientRetry(newRetry(t, retry.Config{AttemptTimeout: time.Minute}))(s).RoundTrip(outgoing(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			ctx := s.requests[0].Context()
			equal(t, name+": ended before", ctx.Err(), nil)
			end(resp)
			equal(t, name+": ended", ctx.Err() != nil, true)
		}
		// A body that takes too long is a timeout of ours.
		resp, err := ClientRetry(newRetry(t, retry.Config{AttemptTimeout: time.Minute}))(hung(true)).RoundTrip(outgoing(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(resp.Body)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("body: %v", err)
		}
		// And so is an attempt without an answer: each has its full time.
		start := time.Now()
		_, err = ClientRetry(newRetry(t, retry.Config{AttemptTimeout: time.Minute}))(hung(false)).RoundTrip(outgoing(t.Context()))
		if took := time.Since(start); took < 3*time.Minute || took > 4*time.Minute || !errors.Is(err, core.ErrTimeout) {
			t.Errorf("%v after %v", err, took)
		}
		if e, ok := err.(interface{ Timeout() bool }); !ok || !e.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
	})
}

// 101: the body is a connection, and stays one.
func TestClientRetryHandsOverAConnection(t *testing.T) {
	client, server := net.Pipe()
	defer server.Close()
	rt := ClientRetry(newRetry(t, retry.Config{AttemptTimeout: hang}))(trip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 101, Header: http.Header{}, Body: client}, nil
	}))
	resp, err := rt.RoundTrip(outgoing(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	w, ok := resp.Body.(io.Writer)
	if !ok {
		t.Fatal("no Writer")
	}
	go func() { _, _ = w.Write([]byte("hello")) }()
	p := make([]byte, 5)
	if _, err := io.ReadFull(server, p); err != nil || string(p) != "hello" {
		t.Errorf("%q, %v", p, err)
	}
	if err := resp.Body.(interface{ CloseWrite() error }).CloseWrite(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("CloseWrite of a pipe: %v", err)
	}
}

// Three tiers of three attempts are not 27.
func TestClientRetryNested(t *testing.T) {
	s := &script{steps: []any{503}}
	rt := http.RoundTripper(s)
	for range 3 {
		rt = ClientRetry(newRetry(t, retry.Config{}))(rt)
	}
	resp, err := rt.RoundTrip(outgoing(t.Context()))
	if err != nil || resp.StatusCode != 503 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	equal(t, "attempts", len(s.requests), 3+2+2)
	equal(t, "bodies open", s.open, 0)
}

func TestClientRetryCountsResends(t *testing.T) {
	s := &script{steps: []any{503}}
	resp, err := ClientRetry(newRetry(t, retry.Config{}))(s).RoundTrip(outgoing(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for i, r := range s.requests {
		equal(t, "resends", ResendCount(r.Context()), i)
	}
	equal(t, "of the response", ResendCount(resp.Request.Context()), 2)
}

func TestClientRetryPassesOnWhatEndsTheAttempt(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("trip") }, "Goexit": runtime.Goexit} {
		body := &bare{Reader: strings.NewReader("x")}
		var ctx context.Context
		rt := ClientRetry(newRetry(t, retry.Config{AttemptTimeout: hang}))(trip(func(r *http.Request) (*http.Response, error) {
			ctx = r.Context()
			defer r.Body.Close()
			end()
			return nil, nil
		}))
		v := apart(func() { _, _ = rt.RoundTrip(request(t.Context(), "PUT", body)) })
		equal(t, name+" passed on", v != nil, name == "panic")
		equal(t, name+": body closed", body.closed.Load(), 1)
		equal(t, name+": context ended", ctx.Err() != nil, true)

		body = &bare{Reader: strings.NewReader("x")}
		conf := ClientRetryConfig{Repeatable: func(*http.Request) bool { end(); return true }}
		_ = apart(func() {
			_, _ = ClientRetry(newRetry(t, retry.Config{}), conf)(rt).RoundTrip(request(t.Context(), "PUT", body))
		})
		equal(t, name+" in Repeatable: body closed", body.closed.Load(), 1)
	}
}

func TestClientRetryTransportThatReturnsNothing(t *testing.T) {
	rt := ClientRetry(newRetry(t, retry.Config{}))(trip(func(*http.Request) (*http.Response, error) { return nil, nil }))
	_, err := (&http.Client{Transport: rt}).Get("http://payments.example/")
	if err == nil || !strings.Contains(err.Error(), "nil *Response") {
		t.Errorf("%v, want the complaint of http.Client", err)
	}
}

func TestClientRetryWiring(t *testing.T) {
	rt := ClientRetry(newRetry(t, retry.Config{}))(http.DefaultTransport)
	named, ok := rt.(interface {
		Layer() string
		Unwrap() http.RoundTripper
		CloseIdleConnections()
	})
	if !ok || named.Layer() != "ClientRetry" || named.Unwrap() != http.DefaultTransport {
		t.Errorf("%T", rt)
	}
	named.CloseIdleConnections()
	for name, wire := range map[string]func(){
		"nil Retry":        func() { ClientRetry(nil) },
		"nil RoundTripper": func() { ClientRetry(newRetry(t, retry.Config{}))(nil) },
		"two Configs":      func() { ClientRetry(newRetry(t, retry.Config{}), ClientRetryConfig{}, ClientRetryConfig{}) },
	} {
		equal(t, name, apart(wire) != nil, true)
	}
}

func TestClientRetryAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}
	rt := ClientRetry(newRetry(t, retry.Config{}))(trip(func(*http.Request) (*http.Response, error) { return resp, nil }))
	r := outgoing(t.Context())
	equal(t, "GET", testing.AllocsPerRun(200, func() { _, _ = rt.RoundTrip(r) }), 0)
	post := request(t.Context(), "POST", strings.NewReader("x"))
	equal(t, "POST", testing.AllocsPerRun(200, func() { _, _ = rt.RoundTrip(post) }), 0)
}

// The peer of an upgraded connection may be done sending while it still listens.
func TestClientRetryConnectionOutlivesItsReader(t *testing.T) {
	var ctx context.Context
	rt := ClientRetry(newRetry(t, retry.Config{AttemptTimeout: hang}))(trip(func(r *http.Request) (*http.Response, error) {
		ctx = r.Context()
		conn := struct {
			io.Reader
			io.WriteCloser
		}{strings.NewReader(""), discardCloser{}}
		return &http.Response{StatusCode: 101, Header: http.Header{}, Body: conn}, nil
	}))
	resp, err := rt.RoundTrip(outgoing(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resp.Body.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read %v", err)
	}
	equal(t, "ended by the end of reading", ctx.Err() != nil, false)
	resp.Body.Close()
	equal(t, "ended by Close", ctx.Err() != nil, true)
}

type discardCloser struct{}

func (discardCloser) Write(p []byte) (int, error) { return len(p), nil }
func (discardCloser) Close() error                { return nil }
