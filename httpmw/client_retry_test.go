package httpmw

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/retry"
)

// script answers attempt after attempt, the last entry stays: a status, or an error.
type script struct {
	steps    []any
	header   http.Header
	requests []*http.Request
	open     int // bodies that nobody has closed
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	step := s.steps[min(len(s.requests), len(s.steps)-1)]
	s.requests = append(s.requests, r)
	if r.Body != nil {
		defer r.Body.Close()
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
	}
	if err, ok := step.(error); ok {
		return nil, err
	}
	s.open++
	body := &scriptBody{Reader: strings.NewReader("body"), s: s, ctx: r.Context()}
	h := s.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	return &http.Response{StatusCode: step.(int), Header: h, Body: body, ContentLength: 4, Request: r}, nil
}

type scriptBody struct {
	io.Reader
	s      *script
	ctx    context.Context
	closed bool
}

func (b *scriptBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.Reader.Read(p)
}

func (b *scriptBody) Close() error {
	if !b.closed {
		b.closed = true
		b.s.open--
	}
	return nil
}

func request(ctx context.Context, method string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(ctx, method, "http://payments.example/", body)
	if err != nil {
		panic(err)
	}
	return r
}

// bare is a body without GetBody.
type bare struct {
	io.Reader
	closed atomic.Int64
}

func (b *bare) Close() error { b.closed.Add(1); return nil }

// http.md section 2, client retry of POST on 500: the matrix of what is sent again, and when.
func TestClientRetryMatrix(t *testing.T) {
	reset := errors.New("connection reset")
	dial := &net.OpError{Op: "dial", Err: errors.New("refused")}
	refused := streamError{Code: refusedStream}
	rejected := &core.Rejection{Kind: core.KindBulkhead, Reason: core.ReasonFull}
	all := []string{"GET", "", "HEAD", "OPTIONS", "TRACE", "QUERY", "PUT", "DELETE", "POST", "PATCH", "PROPFIND", "CONNECT"}
	const again = 8 // of them
	for _, c := range []struct {
		name   string
		step   any
		safe   int // attempts of the methods that are repeated by default
		others int
	}{
		{"500", 500, 3, 1}, {"502", 502, 3, 1}, {"503", 503, 3, 1}, {"504", 504, 3, 1}, {"429", 429, 3, 1}, {"408", 408, 3, 1}, {"599", 599, 3, 1},
		{"425", 425, 3, 3},
		{"200", 200, 1, 1}, {"204", 204, 1, 1}, {"304", 304, 1, 1}, {"400", 400, 1, 1}, {"404", 404, 1, 1}, {"409", 409, 1, 1}, {"421", 421, 1, 1},
		{"501", 501, 1, 1}, {"505", 505, 1, 1}, {"511", 511, 1, 1},
		{"reset", reset, 3, 1}, {"EOF", io.EOF, 3, 1}, {"stream", streamError{Code: 2}, 3, 1},
		{"dial", dial, 3, 3}, {"refused stream", refused, 3, 3}, {"rejection", rejected, 3, 3},
	} {
		for i, method := range all {
			s := &script{steps: []any{c.step}}
			r := newRetry(t, retry.Config{Jitter: retry.NoJitter, RetryRejections: true})
			resp, err := ClientRetry(r)(s).RoundTrip(request(t.Context(), orGet(method), nil))
			want := c.others
			if i < again {
				want = c.safe
			}
			equal(t, c.name+" "+method, len(s.requests), want)
			switch wanted := c.step.(type) {
			case int:
				if err != nil || resp.StatusCode != wanted {
					t.Fatalf("%s %s: %v, %v", c.name, method, resp, err)
				}
				equal(t, c.name+" bodies open", s.open, 1)
				if b, err := io.ReadAll(resp.Body); string(b) != "body" || err != nil {
					t.Errorf("%s: body %q, %v", c.name, b, err)
				}
				resp.Body.Close()
			case error:
				if resp != nil || !errors.Is(err, wanted) {
					t.Errorf("%s %s: %v, %v", c.name, method, resp, err)
				}
			}
			equal(t, c.name+" bodies open at the end", s.open, 0)
		}
	}
}

func orGet(method string) string {
	if method == "" {
		return "GET"
	}
	return method
}

