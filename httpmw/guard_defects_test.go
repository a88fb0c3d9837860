package httpmw

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/ratelimit"
)

// ledger is a guard that admits everything, or rejects everything with the Decision it holds, and keeps what it is told.
type ledger struct {
	rejects *core.Decision
	by      *core.Policy

	mu       sync.Mutex
	out      int
	outcomes []core.Outcome
}

func (g *ledger) Acquire(context.Context, core.Call) (p core.Permit, d core.Decision) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.rejects != nil {
		d = *g.rejects
		return
	}
	g.out++
	p, d.By = core.NewPermit(g, 0, 1), g.by
	return
}
func (g *ledger) Peek(core.Call) (d core.Decision)      { return d }
func (g *ledger) Restart(uint32, core.Time, core.Time)  {}
func (g *ledger) Progress(uint32, core.Time, core.Time) {}
func (g *ledger) Settle(_ uint32, _, _ core.Time, _ bool, o core.Outcome) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.out--
	g.outcomes = append(g.outcomes, o)
}

func (g *ledger) want(t *testing.T, what string, outcomes ...core.Outcome) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.out != 0 || !slices.Equal(g.outcomes, outcomes) {
		t.Errorf("%s: %d permits out, settled %v, want %v", what, g.out, g.outcomes, outcomes)
	}
}

// apart runs f in a goroutine of its own, which may panic or end itself, and returns what it panicked with.
func apart(f func()) (v any) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { v = recover() }()
		f()
	}()
	<-done
	return v
}

// One Classify that panics, or ends the goroutine, kept the permits of every guard before its own for ever.
func TestClassifyThatPanicsLosesNoPermit(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("classify") }, "Goexit": runtime.Goexit} {
		first, second, third := &ledger{}, &ledger{}, &ledger{}
		h := Guard(
			Guarded{Guard: first},
			Guarded{Guard: second, GuardConfig: GuardConfig{
				Classify: func(int, http.Header) core.Outcome { end(); return core.Success },
			}},
			Guarded{Guard: third},
		)(status(200))
		v := apart(func() { do(h, anyRequest()) })
		equal(t, name+" passed on", v != nil, name == "panic")
		third.want(t, name+": third", core.Success)
		second.want(t, name+": second", core.Failure)
		first.want(t, name+": first", core.Failure)
	}
}

// A request that makes a Key panic has not reached the handler: it must not open the breaker in front of that.
func TestKeyThatPanicsSaysNothingOfTheHandler(t *testing.T) {
	boom := func() { panic("boom") }
	for name, c := range map[string]GuardConfig{
		"Key":  {Key: func(*http.Request) core.Key { boom(); return core.Key{} }},
		"Cost": {Cost: func(*http.Request) uint32 { boom(); return 1 }},
		"Skip": {Skip: func(*http.Request) bool { runtime.Goexit(); return false }},
	} {
		g := &ledger{}
		h := Guard(Guarded{Guard: g}, Guarded{Guard: &ledger{}, GuardConfig: c})(status(200))
		apart(func() { do(h, anyRequest()) })
		g.want(t, name, core.Ignored)
	}
}

// Behind a Timeout, a handler that hung and then gave up in silence was told to the breaker as a success: it never opened.
func TestGuardInsideATimeoutSeesItPass(t *testing.T) {
	wait := func(r *http.Request) { <-r.Context().Done() }
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
		want core.Outcome
	}{
		{"gave up in silence", func(_ http.ResponseWriter, r *http.Request) { wait(r) }, core.Timeout},
		{"announced trailers and gave up", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "Grpc-Status")
			wait(r)
		}, core.Timeout},
		{"was cut in the middle", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "half")
			wait(r)
		}, core.Timeout},
		{"aborted in the middle, as a proxy does", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "half")
			wait(r)
			panic(http.ErrAbortHandler)
		}, core.Timeout},
		{"answered with a 502, as a proxy does", func(w http.ResponseWriter, r *http.Request) {
			wait(r)
			w.WriteHeader(502)
		}, core.Timeout},
		{"was whole before", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "whole")
			wait(r)
		}, core.Success},
		{"answered late, and it stands", func(w http.ResponseWriter, r *http.Request) {
			wait(r)
			_, _ = io.WriteString(w, "late")
		}, core.Success},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &ledger{}
				h := mw.Chain(mw.Must(Timeout(TimeoutConfig{Timeout: time.Second})), Guard(Guarded{Guard: g}))(c.h)
				doAborting(h, anyRequest())
				g.want(t, "outcome", c.want)
			})
		})
	}
}

