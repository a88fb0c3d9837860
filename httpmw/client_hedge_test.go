package httpmw

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/retry"
)

func newHedge(t testing.TB, c hedge.Config, h ...hedge.Hooks) *hedge.Hedge {
	t.Helper()
	if c.Delay == 0 {
		c.Delay = 10 * time.Millisecond
	}
	if c.Burst == 0 {
		c.Burst = 1000
	}
	m, err := hedge.New("test", c, atMostOne("hooks", h))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// lane answers attempt n with lanes[n-1], each in its own time; bodies are counted.
type lane struct {
	after time.Duration
	does  any // a status or an error
}

type lanes struct {
	mu    sync.Mutex
	lanes []lane
	sent  []*http.Request
	open  int
}

func (l *lanes) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	l.sent = append(l.sent, r)
	mine := l.lanes[min(len(l.sent), len(l.lanes))-1]
	l.mu.Unlock()
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	select {
	case <-time.After(mine.after):
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
	if err, ok := mine.does.(error); ok {
		return nil, err
	}
	l.mu.Lock()
	l.open++
	l.mu.Unlock()
	return &http.Response{
		StatusCode: mine.does.(int), Header: http.Header{}, ContentLength: -1, Request: r,
		Body: &laneBody{Reader: strings.NewReader("body"), l: l, ctx: r.Context()},
	}, nil
}

type laneBody struct {
	io.Reader
	l    *lanes
	ctx  context.Context
	once sync.Once
}

func (b *laneBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.Reader.Read(p)
}

func (b *laneBody) Close() error {
	b.once.Do(func() { b.l.mu.Lock(); b.l.open--; b.l.mu.Unlock() })
	return nil
}

func TestClientHedgeAnswers(t *testing.T) {
	const ms = time.Millisecond
	down := errors.New("down")
	for _, c := range []struct {
		name   string
		lanes  []lane
		status int
		err    error
		sent   int
		resend int
		took   time.Duration
	}{
		{"fast", []lane{{5 * ms, 200}}, 200, nil, 1, 0, 5 * ms},
		{"slow", []lane{{time.Hour, 200}, {5 * ms, 200}}, 200, nil, 2, 1, 15 * ms},
		{"slow, and the first wins", []lane{{20 * ms, 200}, {time.Hour, 200}}, 200, nil, 2, 0, 20 * ms},
		{"failed", []lane{{5 * ms, down}, {5 * ms, 200}}, 200, nil, 2, 1, 10 * ms},
		{"500 and better", []lane{{5 * ms, 500}, {5 * ms, 200}}, 200, nil, 2, 1, 10 * ms},
		{"the extra one fails", []lane{{30 * ms, 200}, {5 * ms, 500}}, 200, nil, 2, 0, 30 * ms},
		{"both fail", []lane{{5 * ms, 500}, {5 * ms, 502}}, 502, nil, 2, 1, 10 * ms},
		{"both fail, one without an answer", []lane{{5 * ms, 500}, {5 * ms, down}}, 500, nil, 2, 0, 10 * ms},
		{"both without an answer", []lane{{5 * ms, down}, {5 * ms, down}}, 0, down, 2, 0, 10 * ms},
		{"overload", []lane{{5 * ms, 429}}, 429, nil, 1, 0, 5 * ms},
		{"hopeless", []lane{{5 * ms, 501}}, 501, nil, 1, 0, 5 * ms},
		{"404 is an answer", []lane{{5 * ms, 404}}, 404, nil, 1, 0, 5 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &lanes{lanes: c.lanes}
				start := time.Now()
				resp, err := ClientHedge(newHedge(t, hedge.Config{}))(l).RoundTrip(outgoing(t.Context()))
				equal(t, "took", time.Since(start), c.took)
				equal(t, "sent", len(l.sent), c.sent)
				if c.err != nil {
					if resp != nil || !errors.Is(err, c.err) {
						t.Errorf("%v, %v", resp, err)
					}
					return
				}
				if err != nil || resp.StatusCode != c.status {
					t.Fatalf("%v, %v", resp, err)
				}
				equal(t, "resends", ResendCount(resp.Request.Context()), c.resend)
				time.Sleep(time.Second) // whatever ends contexts has done so by now
				synctest.Wait()
				l.mu.Lock()
				equal(t, "open", l.open, 1)
				l.mu.Unlock()
				if b, err := io.ReadAll(resp.Body); string(b) != "body" || err != nil {
					t.Errorf("body %q, %v", b, err)
				}
				resp.Body.Close()
				equal(t, "open at the end", l.open, 0)
				for _, r := range l.sent {
					equal(t, "context ended", r.Context().Err() != nil, true)
				}
			})
		})
	}
}