// What makes a POST repeatable.
func TestClientRetryOptIn(t *testing.T) {
	yes := func(*http.Request) bool { return true }
	no := func(*http.Request) bool { return false }
	for _, c := range []struct {
		name   string
		method string
		field  string
		values []string
		conf   ClientRetryConfig
		want   int
	}{
		{"none", "POST", "", nil, ClientRetryConfig{}, 1},
		{"key", "POST", fieldIdempotencyKey, []string{"k"}, ClientRetryConfig{}, 3},
		{"old key", "PATCH", fieldXIdempotencyKey, []string{"k"}, ClientRetryConfig{}, 3},
		{"key not sent", "POST", fieldIdempotencyKey, nil, ClientRetryConfig{}, 3},
		{"made", "POST", "", nil, ClientRetryConfig{IdempotencyKeys: true}, 3},
		{"made", "PATCH", "", nil, ClientRetryConfig{IdempotencyKeys: true}, 3},
		{"made for those that need it", "PROPFIND", "", nil, ClientRetryConfig{IdempotencyKeys: true}, 1},
		{"function", "POST", "", nil, ClientRetryConfig{Repeatable: yes}, 3},
		{"function", "GET", "", nil, ClientRetryConfig{Repeatable: no}, 1},
	} {
		s := &script{steps: []any{500}}
		r := request(t.Context(), c.method, nil)
		if c.field != "" {
			r.Header[c.field] = c.values
		}
		before := r.Header.Clone()
		resp, err := ClientRetry(newRetry(t, retry.Config{}), c.conf)(s).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		equal(t, c.name+" "+c.method, len(s.requests), c.want)
		if !maps.EqualFunc(before, r.Header, func(a, b []string) bool { return strings.Join(a, ",") == strings.Join(b, ",") }) {
			t.Errorf("%s: the caller's header became %v", c.name, r.Header)
		}
		key := s.requests[0].Header.Get(fieldIdempotencyKey)
		if c.conf.IdempotencyKeys && c.want == 3 && (len(key) != 34 || key[0] != '"') {
			t.Errorf("key %q", key)
		}
		for _, sent := range s.requests {
			equal(t, c.name+": key", sent.Header.Get(fieldIdempotencyKey), key)
		}
	}
}

// A header that a RoundTripper further in writes to must be neither the caller's nor that of the next attempt.
func TestClientRetryAttemptsShareNoHeader(t *testing.T) {
	seen := 0
	rt := ClientRetry(newRetry(t, retry.Config{}))(trip(func(r *http.Request) (*http.Response, error) {
		seen++
		if seen > 1 {
			equal(t, "left over", r.Header.Get("X-Try"), "")
			r.Header.Set("X-Try", "1")
		}
		return nil, io.ErrUnexpectedEOF
	}))
	r := outgoing(t.Context())
	_, err := rt.RoundTrip(r)
	equal(t, "attempts", seen, 3)
	equal(t, "the caller's", len(r.Header), 0)
	e, ok := errors.AsType[*retry.Error](err)
	if !ok || e.Attempts != 3 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
}

// One attempt returns what the transport returns.
func TestClientRetryLeavesASingleErrorAlone(t *testing.T) {
	plain := errors.New("connection reset")
	for _, mode := range []core.Mode{core.Enforce, core.Shadow, core.Disabled} {
		s := &script{steps: []any{plain}}
		_, err := ClientRetry(newRetry(t, retry.Config{Mode: mode}))(s).RoundTrip(request(t.Context(), "POST", nil))
		if err != plain { //nolint:errorlint // the very error is meant
			t.Errorf("%v: %v", mode, err)
		}
		equal(t, "attempts", len(s.requests), 1)
	}
}

func TestClientRetryModes(t *testing.T) {
	for mode, shadowed := range map[core.Mode]uint64{core.Shadow: 1, core.Disabled: 0} {
		s := &script{steps: []any{503}}
		m := newRetry(t, retry.Config{Mode: mode})
		resp, err := ClientRetry(m)(s).RoundTrip(outgoing(t.Context()))
		if err != nil || resp.StatusCode != 503 {
			t.Fatal(resp, err)
		}
		if b, _ := io.ReadAll(resp.Body); string(b) != "body" {
			t.Errorf("%v: body %q", mode, b)
		}
		resp.Body.Close()
		equal(t, mode.String()+": attempts", len(s.requests), 1)
		equal(t, mode.String()+": shadowed", m.Snapshot().Shadowed, shadowed)
	}
}

