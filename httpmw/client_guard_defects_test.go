package httpmw

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
)

// A Classify that panicked kept the permits of all guards, and the connection.
func TestClientClassifyThatPanicsLosesNoPermit(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("classify") }, "Goexit": runtime.Goexit} {
		first, second, third := &ledger{}, &ledger{}, &ledger{}
		rt := ClientGuard(
			Guarded{Guard: first},
			Guarded{Guard: second, GuardConfig: GuardConfig{
				Classify: func(int, http.Header) core.Outcome { end(); return core.Success },
			}},
			Guarded{Guard: third},
		)
		body := &closeSpy{Reader: strings.NewReader("x")}
		v := apart(func() { _, _ = rt(answer200(body)).RoundTrip(outgoing(t.Context())) })
		equal(t, name+" passed on", v != nil, name == "panic")
		equal(t, name+": body closed", body.closed, true)
		for _, g := range []*ledger{first, second, third} {
			g.want(t, name, core.Failure)
		}
	}
}

// A proxy edits the header of a response while another goroutine reads its body to the end. The response was classified
// there: by the edited header, in a race.
func TestClientResponseIsClassifiedBeforeItIsHandedOver(t *testing.T) {
	g := &ledger{}
	rt := ClientGuard(Guarded{Guard: g})(trip(func(*http.Request) (*http.Response, error) {
		h := http.Header{"Retry-After": {"1"}}
		return &http.Response{StatusCode: 503, Header: h, Body: io.NopCloser(strings.NewReader("x"))}, nil
	}))
	resp, err := rt.RoundTrip(outgoing(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, resp.Body)
	}()
	resp.Header.Del("Retry-After")
	<-done
	resp.Body.Close()
	g.want(t, "outcome", core.Overload)
}

// A request that makes a Key panic has not reached the transport: its body must be closed, and no breaker told.
func TestClientKeyThatPanicsSaysNothingOfTheBackend(t *testing.T) {
	g := &ledger{}
	rt := ClientGuard(Guarded{Guard: g}, Guarded{Guard: &ledger{}, GuardConfig: GuardConfig{
		Key: func(*http.Request) core.Key { panic("key") },
	}})(answer200(http.NoBody))
	body := &closeSpy{Reader: strings.NewReader("x")}
	r := outgoing(t.Context())
	r.Body = body
	equal(t, "panic", apart(func() { _, _ = rt.RoundTrip(r) }), any("key"))
	equal(t, "request body closed", body.closed, true)
	g.want(t, "outcome", core.Ignored)
}

// A transport that breaks its contract by returning neither made ours panic, after it had let go of the permits.
func TestClientTransportThatReturnsNothing(t *testing.T) {
	g := &ledger{}
	rt := ClientGuard(Guarded{Guard: g})(trip(func(*http.Request) (*http.Response, error) { return nil, nil }))
	resp, err := (&http.Client{Transport: rt}).Get("http://payments.example/")
	if resp != nil || err == nil || !strings.Contains(err.Error(), "nil *Response") {
		t.Errorf("%v, %v; want the complaint of http.Client", resp, err)
	}
	g.want(t, "outcome", core.Failure)
}

// hung is a backend that sends no header, or sends one and then no body.
func hung(header bool) trip {
	return func(r *http.Request) (*http.Response, error) {
		if header {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: hungBody{r.Context()}}, nil
		}
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
}

type hungBody struct{ ctx context.Context }

func (b hungBody) Read([]byte) (int, error) { <-b.ctx.Done(); return 0, b.ctx.Err() }
func (hungBody) Close() error               { return nil }

// http.Client.Timeout ends the context without a cause of ours. Taken for the caller's deadline, a hung backend behind it
// could never open the breaker. A deadline that the caller brought along stays the caller's.
func TestClientTimeoutOfNetHTTPCountsAndTheCallersDeadlineDoesNot(t *testing.T) {
	for _, c := range []struct {
		name             string
		client, deadline time.Duration
		cause            error
		want             core.Outcome
	}{
		{"Client.Timeout", time.Second, 0, nil, core.Timeout},
		{"Client.Timeout, the caller has more time", time.Second, time.Minute, nil, core.Timeout},
		{"the caller's deadline", 0, time.Second, nil, core.Expired},
		{"the caller's deadline, before Client.Timeout", time.Minute, time.Second, nil, core.Expired},
		{"our timeout", 0, time.Second, core.ErrTimeout, core.Timeout},
	} {
		for _, header := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := &ledger{}
					client := &http.Client{Transport: ClientGuard(Guarded{Guard: g})(hung(header)), Timeout: c.client}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if c.deadline > 0 {
						var stop context.CancelFunc
						ctx, stop = context.WithTimeoutCause(ctx, c.deadline, c.cause)
						defer stop()
					}
					start := time.Now()
					resp, err := client.Do(outgoing(ctx))
					if err == nil {
						_, err = io.ReadAll(resp.Body)
						resp.Body.Close()
					}
					if err == nil {
						t.Error("no error")
					}
					equal(t, "took", time.Since(start).Round(50*time.Millisecond), time.Second)
					g.want(t, "outcome", c.want)
				})
			})
		}
	}
}