// The breaker of the recommended order, Timeout outside the guards, with a handler that heeds its context.
func TestHungHandlerOpensTheBreakerBehindATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(breaker.Config{MinCalls: 3})
		h := mw.Chain(mw.Must(Timeout(TimeoutConfig{Timeout: time.Second})), Breaker(b))(http.HandlerFunc(
			func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		for range 3 {
			equal(t, "status", do(h, anyRequest()).Code, 503)
		}
		equal(t, "state", b.State(), breaker.Open)
	})
}

// A client that left, and a handler that noticed and said nothing, is no success.
func TestSilenceForAClientThatLeftIsCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g := &ledger{}
	do(Guard(Guarded{Guard: g})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), anyRequest().WithContext(ctx))
	g.want(t, "outcome", core.Canceled)
}

var errDown = &core.Rejection{Kind: core.KindBreaker, Policy: "db", Reason: core.ReasonOpen}

// WriteError in a goroutine that http.TimeoutHandler has left behind wrote to the record of a request that was over. The
// race detector judges.
func TestWriteErrorLeavesTheRecordOfAnotherGoroutineAlone(t *testing.T) {
	for range 20 {
		done := make(chan struct{})
		h := Guard(Guarded{Guard: &ledger{}})(http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(done)
			<-r.Context().Done()
			WriteError(w, r, errDown)
		}), time.Millisecond, ""))
		do(h, anyRequest())
		<-done
	}
}

// The answer to a subrequest is not the answer to the request, although they share a context.
func TestWriteErrorToASubrequestIsNotTheAnswer(t *testing.T) {
	g := &ledger{}
	h := Guard(Guarded{Guard: g})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		WriteError(httptest.NewRecorder(), r, errDown)
		w.WriteHeader(500)
	}))
	do(h, anyRequest())
	g.want(t, "outcome", core.Failure)
}

func TestWriteErrorAfterTheResponseBeganChangesNothing(t *testing.T) {
	for name, between := range map[string]layerFunc{
		"our writer": mw.Chain[http.Handler](),
		"a foreign writer": func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(passing{w}, r) })
		},
	} {
		g := &ledger{}
		h := mw.Chain(Guard(Guarded{Guard: g}), between)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "begun")
			WriteError(w, r, errDown)
		}))
		w := do(h, anyRequest())
		equal(t, name+": body", w.Body.String(), "begun")
		g.want(t, name, core.Success)
	}
}

// passing is a foreign writer that changes nothing and unwraps.
type passing struct{ http.ResponseWriter }

func (p passing) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// A middleware outside that announces a trailer, Server-Timing for one, made every rejection an empty 200.
func TestRejectionUnderAnAnnouncedTrailerIsNoSuccess(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		h := RateLimit(newEmptyLimit(t))(status(200))
		s := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "Server-Timing")
			h.ServeHTTP(w, r)
			w.Header().Set("Server-Timing", "total;dur=1")
		}))
		resp, body, err := get(t, s, "/")
		equal(t, "status", resp.StatusCode, 429)
		equal(t, "problem", strings.Contains(body, "quota-exceeded"), true)
		equal(t, "trailer", resp.Trailer.Get("Server-Timing"), "total;dur=1")
		equal(t, "error", err, nil)
	})
}

// A guarded part of a response that has begun cannot be answered for: the response must not end as if it were whole.
func TestRejectionAfterTheResponseBeganIsVisible(t *testing.T) {
	g := &ledger{}
	part := RateLimit(newEmptyLimit(t))(status(200))
	h := mw.Chain(Recover(RecoverConfig{Logger: quiet}), Guard(Guarded{Guard: g}))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "head")
		part.ServeHTTP(w, r)
	}))
	_, aborted := doAborting(h, anyRequest())
	equal(t, "aborted", aborted, true)
	g.want(t, "the guard outside", core.Ignored)
}

// The same where a writer of another package stands in between, so that the guard has an exchange of its own.
func TestRejectionAfterAForeignWriterBeganIsVisible(t *testing.T) {
	part := RateLimit(newEmptyLimit(t))(status(200))
	h := RequestID()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "head")
		part.ServeHTTP(passing{w}, r)
	}))
	w, aborted := doAborting(h, anyRequest())
	equal(t, "aborted", aborted, true)
	equal(t, "body", w.Body.String(), "head")
}

