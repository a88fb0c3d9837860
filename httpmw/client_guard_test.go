package httpmw

import (
	"context"
	"errors"
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
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/ratelimit"
)

type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer200(body io.ReadCloser) trip {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body}, nil
	}
}

func outgoing(ctx context.Context) *http.Request {
	r, err := http.NewRequestWithContext(ctx, "GET", "http://payments.example/", nil)
	if err != nil {
		panic(err)
	}
	return r
}

// only checks that exactly one call was settled, with the outcome.
func only(t *testing.T, b *breaker.Breaker, want core.Outcome) {
	t.Helper()
	for o, n := range b.Snapshot().Outcomes {
		expected := uint64(0)
		if core.Outcome(o) == want {
			expected = 1
		}
		equal(t, core.Outcome(o).String(), n, expected)
	}
}

func TestClientBreakerOpensAndReturnsARejection(t *testing.T) {
	b := newBreaker(breaker.Config{MinCalls: 3})
	calls := 0
	rt := ClientBreaker(b)(trip(func(*http.Request) (*http.Response, error) {
		calls++
		return nil, errors.New("connection refused")
	}))
	for range 3 {
		if _, err := rt.RoundTrip(outgoing(t.Context())); err == nil || errors.Is(err, core.ErrRejected) {
			t.Fatalf("got %v, want the transport's error", err)
		}
	}
	body := &closeSpy{Reader: strings.NewReader("x")}
	r := outgoing(t.Context())
	r.Body = body
	resp, err := rt.RoundTrip(r)
	var rejected *core.Rejection
	if resp != nil || !errors.As(err, &rejected) || !errors.Is(err, core.ErrOpen) || rejected.RetryAfter <= 0 {
		t.Fatalf("got %v, %v", resp, err)
	}
	equal(t, "calls", calls, 3)
	equal(t, "request body closed", body.closed, true)
}

type closeSpy struct {
	io.Reader
	closed bool
}

func (c *closeSpy) Close() error { c.closed = true; return nil }

func TestClientSlotIsHeldUntilTheBodyEnds(t *testing.T) {
	for name, end := range map[string]func(*http.Response){
		"read to the end": func(r *http.Response) { _, _ = io.Copy(io.Discard, r.Body) },
		"closed early":    func(r *http.Response) { _ = r.Body.Close() },
		"both":            func(r *http.Response) { _, _ = io.Copy(io.Discard, r.Body); _ = r.Body.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			room, b := newBulkhead(bulkhead.Config{Limit: 1}), newBreaker(breaker.Config{})
			rt := ClientGuard(Guarded{Guard: b}, Guarded{Guard: room})(answer200(io.NopCloser(strings.NewReader("body"))))
			resp, err := rt.RoundTrip(outgoing(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "running before", room.Snapshot().Running, 1)
			end(resp)
			equal(t, "running after", room.Snapshot().Running, 0)
			only(t, b, core.Success)
		})
	}
}

type brokenBody struct{ err error }

func (b brokenBody) Read([]byte) (int, error) { return 0, b.err }
func (brokenBody) Close() error               { return nil }

func TestClientOutcomes(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	ours, cancelOurs := context.WithTimeoutCause(t.Context(), 0, core.ErrTimeout)
	defer cancelOurs()
	status := func(code int, header ...string) trip {
		return func(*http.Request) (*http.Response, error) {
			h := http.Header{}
			for i := 0; i < len(header); i += 2 {
				h.Set(header[i], header[i+1])
			}
			return &http.Response{StatusCode: code, Header: h, Body: http.NoBody}, nil
		}
	}
	fails := func(err error) trip {
		return func(*http.Request) (*http.Response, error) { return nil, err }
	}
	for _, c := range []struct {
		name string
		next trip
		ctx  context.Context
		want core.Outcome
	}{
		{"200", status(200), t.Context(), core.Success},
		{"404", status(404), t.Context(), core.Success},
		{"500", status(500), t.Context(), core.Failure},
		{"429", status(429), t.Context(), core.Overload},
		{"503 with Retry-After", status(503, "Retry-After", "1"), t.Context(), core.Overload},
		{"connection refused", fails(errors.New("refused")), t.Context(), core.Failure},
		{"canceled by the caller", fails(context.Canceled), gone, core.Canceled},
		{"our timeout", fails(context.DeadlineExceeded), ours, core.Timeout},
		{"rejected further in", fails(&core.Rejection{Reason: core.ReasonFull}), t.Context(), core.Ignored},
		{"body breaks off", answer200(brokenBody{io.ErrUnexpectedEOF}), t.Context(), core.Failure},
		{"body canceled by the caller", answer200(brokenBody{context.Canceled}), gone, core.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBreaker(breaker.Config{})
			resp, err := ClientBreaker(b)(c.next).RoundTrip(outgoing(c.ctx))
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			only(t, b, c.want)
		})
	}
}

func TestClientPanicGivesTheSlotBack(t *testing.T) {
	room := newBulkhead(bulkhead.Config{Limit: 1})
	rt := ClientBulkhead(room)(trip(func(*http.Request) (*http.Response, error) { panic("transport") }))
	func() {
		defer func() { equal(t, "panic", recover() != nil, true) }()
		_, _ = rt.RoundTrip(outgoing(t.Context()))
	}()
	equal(t, "running", room.Snapshot().Running, 0)
}