// The same with the transport of net/http and a real backend.
func TestHungBackendOpensTheBreakerUnderClientTimeout(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		b := newBreaker(breaker.Config{MinCalls: 3})
		client := s.Client()
		client.Transport = ClientBreaker(b)(client.Transport)
		client.Timeout = 30 * time.Millisecond
		defer client.CloseIdleConnections()
		for range 30 { // three are enough, unless the machine is too busy to run the client's timers
			resp, err := client.Get(s.URL)
			if err == nil {
				resp.Body.Close()
				t.Fatal("answered")
			}
			if errors.Is(err, core.ErrOpen) {
				return
			}
		}
		t.Errorf("not open after %v", b.Snapshot().Outcomes)
	})
}

// pipeBody is a body that a Read blocks on until it is closed, as that of an event stream.
type pipeBody struct{ *io.PipeReader }

func (b pipeBody) Close() error { return b.CloseWithError(errors.New("read on closed response body")) }

// Who stops an event stream closes its body while another goroutine reads: that was a failure of the backend, or not, as
// the two raced.
func TestClientCloseDuringAReadIsNoFailure(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			out, in := io.Pipe()
			defer in.Close()
			g := &ledger{}
			// Slow to close, so that the reader is through before Close returns.
			slow := &slowClose{pipeBody{out}}
			resp, err := ClientGuard(Guarded{Guard: g})(answer200(slow)).RoundTrip(outgoing(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = io.Copy(io.Discard, resp.Body)
			}()
			synctest.Wait()
			resp.Body.Close()
			<-done
			g.want(t, "outcome", core.Success)
		})
	}
}

type slowClose struct{ pipeBody }

func (b *slowClose) Close() error {
	err := b.pipeBody.Close()
	time.Sleep(time.Second)
	return err
}

// upgraded is the body of a 101, as http.Transport makes it.
type upgraded struct {
	io.Reader
	io.Writer
	halfClosed, closed bool
}

func (u *upgraded) CloseWrite() error { u.halfClosed = true; return nil }
func (u *upgraded) Close() error      { u.closed = true; return nil }