// What a middleware outside or an upstream said of another try is not what a guard says that knows nothing of it.
func TestRetryAfterOfSomebodyElseDoesNotStay(t *testing.T) {
	for name, d := range map[string]core.Decision{
		"unknown": {Verdict: core.Verdict{Reason: core.ReasonFull}},
		"never":   {Verdict: core.Verdict{Reason: core.ReasonTooCostly}, RetryAfter: core.Never},
	} {
		d.By = &core.Policy{Kind: core.KindBulkhead, Name: "room"}
		h := Guard(Guarded{Guard: &ledger{rejects: &d}})(status(200))
		w := httptest.NewRecorder()
		w.Header().Set("Retry-After", "1")
		h.ServeHTTP(w, anyRequest())
		equal(t, name+": guard", w.Header().Get("Retry-After"), "")

		w = httptest.NewRecorder()
		w.Header().Set("Retry-After", "1")
		WriteError(w, anyRequest(), d.Err())
		equal(t, name+": WriteError", w.Header().Get("Retry-After"), "")
	}
}

// The policy field was one slice for all responses: who changed its element changed it for everybody, in a race.
func TestHandlerMayChangeTheFieldsInPlace(t *testing.T) {
	h := RateLimit(newLimit(ratelimit.Config{Limit: 10}))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, values := range w.Header() {
			for i := range values {
				values[i] = "mine"
			}
		}
		w.Header()["Ratelimit"] = append(w.Header()["Ratelimit"], "more")
	}))
	for range 2 {
		equal(t, "policy", do(h, anyRequest()).Header().Get("RateLimit-Policy"), "mine")
	}
	clean := RateLimit(newLimit(ratelimit.Config{Limit: 10}))(status(200))
	equal(t, "policy of another", do(clean, anyRequest()).Header().Get("RateLimit-Policy"), `"login";q=10;w=1`)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { do(h, anyRequest()) })
	}
	wg.Wait()
}

// A guard of the user's own may be a rate limit without a period, and its name is any string.
func TestFieldsOfAnOwnRateLimit(t *testing.T) {
	for _, c := range []struct {
		p             core.Policy
		limit, policy string
	}{
		{core.Policy{Name: "a"}, "", ""},
		{core.Policy{Name: "a", Limit: 5}, "", ""},
		{core.Policy{Name: "a", Period: time.Second}, "", ""},
		{core.Policy{Name: `a"b\c`, Limit: 5, Burst: 5, Period: time.Second}, `"a\"b\\c";r=0;t=1`, `"a\"b\\c";q=5;w=1`},
		{core.Policy{Name: "tenant\r\nSet-Cookie: x", Limit: 5, Burst: 5, Period: time.Second}, "", ""},
		{core.Policy{Name: "täglich", Limit: 5, Burst: 5, Period: time.Second}, "", ""},
		{core.Policy{Name: "a", Limit: 1, Burst: 1e9, Period: 24 * time.Hour}, `"a";r=0`, `"a";q=1;w=86400`},
	} {
		c.p.Kind = core.KindRateLimit
		w := do(Guard(Guarded{Guard: &ledger{by: &c.p}})(status(200)), anyRequest())
		equal(t, c.p.Name+" status", w.Code, 200)
		equal(t, c.p.Name+" RateLimit", w.Header().Get("RateLimit"), c.limit)
		equal(t, c.p.Name+" RateLimit-Policy", w.Header().Get("RateLimit-Policy"), c.policy)
	}
}

// A quota of whole seconds is the configured one, to the last token.
func TestPolicyFieldDoesNotRoundAWholeQuota(t *testing.T) {
	for limit := int64(1); limit < 1<<30; limit += limit/97 + 1 {
		for _, seconds := range []int{1, 3, 60, 3600, 86399, 86400} {
			for _, l := range []int64{limit, limit | (limit - 1), 1<<29 - limit%1000} {
				p := core.Policy{Kind: core.KindRateLimit, Limit: l, Period: time.Duration(seconds) * time.Second}
				field := policyField(&p, `"p"`)
				if q := strings.TrimPrefix(field, `"p";q=`); !strings.HasPrefix(q, strconv.FormatInt(l, 10)+";") {
					t.Fatalf("%d in %v: %s", l, p.Period, field)
				}
			}
		}
	}
}

