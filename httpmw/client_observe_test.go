package httpmw

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/bulkhead"
)

// clientSummaries collects what a ClientObserve tells.
type clientSummaries struct {
	mu  sync.Mutex
	all []ClientSummary
}

func (s *clientSummaries) end(sum ClientSummary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, sum)
}

func (s *clientSummaries) none(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) != 0 {
		t.Fatalf("told too early: %+v", s.all)
	}
}

func (s *clientSummaries) one(t *testing.T) ClientSummary {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) != 1 {
		t.Fatalf("%d summaries, want 1: %+v", len(s.all), s.all)
	}
	return s.all[0]
}

// faultyBody yields its text, then err.
type faultyBody struct {
	io.Reader
	err error
}

func (b *faultyBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

func (b *faultyBody) Close() error { return nil }

func sending(method, body string) *http.Request {
	r := httptest.NewRequest(method, "http://backend.example/users", strings.NewReader(body))
	if body == "" {
		r.Body = http.NoBody
	}
	return r
}

// What RoundTrip alone decides.
func TestClientObserve(t *testing.T) {
	fails := func(err error) trip {
		return func(*http.Request) (*http.Response, error) { return nil, err }
	}
	for _, c := range []struct {
		name string
		next http.RoundTripper
		want ClientSummary
	}{
		{"no body", answer200(http.NoBody), ClientSummary{Status: 200}},
		{"not found", trip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 404, Body: http.NoBody}, nil
		}), ClientSummary{Status: 404, ErrorType: "404"}},
		{"nothing at all", fails(nil), ClientSummary{ErrorType: "_OTHER", Completion: Aborted}},
		{"refused", fails(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}),
			ClientSummary{ErrorType: "connection", Completion: Aborted}},
		{"not found by name", fails(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}),
			ClientSummary{ErrorType: "name_resolution", Completion: Aborted}},
		{"name server too slow", fails(&net.DNSError{IsTimeout: true}), ClientSummary{ErrorType: "timeout", Completion: Aborted}},
		{"timeout of the network", fails(&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}),
			ClientSummary{ErrorType: "timeout", Completion: Aborted}},
		{"our timeout", fails(core.ErrTimeout), ClientSummary{ErrorType: "timeout", Completion: Aborted}},
		{"a deadline", fails(context.DeadlineExceeded), ClientSummary{ErrorType: "timeout", Completion: Aborted}},
		{"canceled", fails(context.Canceled), ClientSummary{ErrorType: "canceled", Completion: Aborted}},
		{"broken off", fails(io.ErrUnexpectedEOF), ClientSummary{ErrorType: "connection", Completion: Aborted}},
		{"a rejection", fails(&core.Rejection{Reason: core.ReasonOpen}), ClientSummary{ErrorType: "open", Completion: Aborted}},
		{"anything", fails(errors.New("secret")), ClientSummary{ErrorType: "_OTHER", Completion: Aborted}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got clientSummaries
			resp, _ := ClientObserve(got.end)(c.next).RoundTrip(sending("GET", ""))
			if resp != nil {
				defer resp.Body.Close()
			}
			sum := got.one(t)
			c.want.Method = "GET"
			sum.Request, sum.Start, sum.Duration, sum.Answered = nil, time.Time{}, 0, 0
			equal(t, "summary", sum, c.want)
		})
	}
}

// A request that has an answer is over when its body is.
func TestClientObserveBody(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		err  error // at the end of the body
		use  func(body io.ReadCloser)
		want ClientSummary
	}{
		{"read to the end", io.EOF, func(b io.ReadCloser) { _, _ = io.ReadAll(b) }, ClientSummary{BytesIn: 5}},
		{"read and closed", io.EOF, func(b io.ReadCloser) { _, _ = io.ReadAll(b); _ = b.Close() }, ClientSummary{BytesIn: 5}},
		{"closed early", io.EOF, func(b io.ReadCloser) { _, _ = b.Read(make([]byte, 2)); _ = b.Close() }, ClientSummary{BytesIn: 2}},
		{"closed twice", io.EOF, func(b io.ReadCloser) { _ = b.Close(); _ = b.Close() }, ClientSummary{}},
		{"broken off", io.ErrUnexpectedEOF, func(b io.ReadCloser) { _, _ = io.ReadAll(b) },
			ClientSummary{BytesIn: 5, ErrorType: "connection", Completion: Aborted}},
		{"failed", broken, func(b io.ReadCloser) { _, _ = io.ReadAll(b); _ = b.Close() },
			ClientSummary{BytesIn: 5, ErrorType: "_OTHER", Completion: Aborted}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got clientSummaries
				slow := trip(func(r *http.Request) (*http.Response, error) {
					time.Sleep(time.Second)
					return answer200(&faultyBody{strings.NewReader("hello"), c.err})(r)
				})
				resp, err := ClientObserve(got.end)(slow).RoundTrip(sending("POST", "request"))
				if err != nil {
					t.Fatal(err)
				}
				got.none(t)
				time.Sleep(time.Second)
				c.use(resp.Body)
				sum := got.one(t)
				c.want.Method, c.want.Status, c.want.BytesOut = "POST", 200, 7
				c.want.Answered, c.want.Duration = time.Second, 2*time.Second
				sum.Request, sum.Start = nil, time.Time{}
				equal(t, "summary", sum, c.want)
			})
		})
	}
}