// failsafehttp: a Retry-After that is a date was ignored, and the other form not bounded. http.md section 2, Retry-After.
func TestD8_RetryAfterIsHonouredAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := func(d time.Duration, layout string) func() string {
			return func() string { return time.Now().Add(d).UTC().Format(layout) }
		}
		text := func(s string) func() string { return func() string { return s } }
		for _, c := range []struct {
			name     string
			field    func() string
			deadline time.Duration
			attempts int
			least    time.Duration
			most     time.Duration
		}{
			{"seconds", text("2"), time.Hour, 3, 4 * time.Second, 5 * time.Second},
			{"date", in(2*time.Second, http.TimeFormat), time.Hour, 3, 2 * time.Second, 3 * time.Second},
			{"obsolete date", in(2*time.Second, "Monday, 02-Jan-06 15:04:05 GMT"), time.Hour, 3, 2 * time.Second, 3 * time.Second},
			{"asctime", in(2*time.Second, time.ANSIC), time.Hour, 3, 2 * time.Second, 3 * time.Second},
			{"garbage", text("in a while"), time.Hour, 3, 0, time.Second},
			{"negative", text("-5"), time.Hour, 3, 0, time.Second},
			{"past", in(-time.Hour, http.TimeFormat), time.Hour, 3, 0, time.Second},
			{"beyond the policy", text("61"), time.Hour, 1, 0, 0},
			{"beyond all times", text("99999999999999999999"), time.Hour, 1, 0, 0},
			{"beyond the policy, a date", in(time.Hour, http.TimeFormat), 3 * time.Hour, 1, 0, 0},
			{"beyond the deadline", text("2"), time.Second, 1, 0, 0},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
			s := &script{steps: []any{503}, header: http.Header{"Retry-After": {c.field()}}}
			start := time.Now()
			resp, err := ClientRetry(newRetry(t, retry.Config{}))(s).RoundTrip(outgoing(ctx))
			cancel()
			if err != nil || resp.StatusCode != 503 {
				t.Fatalf("%s: %v, %v", c.name, resp, err)
			}
			resp.Body.Close()
			equal(t, c.name+": attempts", len(s.requests), c.attempts)
			if took := time.Since(start); took < c.least || took > c.most {
				t.Errorf("%s: took %v, want %v to %v", c.name, took, c.least, c.most)
			}
			time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // dates have whole seconds
		}
	})
}

// failsafehttp: five calls of five attempts opened 25 connections, since no body was drained or closed.
func TestD6_RetriesUseTheConnectionAgain(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		s := newFaultyServer(t, h2)
		client, counting := clientOf(t, s, ClientRetry(newRetry(t, retry.Config{MaxAttempts: 5}, retry.Hooks{Budget: unlimited(t)})))
		for range 5 {
			resp, err := client.Do(s.request(t.Context(), "GET", "d6", nil, "503"))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		equal(t, "attempts", counting.sent.Load(), 25)
		equal(t, "connections", s.conns.Load(), 1)
		counting.none(t)
	}
}

func unlimited(t testing.TB) *budget.Budget {
	t.Helper()
	b, err := budget.New("test", budget.Config{Rule: budget.Unlimited})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// failsafehttp, go-retryablehttp: a POST was sent again after a 500.
func TestD7_PostIsSentOnce(t *testing.T) {
	s := newFaultyServer(t, false)
	client, counting := clientOf(t, s, ClientRetry(newRetry(t, retry.Config{MaxAttempts: 5})))
	for _, fault := range []string{"500", "503", "reset", "cut"} {
		for range 5 {
			resp, err := client.Do(s.request(t.Context(), "POST", fault, strings.NewReader("pay"), fault))
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}
		equal(t, fault+": executed", s.executions(fault), 5)
	}
	counting.none(t)
}

func TestClientRetryOfUnprocessedPosts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // nobody listens there now
	tr := &http.Transport{}
	counting := &countingTransport{next: tr}
	r := request(t.Context(), "POST", strings.NewReader("pay"))
	r.URL.Host = l.Addr().String()
	_, err = ClientRetry(newRetry(t, retry.Config{}))(counting).RoundTrip(r)
	equal(t, "attempts without a server", counting.sent.Load(), 3)
	if e, ok := errors.AsType[*net.OpError](err); !ok || e.Op != "dial" {
		t.Errorf("error %v", err)
	}
}

// The stream errors of net/http have no exported type. They are found by their shape; a real one shows that they are.
func TestStreamErrorsAreFound(t *testing.T) {
	s := newFaultyServer(t, true)
	client, _ := clientOf(t, s, func(next http.RoundTripper) http.RoundTripper { return next })
	_, err := client.Do(s.request(t.Context(), "GET", "", nil, "reset"))
	if e, ok := errors.AsType[streamError](err); !ok || e.Code == 0 || e.Code == refusedStream || unprocessed(err) {
		t.Errorf("%v, %v from %v", e, ok, err)
	}
}