// http.md section 2, client hedge of POST: failsafehttp sent it twice. The server's ledger says.
func TestClientHedgeSendsWritesOnce(t *testing.T) {
	var mu sync.Mutex
	ledger := map[string]int{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		ledger[r.Method+r.Header.Get("X-Id")]++
		mu.Unlock()
		time.Sleep(30 * time.Millisecond)
	}))
	defer s.Close()
	send := func(method, id string, conf ClientHedgeConfig) {
		client := &http.Client{Transport: ClientHedge(newHedge(t, hedge.Config{Delay: time.Millisecond}), conf)(s.Client().Transport)}
		r, _ := http.NewRequest(method, s.URL, strings.NewReader("x"))
		r.Header.Set("X-Id", id)
		r.Header.Set(fieldIdempotencyKey, "k")
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	for _, method := range []string{"POST", "PATCH", "PUT", "DELETE", "PROPFIND"} {
		send(method, "", ClientHedgeConfig{})
	}
	send("POST", "writes", ClientHedgeConfig{Writes: true})
	send("PUT", "writes", ClientHedgeConfig{Writes: true})
	send("GET", "", ClientHedgeConfig{})
	send("GET", "skip", ClientHedgeConfig{Skip: func(*http.Request) bool { return true }})
	s.Close() // waits for the handlers
	for key, want := range map[string]int{
		"POST": 1, "PATCH": 1, "PUT": 1, "DELETE": 1, "PROPFIND": 1, "POSTwrites": 1, "PUTwrites": 2, "GET": 2, "GETskip": 1,
	} {
		equal(t, key, ledger[key], want)
	}
}

// go-resty 1197: the hedge ended the winner's context as it returned, and 3,965 of 524,288 bytes arrived.
func TestClientHedgeWinnersBodyIsWhole(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		big := bytes.Repeat([]byte("x"), 512<<10)
		var calls atomic.Int64
		s := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1)%2 == 1 {
				<-r.Context().Done() // the first attempt of each call; it ends when it has lost
				return
			}
			_, _ = w.Write(big)
		}))
		counting := &countingTransport{next: s.Client().Transport}
		client := &http.Client{Transport: ClientHedge(newHedge(t, hedge.Config{Delay: time.Millisecond}))(counting)}
		for range 5 {
			resp, err := client.Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
			n, err := io.Copy(io.Discard, resp.Body)
			equal(t, "bytes", n, int64(len(big)))
			if err != nil {
				t.Error(err)
			}
			resp.Body.Close()
		}
		equal(t, "sent", counting.sent.Load(), 10)
		counting.none(t)
		client.CloseIdleConnections()
	})
}

func TestClientHedgeBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan string, 2)
		rt := ClientHedge(newHedge(t, hedge.Config{}))(trip(func(r *http.Request) (*http.Response, error) {
			b, _ := io.ReadAll(r.Body)
			r.Body.Close()
			got <- string(b)
			time.Sleep(time.Second)
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
		}))
		if _, err := rt.RoundTrip(request(t.Context(), "QUERY", strings.NewReader("select"))); err != nil {
			t.Fatal(err)
		}
		equal(t, "first", <-got, "select")
		equal(t, "second", <-got, "select")
		body := &bare{Reader: strings.NewReader("select")}
		if _, err := rt.RoundTrip(request(t.Context(), "QUERY", body)); err != nil {
			t.Fatal(err)
		}
		equal(t, "without GetBody", <-got, "select")
		equal(t, "others", len(got), 0)
		equal(t, "closed", body.closed.Load(), 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		body = &bare{Reader: strings.NewReader("select")}
		if _, err := rt.RoundTrip(request(ctx, "QUERY", body)); !errors.Is(err, context.Canceled) {
			t.Errorf("done before: %v", err)
		}
		equal(t, "closed although it was not sent", body.closed.Load(), 1)
		time.Sleep(time.Minute)
	})
}

func TestClientHedgeEndsWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		l := &lanes{lanes: []lane{{time.Hour, 200}}}
		_, err := ClientHedge(newHedge(t, hedge.Config{}))(l).RoundTrip(outgoing(ctx))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		synctest.Wait()
		for _, r := range l.sent {
			if d, ok := r.Context().Deadline(); !ok || d.After(time.Now()) {
				t.Errorf("the attempt does not know the deadline: %v, %v", d, ok)
			}
		}
		// And the body of the winner too.
		ctx, leave := context.WithCancel(t.Context())
		l = &lanes{lanes: []lane{{time.Hour, 200}, {0, 200}}}
		resp, err := ClientHedge(newHedge(t, hedge.Config{}))(l).RoundTrip(outgoing(ctx))
		if err != nil {
			t.Fatal(err)
		}
		leave()
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
			t.Errorf("body: %v", err)
		}
		resp.Body.Close()
		equal(t, "open", l.open, 0)
	})
}

// Retries and hedges pay from one budget.
func TestClientHedgeSharesTheBudgetOfRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := budget.New("shared", budget.Config{Size: 4})
		if err != nil {
			t.Fatal(err)
		}
		l := &lanes{lanes: []lane{{time.Second, 503}}}
		rt := ClientRetry(newRetry(t, retry.Config{MaxAttempts: 10}, retry.Hooks{Budget: b}))(
			ClientHedge(newHedge(t, hedge.Config{}, hedge.Hooks{Budget: b}))(l))
		for range 10 {
			resp, err := rt.RoundTrip(outgoing(t.Context()))
			if err != nil || resp.StatusCode != 503 {
				t.Fatal(resp, err)
			}
			resp.Body.Close()
		}
		if extra := len(l.sent) - 10; extra < 3 || extra > 4 {
			t.Errorf("%d extra attempts for a budget of 4", extra)
		}
		equal(t, "open", l.open, 0)
	})
}

func TestClientHedgePassesOnWhatEndsTheAttempt(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("trip") }, "Goexit": runtime.Goexit} {
		for _, second := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				l := &lanes{lanes: []lane{{20 * time.Millisecond, 500}}}
				rt := ClientHedge(newHedge(t, hedge.Config{MaxExtra: 2}))(trip(func(r *http.Request) (*http.Response, error) {
					if (ResendCount(r.Context()) == 1) == second {
						time.Sleep(15 * time.Millisecond)
						end()
					}
					return l.RoundTrip(r)
				}))
				v := apart(func() { _, _ = rt.RoundTrip(outgoing(t.Context())) })
				equal(t, name+" passed on", v != nil, name == "panic")
				time.Sleep(time.Minute)
				synctest.Wait()
				equal(t, name+": open", l.open, 0)
				for _, r := range l.sent {
					equal(t, name+": context ended", r.Context().Err() != nil, true)
				}
			})
		}
	}
}

func TestClientHedgeModes(t *testing.T) {
	for _, mode := range []core.Mode{core.Shadow, core.Disabled} {
		synctest.Test(t, func(t *testing.T) {
			l := &lanes{lanes: []lane{{time.Second, 503}}}
			r := outgoing(t.Context())
			resp, err := ClientHedge(newHedge(t, hedge.Config{Mode: mode}))(l).RoundTrip(r)
			if err != nil || resp.StatusCode != 503 || len(l.sent) != 1 || l.sent[0] != r {
				t.Fatalf("%v, %v, %d sent", resp, err, len(l.sent))
			}
			resp.Body.Close()
			equal(t, "open", l.open, 0)
		})
	}
}

func TestClientHedgeWiring(t *testing.T) {
	rt := ClientHedge(newHedge(t, hedge.Config{}))(http.DefaultTransport)
	if named, ok := rt.(interface{ Layer() string }); !ok || named.Layer() != "ClientHedge" {
		t.Errorf("%T", rt)
	}
	equal(t, "nil Hedge", apart(func() { ClientHedge(nil) }) != nil, true)
}

// An attempt that does not heed that it has lost brings its response later, when nobody waits for it.
func TestClientHedgeClosesWhatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int64
		rt := ClientHedge(newHedge(t, hedge.Config{}))(trip(func(r *http.Request) (*http.Response, error) {
			if ResendCount(r.Context()) == 0 {
				time.Sleep(time.Minute)
			}
			open.Add(1)
			body := &countedBody{ReadCloser: io.NopCloser(strings.NewReader("body")), open: &open}
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body}, nil
		}))
		resp, err := rt.RoundTrip(outgoing(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		time.Sleep(time.Hour)
		synctest.Wait()
		equal(t, "open", open.Load(), 0)
	})
}