// The peer of an upgraded connection may be done while we are not: the slot is held until we close.
func TestClientUpgradeHoldsItsSlotWhenThePeerIsDone(t *testing.T) {
	room := newBulkhead(bulkhead.Config{Limit: 1})
	conn := &upgraded{Reader: strings.NewReader("bye"), Writer: io.Discard}
	rt := ClientBulkhead(room)(trip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 101, Header: http.Header{}, Body: conn}, nil
	}))
	resp, err := rt.RoundTrip(outgoing(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	equal(t, "running after the peer's end", room.Snapshot().Running, 1)
	half, ok := resp.Body.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || !conn.halfClosed {
		t.Error("CloseWrite of the connection is hidden")
	}
	_ = resp.Body.Close()
	equal(t, "running after close", room.Snapshot().Running, 0)
	equal(t, "closed", conn.closed, true)
}

// http://a and https://a are two servers, http://A:80 is one of them.
func TestByHostIsWhereTheRequestGoes(t *testing.T) {
	key := func(url string) core.Key {
		r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		return ByHost(r)
	}
	equal(t, "scheme", key("http://a.example") == key("https://a.example"), false)
	equal(t, "port", key("http://a.example:81") == key("http://a.example"), false)
	equal(t, "host", key("http://a.example") == key("http://b.example"), false)
	equal(t, "written port", key("http://a.example:80") == key("http://a.example"), true)
	equal(t, "written TLS port", key("https://[::1]:443/x") == key("https://[::1]"), true)
	equal(t, "case", key("http://A.example/1") == key("http://a.example/2"), true)
	r := outgoing(t.Context())
	equal(t, "allocations", testing.AllocsPerRun(100, func() { ByHost(r) }), 0)
}

// A transport that panics because our own deadline has passed has timed out; the caller has not canceled.
func TestClientPanicAtOurDeadlineIsATimeout(t *testing.T) {
	ours, cancel := context.WithTimeoutCause(t.Context(), 0, core.ErrTimeout)
	defer cancel()
	g := &ledger{}
	rt := ClientGuard(Guarded{Guard: g})(trip(func(*http.Request) (*http.Response, error) { panic("x") }))
	apart(func() { _, _ = rt.RoundTrip(outgoing(ours)) })
	g.want(t, "outcome", core.Timeout)
}

// What the contract of a RoundTripper asks: the request is as it was, its body closed once, NoBody still NoBody.
func TestClientGuardKeepsTheContractOfARoundTripper(t *testing.T) {
	g := &ledger{}
	r := outgoing(t.Context())
	body := &closeCount{Reader: strings.NewReader("x")}
	r.Body, r.GetBody = body, func() (io.ReadCloser, error) { t.Error("GetBody was called"); return nil, nil }
	before := *r
	rejects := &ledger{rejects: &core.Decision{By: &core.Policy{}, Verdict: core.Verdict{Reason: core.ReasonFull}}}
	resp, err := ClientGuard(Guarded{Guard: g}, Guarded{Guard: rejects})(answer200(http.NoBody)).RoundTrip(r)
	if resp != nil || !errors.Is(err, core.ErrFull) {
		t.Errorf("%v, %v", resp, err)
	}
	equal(t, "closed", body.n, 1)
	equal(t, "body", r.Body, before.Body)
	equal(t, "URL", r.URL, before.URL)
	g.want(t, "rejected", core.Ignored)

	g = &ledger{}
	resp, err = ClientGuard(Guarded{Guard: g})(answer200(http.NoBody)).RoundTrip(outgoing(t.Context()))
	equal(t, "error", err, nil)
	equal(t, "NoBody", resp.Body, io.ReadCloser(http.NoBody))
	g.want(t, "no body", core.Success)

	g = &ledger{}
	both := trip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody}, io.ErrUnexpectedEOF
	})
	_, err = ClientGuard(Guarded{Guard: g})(both).RoundTrip(outgoing(t.Context()))
	equal(t, "error", err, io.ErrUnexpectedEOF)
	g.want(t, "response and error", core.Failure)
}

type closeCount struct {
	io.Reader
	n int
}

func (c *closeCount) Close() error { c.n++; return nil }

// Every hop of a redirect is a call of its own, settled before the next.
func TestClientRedirectsAreCallsOfTheirOwn(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/end" {
				http.Redirect(w, r, "/end", http.StatusTemporaryRedirect)
				return
			}
			_, _ = io.Copy(w, r.Body)
		}))
		room, g := newBulkhead(bulkhead.Config{Limit: 1}), &ledger{}
		client := s.Client()
		client.Transport = ClientGuard(Guarded{Guard: room}, Guarded{Guard: g})(client.Transport)
		resp, err := client.Post(s.URL, "text/plain", strings.NewReader("text"))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		equal(t, "body", string(body), "text")
		equal(t, "slots taken", room.Snapshot().Running, 0)
		g.want(t, "outcomes", core.Success, core.Success)
		client.CloseIdleConnections()
	})
}

// Read after the end, Close twice, Close after an error: the permit is settled once, by what came first.
func TestClientBodyUsedAfterItsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		body io.ReadCloser
		use  func(io.ReadCloser)
		want core.Outcome
	}{
		"read after the end": {io.NopCloser(strings.NewReader("x")), func(b io.ReadCloser) {
			_, _ = io.ReadAll(b)
			_, _ = io.ReadAll(b)
			b.Close()
			b.Close()
		}, core.Success},
		"close after an error": {brokenBody{io.ErrUnexpectedEOF}, func(b io.ReadCloser) {
			_, _ = io.ReadAll(b)
			b.Close()
		}, core.Failure},
		"read after close": {brokenBody{errors.New("read on closed body")}, func(b io.ReadCloser) {
			b.Close()
			_, _ = io.ReadAll(b)
		}, core.Success},
	} {
		g := &ledger{}
		resp, err := ClientGuard(Guarded{Guard: g})(answer200(c.body)).RoundTrip(outgoing(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		c.use(resp.Body)
		g.want(t, name, c.want)
	}
}
