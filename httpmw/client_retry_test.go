package httpmw

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mw-go/mw/core"
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