func TestClientRejectionByALaterGuardSettlesTheEarlier(t *testing.T) {
	b := newBreaker(breaker.Config{})
	rt := ClientGuard(Guarded{Guard: b}, Guarded{Guard: newEmptyLimit(t)})(answer200(http.NoBody))
	_, err := rt.RoundTrip(outgoing(t.Context()))
	if !errors.Is(err, core.ErrLimited) {
		t.Fatalf("got %v", err)
	}
	only(t, b, core.Ignored)
}

// The body of a 101 is the connection: it must stay writable through the guard, and hold its slot until it is closed.
func TestClientUpgradeStaysWritable(t *testing.T) {
	room := newBulkhead(bulkhead.Config{Limit: 1})
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := buf.ReadString('\n')
		_, _ = io.WriteString(conn, line)
	}), false)
	r := outgoing(t.Context())
	r.URL.Host = strings.TrimPrefix(srv.URL, "http://")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	resp, err := ClientBulkhead(room)(srv.Client().Transport).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	equal(t, "writable", ok, true)
	_, _ = io.WriteString(conn, "hello\n")
	equal(t, "running", room.Snapshot().Running, 1)
	echo := make([]byte, 6)
	_, err = io.ReadFull(conn, echo)
	equal(t, "echo", string(echo), "hello\n")
	equal(t, "error", err, nil)
	_ = conn.Close()
	equal(t, "running after close", room.Snapshot().Running, 0)
}

func TestClientBreakerPerHost(t *testing.T) {
	b := mw.Must(breaker.NewKeyed("hosts", breaker.Config{MinCalls: 1}, core.Hooks{}))
	rt := ClientBreaker(b, GuardConfig{Key: ByHost})(trip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "bad.example" {
			return nil, errors.New("refused")
		}
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
	}))
	send := func(host string) error {
		r := outgoing(t.Context())
		r.URL.Host = host
		resp, err := rt.RoundTrip(r)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	_ = send("bad.example")
	equal(t, "bad host is rejected", errors.Is(send("bad.example"), core.ErrOpen), true)
	equal(t, "good host goes on", send("good.example"), nil)
}

// As on a server, queueing is not billed to the backend.
func TestClientGuardRestartsPermitsAfterAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := &spyGuard{}
		wait := newLimit(ratelimit.Config{Limit: 1, MaxWait: time.Minute})
		wait.Acquire(t.Context(), core.Call{})
		start := core.Now()
		rt := ClientGuard(Guarded{Guard: spy}, Guarded{Guard: wait})(answer200(http.NoBody))
		if _, err := rt.RoundTrip(outgoing(t.Context())); err != nil {
			t.Fatal(err)
		}
		equal(t, "began", spy.restarted.Sub(start), time.Second)
	})
}

// The call, and the body of the response if there is one.
func TestClientGuardAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	guards := ClientGuard(Guarded{Guard: newBreaker(breaker.Config{})}, Guarded{Guard: newBulkhead(bulkhead.Config{Limit: 5})})
	allocs := func(body io.ReadCloser) float64 {
		resp := &http.Response{StatusCode: 200, Header: http.Header{}}
		rt := guards(trip(func(*http.Request) (*http.Response, error) { return resp, nil }))
		r := outgoing(t.Context())
		return testing.AllocsPerRun(200, func() {
			resp.Body = body
			_, _ = rt.RoundTrip(r)
			_ = resp.Body.Close()
		})
	}
	equal(t, "without a body", allocs(http.NoBody), 1)
	equal(t, "with a body", allocs(brokenBody{io.EOF}), 2)
}

// A download that goes on for longer than a probe's lease is no lost probe.
func TestClientStreamSettlesAProbeAtItsHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(breaker.Config{Probes: 1, OpenFor: time.Second})
		b.Trip(time.Second)
		time.Sleep(time.Second)
		resp, err := ClientBreaker(b)(answer200(io.NopCloser(strings.NewReader("data")))).RoundTrip(outgoing(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "state", b.State(), breaker.Closed)
		time.Sleep(time.Hour)
		_ = resp.Body.Close()
		only(t, b, core.Success)
	})
}

func TestWriteErrorTable(t *testing.T) {
	for _, c := range []struct {
		err        error
		status     int
		retryAfter string
	}{
		{&core.Rejection{Kind: core.KindRateLimit, Policy: "p", Reason: core.ReasonLimited, RetryAfter: 1200 * time.Millisecond}, 429, "2"},
		{&core.Rejection{Kind: core.KindRateLimit, Policy: "p", Reason: core.ReasonTooCostly, RetryAfter: core.Never}, 429, ""},
		{&core.Rejection{Kind: core.KindBreaker, Policy: "p", Reason: core.ReasonOpen, RetryAfter: time.Second}, 503, "1"},
		{&core.Rejection{Kind: core.KindBulkhead, Policy: "p", Reason: core.ReasonFull}, 503, ""},
		{&core.Rejection{Kind: core.KindAdaptive, Policy: "p", Reason: core.ReasonShed}, 503, ""},
		{&core.Rejection{Kind: "own", Policy: "p"}, 503, ""},
		{core.ErrTimeout, 503, ""},
		{errors.New("secret"), 502, ""},
	} {
		w := httptest.NewRecorder()
		WriteError(w, anyRequest(), c.err)
		equal(t, c.err.Error()+" status", w.Code, c.status)
		equal(t, c.err.Error()+" Retry-After", w.Header().Get("Retry-After"), c.retryAfter)
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("the error reached the client: %s", w.Body)
		}
	}
}
