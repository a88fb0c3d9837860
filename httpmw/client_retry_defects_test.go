package httpmw

import (
	"context"
	"errors"
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

	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/retry"
)

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