// http.md section 2, the retry matrix: what can never succeed is not tried again. The errors are those of net/http.
func TestClientRetryHopelessErrors(t *testing.T) {
	plain := newFaultyServer(t, false)
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = quietLog
	secure.StartTLS()
	defer secure.Close()
	for name, change := range map[string]func(*http.Request){
		"certificate":   func(r *http.Request) { r.URL.Scheme, r.URL.Host = "https", secure.Listener.Addr().String() },
		"plain to TLS":  func(r *http.Request) { r.URL.Scheme, r.URL.Host = "https", plain.Listener.Addr().String() },
		"scheme":        func(r *http.Request) { r.URL.Scheme = "ftp" },
		"no host":       func(r *http.Request) { r.URL.Host = "" },
		"header name":   func(r *http.Request) { r.Header["a b"] = []string{"1"} },
		"header value":  func(r *http.Request) { r.Header["A"] = []string{"1\n2"} },
		"method":        func(r *http.Request) { r.Method = "GE T"; r.Header[fieldIdempotencyKey] = nil },
		"trailer":       func(r *http.Request) { r.Trailer = http.Header{"a b": {"1"}} },
		"length":        func(r *http.Request) { r.ContentLength = 5; r.Body = io.NopCloser(strings.NewReader("123")) },
		"no URL":        func(r *http.Request) { r.URL = nil },
		"no header map": func(r *http.Request) { r.Header = nil },
	} {
		tr := &http.Transport{}
		counting := &countingTransport{next: tr}
		r := request(t.Context(), "GET", nil)
		r.URL.Host = plain.Listener.Addr().String()
		change(r)
		_, err := ClientRetry(newRetry(t, retry.Config{}))(counting).RoundTrip(r)
		if err == nil {
			t.Fatal(name + ": no error")
		}
		if n := counting.sent.Load(); n != 1 {
			t.Errorf("%s: %d attempts: %v", name, n, err)
		}
		tr.CloseIdleConnections()
	}
	if !hopeless(errors.New(`Get "/x": stopped after 10 redirects`)) || hopeless(errors.New("dial redirects.example")) {
		t.Error("redirects")
	}
}

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

// 103 is no answer, and the answer after it counts.
func TestClientRetryAfterEarlyHints(t *testing.T) {
	s := newFaultyServer(t, false)
	client, counting := clientOf(t, s, ClientRetry(newRetry(t, retry.Config{})))
	hints := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { hints++; return nil },
	})
	resp, err := client.Do(s.request(ctx, "GET", "early", nil, "early", "early", "ok"))
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	equal(t, "body", string(b), faultyBody)
	equal(t, "hints", hints, 2)
	equal(t, "attempts", counting.sent.Load(), 3)
	counting.none(t)
}

// RFC 8470 section 5.2: who passes a request on that came early passes the 425 back.
func TestClientRetryPassesATooEarlyOn(t *testing.T) {
	s := &script{steps: []any{425}}
	r := outgoing(t.Context())
	r.Header.Set("Early-Data", "1")
	resp, err := ClientRetry(newRetry(t, retry.Config{}))(s).RoundTrip(r)
	if err != nil || resp.StatusCode != 425 || len(s.requests) != 1 {
		t.Errorf("%v, %v after %d attempts", resp, err, len(s.requests))
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

func TestClientRetryTellsTheBudgetOfOverload(t *testing.T) {
	var told []core.Outcome
	hooks := retry.Hooks{Retryable: func(_ context.Context, o core.Outcome, err error) bool {
		if e, ok := errors.AsType[*StatusError](err); !ok || e.Header == nil {
			t.Errorf("told of %v", err)
		}
		told = append(told, o)
		return false
	}}
	for _, status := range []int{429, 503, 408} {
		s := &script{steps: []any{status}}
		resp, err := ClientRetry(newRetry(t, retry.Config{}, hooks))(s).RoundTrip(outgoing(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if len(told) != 3 || told[0] != core.Overload || told[1] != core.Failure || told[2] != core.Failure {
		t.Errorf("outcomes %v", told)
	}
}

// A guard's own no is not asked again, unless the retry is told so.
func TestClientRetryOfRejections(t *testing.T) {
	room := newBulkhead(bulkhead.Config{Limit: 1})
	p, _ := room.Acquire(t.Context(), core.Call{})
	defer p.Done(0, core.Success)
	for rejections, want := range map[bool]uint64{false: 1, true: 3} {
		before := room.Snapshot().Rejected
		rt := ClientRetry(newRetry(t, retry.Config{RetryRejections: rejections}))(ClientBulkhead(room)(&script{steps: []any{200}}))
		_, err := rt.RoundTrip(request(t.Context(), "POST", strings.NewReader("pay")))
		if !errors.Is(err, core.ErrFull) {
			t.Errorf("%v", err)
		}
		equal(t, "asked", room.Snapshot().Rejected-before, want)
	}
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