// A connection that was switched to another protocol ends when it is closed, not when its peer is done.
func TestClientObserveSwitchedProtocols(t *testing.T) {
	var got clientSummaries
	near, far := net.Pipe()
	resp, err := ClientObserve(got.end)(trip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 101, Body: near}, nil
	})).RoundTrip(sending("GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	w, ok := resp.Body.(io.Writer)
	if !ok {
		t.Fatalf("the body, a %T, cannot be written to", resp.Body)
	}
	go func() { _, _ = io.CopyN(far, far, 4); _ = far.Close() }()
	_, _ = io.WriteString(w, "ping")
	b, _ := io.ReadAll(resp.Body)
	equal(t, "echo", string(b), "ping")
	got.none(t)
	_ = resp.Body.Close()
	sum := got.one(t)
	equal(t, "completion", sum.Completion, Hijacked)
	equal(t, "bytes", sum.BytesIn, 4)
	if err := resp.Body.(interface{ CloseWrite() error }).CloseWrite(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("CloseWrite of a pipe: %v", err)
	}
}

func TestClientObservePanic(t *testing.T) {
	for name, f := range map[string]func(){"panic": func() { panic("planted") }, "Goexit": runtime.Goexit} {
		var got clientSummaries
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() { _ = recover() }()
			_, _ = ClientObserve(got.end)(trip(func(*http.Request) (*http.Response, error) { f(); return nil, nil })).
				RoundTrip(sending("GET", ""))
		})
		wg.Wait()
		sum := got.one(t)
		equal(t, name, sum.ErrorType, "aborted")
		equal(t, name, sum.Completion, Aborted)
	}
}

// A request cut off by a Timeout of ours, by http.Client or by a guard, over a real connection.
func TestClientObserveRealErrors(t *testing.T) {
	hold := make(chan struct{})
	s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-hold:
		}
	}), false)
	defer close(hold)
	full := newBulkhead(bulkhead.Config{Limit: 1})
	_, _ = full.Acquire(context.Background(), core.Call{})
	for _, c := range []struct {
		name   string
		within func(http.RoundTripper) http.RoundTripper
		client time.Duration
		ctx    func() (context.Context, context.CancelFunc)
		want   string
	}{
		{name: "http.Client.Timeout", client: 20 * time.Millisecond, want: "timeout"},
		{name: "our cause", ctx: func() (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(t.Context(), 20*time.Millisecond, core.ErrTimeout)
		}, want: "timeout"},
		{name: "canceled", ctx: func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return ctx, cancel
		}, want: "canceled"},
		{name: "a guard", within: ClientBulkhead(full), want: "full"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got clientSummaries
			rt := s.Client().Transport
			if c.within != nil {
				rt = c.within(rt)
			}
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			if c.ctx != nil {
				ctx, cancel = c.ctx()
			}
			defer cancel()
			r, _ := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
			client := &http.Client{Transport: ClientObserve(got.end)(rt), Timeout: c.client}
			resp, err := client.Do(r)
			if err == nil {
				_ = resp.Body.Close()
				t.Fatal("no error")
			}
			equal(t, "error type", got.one(t).ErrorType, c.want)
		})
	}
}

func TestClientObserveWiring(t *testing.T) {
	mustPanic(t, "nil function", func() { ClientObserve(nil) })
	mustPanic(t, "nil RoundTripper", func() { ClientObserve(func(ClientSummary) {})(nil) })
	began := 0
	idle := &idleCloser{}
	rt := ClientObserve(func(ClientSummary) {}, ClientObserveConfig{Name: "ClientMetrics", Begin: func(s ClientSummary) {
		began++
		equal(t, "method", s.Method, "GET")
	}})(idle)
	resp, _ := rt.RoundTrip(sending("GET", ""))
	_ = resp.Body.Close()
	equal(t, "begins", began, 1)
	(&http.Client{Transport: rt}).CloseIdleConnections()
	equal(t, "idle connections closed", idle.closed, 1)
	equal(t, "name", rt.(interface{ Layer() string }).Layer(), "ClientMetrics")
	if rt.(interface{ Unwrap() http.RoundTripper }).Unwrap() != http.RoundTripper(idle) {
		t.Error("does not unwrap")
	}
}

type idleCloser struct{ closed int }

func (c *idleCloser) RoundTrip(r *http.Request) (*http.Response, error) {
	return answer200(http.NoBody)(r)
}
func (c *idleCloser) CloseIdleConnections() { c.closed++ }

func TestClientObserveAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	n := 0
	observe := ClientObserve(func(s ClientSummary) { n += s.Status })
	r := sending("GET", "")
	bare := &http.Response{StatusCode: 200, Body: http.NoBody}
	rt := observe(trip(func(*http.Request) (*http.Response, error) { return bare, nil }))
	equal(t, "without a body", testing.AllocsPerRun(200, func() { _, _ = rt.RoundTrip(r) }), 0) //nolint:bodyclose // none
	body := &faultyBody{strings.NewReader(""), io.EOF}
	full := &http.Response{StatusCode: 200}
	rt = observe(trip(func(*http.Request) (*http.Response, error) { full.Body = body; return full, nil }))
	equal(t, "with a body", testing.AllocsPerRun(200, func() {
		resp, _ := rt.RoundTrip(r)
		_ = resp.Body.Close()
	}), 1)
}

// lateContext has a deadline that has passed, and does not know yet.
type lateContext struct{ context.Context }

func (lateContext) Deadline() (time.Time, bool) { return time.Now().Add(-time.Second), true }

func TestClientErrorTypeOfALateContext(t *testing.T) {
	canceled := errors.New("net/http: request canceled") // what http.Client.Timeout makes of it
	equal(t, "late", ClientErrorType(lateContext{t.Context()}, canceled), "timeout")
	equal(t, "in time", ClientErrorType(t.Context(), canceled), "_OTHER")
	equal(t, "no error", ClientErrorType(t.Context(), nil), "")
}