func TestRejectionWithoutAPolicyIsAnswered(t *testing.T) {
	h := Guard(Guarded{Guard: &ledger{rejects: &core.Decision{Verdict: core.Verdict{Reason: core.ReasonFull}}}})(status(200))
	equal(t, "status", do(h, anyRequest()).Code, 503)
}

// `b, _ := breaker.New(...)` leaves a nil *Breaker, which is no nil Guard: every request panicked.
func TestNilPointerInAGuardIsRefusedAtWiring(t *testing.T) {
	for name, f := range map[string]func(){
		"server": func() { Breaker((*breaker.Breaker)(nil)) },
		"client": func() { ClientBulkhead((*bulkhead.Bulkhead)(nil)) },
	} {
		equal(t, name+" panics", apart(f) != nil, true)
	}
}

// Guarded parts of one response, one after the other: each was judged at the time at which the request came, so
// a limit never refilled, and ended where the first had ended.
func TestGuardedPartsOfOneResponseHaveTimesOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := newLogSink()
		limit, spy := newLimit(ratelimit.Config{Limit: 1}), &spyGuard{}
		part := Guard(Guarded{Guard: limit}, Guarded{Guard: spy})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "part\n")
			time.Sleep(time.Second)
		}))
		start := core.Now()
		h := AccessLog(AccessLogConfig{Logger: slog.New(logs)})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range 3 {
				part.ServeHTTP(w, r)
				time.Sleep(time.Minute)
			}
			equal(t, "fields", len(w.Header()["Ratelimit"]), 1)
		}))
		w, aborted := doAborting(h, anyRequest())
		equal(t, "aborted", aborted, false)
		equal(t, "body", w.Body.String(), "part\npart\npart\n")
		equal(t, "end of the last part", spy.settled.Sub(start), 2*time.Minute+3*time.Second)
	})
}

// Now is 0 if a guard needed no clock. Where clocks run below zero, as in a test bubble, that was taken for a long wait.
func TestDecisionWithoutATimeIsNoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := &spyGuard{}
		list := []Guarded{{Guard: first}, {Guard: &ledger{}}}
		do(Guard(list...)(status(200)), anyRequest())
		equal(t, "restarted", first.restarted, 0)
		_, _ = ClientGuard(list...)(answer200(http.NoBody)).RoundTrip(outgoing(t.Context()))
		equal(t, "restarted, client", first.restarted, 0)
	})
}

// halfOpen returns a breaker that takes its next call for the one probe that decides.
func halfOpen() *breaker.Breaker {
	b := newBreaker(breaker.Config{Probes: 1, OpenFor: time.Second, ProbeTimeout: 2 * time.Second, Jitter: core.None})
	b.Trip(time.Second)
	time.Sleep(time.Second)
	return b
}

// A WebSocket lives longer than a probe's lease: the breaker took the probe for lost and opened again.
func TestHijackSettlesAProbe(t *testing.T) {
	for name, hijack := range map[string]func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"assertion": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"controller": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := halfOpen()
				h := Breaker(b)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					if _, _, err := hijack(w); err != nil {
						t.Error(err)
					}
					equal(t, "state after the upgrade", b.State(), breaker.Closed)
					time.Sleep(time.Hour)
				}))
				h.ServeHTTP(hijackable{httptest.NewRecorder()}, anyRequest())
				only(t, b, core.Success)
			})
		})
	}
}

type hijackable struct{ *httptest.ResponseRecorder }

func (hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }

// A copy whose source yields nothing but an error leaves the status open: the 500 that follows is the probe's answer. It
// closed the breaker.
func TestCopyThatYieldsNothingDoesNotPassAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen()
		h := Breaker(b)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if _, err := w.(io.ReaderFrom).ReadFrom(brokenBody{errors.New("upstream is gone")}); err != nil {
				w.WriteHeader(500)
			}
		}))
		w := &copySpy{ResponseRecorder: httptest.NewRecorder(), src: new(io.Reader)}
		h.ServeHTTP(w, anyRequest())
		equal(t, "status", w.Code, 500)
		equal(t, "state", b.State(), breaker.Open)
	})
}

// And one that does yield something arrives whole, and passes the probe at its first byte.
func TestCopyPassesAProbeAtItsFirstByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, size := range []int{1, 511, 512, 513, 100_000} {
			b := halfOpen()
			text := bytes.Repeat([]byte("x"), size)
			first := &hookReader{Reader: bytes.NewReader(text), later: func() {
				equal(t, "state after the first byte", b.State(), breaker.Closed)
			}}
			h := Breaker(b)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				n, err := w.(io.ReaderFrom).ReadFrom(first)
				equal(t, "copied", n, int64(size))
				equal(t, "error", err, nil)
			}))
			w := &copySpy{ResponseRecorder: httptest.NewRecorder(), src: new(io.Reader)}
			h.ServeHTTP(w, anyRequest())
			equal(t, "body", w.Body.Len(), size)
			only(t, b, core.Success)
		}
	})
}

// hookReader calls later before every Read beyond the first 512 bytes.
type hookReader struct {
	io.Reader
	read  int
	later func()
}

func (r *hookReader) Read(p []byte) (int, error) {
	if r.read >= 512 {
		r.later()
	}
	n, err := r.Reader.Read(p)
	r.read += n
	return n, err
}

// A rejection further in is no progress of ours, whatever an own Classify makes of its status.
func TestRejectionFurtherInIsNoProgress(t *testing.T) {
	spy := &spyGuard{}
	h := mw.Chain(
		Guard(Guarded{Guard: spy, GuardConfig: GuardConfig{Classify: func(int, http.Header) core.Outcome { return core.Success }}}),
		RateLimit(newEmptyLimit(t)),
	)(status(200))
	equal(t, "status", do(h, anyRequest()).Code, 429)
	equal(t, "progress", spy.progressed, 0)
}

func TestCeilSecondsHasNoEnd(t *testing.T) {
	equal(t, "just below Never", ceilSeconds(core.Never-1), int64(math.MaxInt64/1_000_000_000+1))
	equal(t, "nothing", ceilSeconds(0), 1)
	equal(t, "one more nanosecond", ceilSeconds(time.Second+1), 2)
}

// Everything at once: modes and limits change while requests of every kind come and go, and nothing is left behind.
func TestGuardLosesNothingUnderStress(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		room := newBulkhead(bulkhead.Config{Limit: 4, Queue: 4, MaxWait: time.Second})
		b := newBreaker(breaker.Config{MinCalls: 5, OpenFor: time.Millisecond})
		limit := newLimit(ratelimit.Config{Limit: 1000, MaxWait: 10 * time.Millisecond})
		h := mw.Chain(
			Recover(RecoverConfig{Logger: quiet}),
			mw.Must(Timeout(TimeoutConfig{Timeout: hang})),
			Guard(Guarded{Guard: limit}, Guarded{Guard: b}, Guarded{Guard: room}),
		)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Query().Get("do") {
			case "panic":
				panic("x")
			case "goexit":
				runtime.Goexit()
			case "half":
				_, _ = io.WriteString(w, "half")
				panic(http.ErrAbortHandler)
			case "500":
				w.WriteHeader(500)
			case "stay":
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done() // until the client has left
			}
		}))
		s := serve(h)
		var wg sync.WaitGroup
		for g := range 6 {
			wg.Go(func() {
				kinds := []string{"ok", "panic", "half", "500", "stay", "goexit"}
				for i := range 60 {
					kind := kinds[(g+i)%len(kinds)]
					ctx, cancel := context.WithCancel(t.Context())
					r, _ := http.NewRequestWithContext(ctx, "GET", s.URL+"/?do="+kind, nil)
					if resp, err := s.Client().Do(r); err == nil {
						if kind != "stay" {
							_, _ = io.Copy(io.Discard, resp.Body)
						}
						cancel()
						resp.Body.Close()
					}
					cancel()
				}
			})
		}
		modes := []core.Mode{core.Shadow, core.Disabled, core.Enforce}
		for i := range 60 {
			room.Tune(bulkhead.Config{Limit: 1 + i%5, Queue: 4, MaxWait: time.Second, Mode: modes[i%3]})
			limit.Tune(ratelimit.Config{Limit: 10 + int64(i)*100, MaxWait: 10 * time.Millisecond, Mode: modes[(i+1)%3]})
			b.Tune(breaker.Config{MinCalls: 5, OpenFor: time.Millisecond, Mode: modes[(i+2)%3]})
			get(t, s, "/")
		}
		wg.Wait()
		s.Close() // waits for the handlers
		equal(t, "slots taken", room.Snapshot().Running, 0)
		equal(t, "waiting", room.Snapshot().Waiting, 0)
	})
}
