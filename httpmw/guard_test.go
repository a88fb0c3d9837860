package httpmw

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
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

func newBreaker(c breaker.Config) *breaker.Breaker {
	return mw.Must(breaker.New("payments", c, core.Hooks{}))
}

func newLimit(c ratelimit.Config) *ratelimit.Limiter {
	return mw.Must(ratelimit.New("login", c, core.Hooks{}))
}

func newBulkhead(c bulkhead.Config) *bulkhead.Bulkhead {
	return mw.Must(bulkhead.New("shop", c, core.Hooks{}))
}

func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

func anyRequest() *http.Request { return httptest.NewRequest("GET", "/", nil) }

// The server adapter of failsafe-go always reports success: its breaker stays closed after ten 500s, and an open one
// answers 429 without Retry-After.
func TestD10_ServerBreakerSeesStatusesAndAnswers503(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(breaker.Config{MinCalls: 10, OpenFor: 4 * time.Second, Jitter: core.None})
		h := Breaker(b)(status(http.StatusInternalServerError))
		for range 10 {
			equal(t, "status", do(h, anyRequest()).Code, http.StatusInternalServerError)
		}
		equal(t, "state", b.State(), breaker.Open)
		time.Sleep(1500 * time.Millisecond)
		w := do(h, anyRequest())
		equal(t, "status", w.Code, http.StatusServiceUnavailable)
		equal(t, "Retry-After", w.Header().Get("Retry-After"), "3") // 2.5 s are left, rounded up
		equal(t, "Content-Type", w.Header().Get("Content-Type"), "application/problem+json")
		time.Sleep(2500 * time.Millisecond)
		h = Breaker(b)(status(http.StatusOK))
		for range b.Config().ProbeSuccesses {
			equal(t, "status", do(h, anyRequest()).Code, http.StatusOK)
		}
		equal(t, "state", b.State(), breaker.Closed)
	})
}

// failsafe-go never gives back the permit of a half-open probe whose handler panicked, and so rejects for ever; the
// same panic leaks a slot of its bulkhead (rows D1 and D2, seen through a server).
func TestD01_PanicInProbeGivesThePermitBackThroughTheChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(breaker.Config{Probes: 1, OpenFor: time.Second, Jitter: core.None})
		room := newBulkhead(bulkhead.Config{Limit: 1})
		b.Trip(time.Second)
		panics := true
		h := mw.Chain(Recover(RecoverConfig{Logger: quiet}), Guard(Guarded{Guard: b}, Guarded{Guard: room}))(
			http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				if panics {
					panic("probe")
				}
			}))
		time.Sleep(time.Second)
		equal(t, "probe", do(h, anyRequest()).Code, http.StatusInternalServerError)
		equal(t, "reopened", b.State(), breaker.Open)
		equal(t, "slots taken", room.Snapshot().Running, 0)
		panics = false
		time.Sleep(time.Second)
		equal(t, "next probe", do(h, anyRequest()).Code, http.StatusOK)
		equal(t, "closed", b.State(), breaker.Closed)
	})
}

func TestGuardSettlesWhateverTheHandlerDoes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	timedOut := func(h http.Handler) http.Handler {
		return mw.Must(Timeout(TimeoutConfig{Timeout: time.Millisecond}))(h)
	}
	type handler = http.HandlerFunc
	for _, c := range []struct {
		name string
		h    http.Handler
		ctx  context.Context
		want core.Outcome
	}{
		{"200", status(200), nil, core.Success},
		{"404", status(404), nil, core.Success},
		{"429", status(429), nil, core.Overload},
		{"500", status(500), nil, core.Failure},
		{"bare 503", status(503), nil, core.Failure},
		{"503 with Retry-After", handler(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(503)
		}), nil, core.Overload},
		{"silence is 200", handler(func(http.ResponseWriter, *http.Request) {}), nil, core.Success},
		{"500 to a client that has gone", status(500), ctx, core.Canceled},
		{"200 to a client that has gone", status(200), ctx, core.Success},
		{"panic", handler(func(http.ResponseWriter, *http.Request) { panic("x") }), nil, core.Failure},
		{"panic after the client has gone", handler(func(http.ResponseWriter, *http.Request) { panic("x") }), ctx, core.Canceled},
		{"abort", handler(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), nil, core.Failure},
		{"Goexit", handler(func(http.ResponseWriter, *http.Request) { runtime.Goexit() }), nil, core.Failure},
		{"our own timeout further in", timedOut(handler(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })), nil, core.Timeout},
		{"our own timeout further in, after the first byte", timedOut(handler(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "half")
			<-r.Context().Done()
		})), nil, core.Timeout},
		{"rejected by a guard further in", RateLimit(newEmptyLimit(t))(status(200)), nil, core.Ignored},
		{"a rejection from further down", handler(func(w http.ResponseWriter, r *http.Request) {
			WriteError(w, r, &core.Rejection{Kind: core.KindBreaker, Policy: "db", Reason: core.ReasonOpen})
		}), nil, core.Ignored},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, room := newBreaker(breaker.Config{}), newBulkhead(bulkhead.Config{Limit: 5})
			h := Guard(Guarded{Guard: b}, Guarded{Guard: room})(c.h)
			r := anyRequest()
			if c.ctx != nil {
				r = r.WithContext(c.ctx)
			}
			done := make(chan struct{})
			go func() { // a goroutine of its own, because Goexit ends it
				defer close(done)
				defer func() { _ = recover() }()
				h.ServeHTTP(httptest.NewRecorder(), r)
			}()
			<-done
			snap := b.Snapshot()
			for o, n := range snap.Outcomes {
				want := uint64(0)
				if core.Outcome(o) == c.want {
					want = 1
				}
				equal(t, core.Outcome(o).String(), n, want)
			}
			equal(t, "slots taken", room.Snapshot().Running, 0)
		})
	}
}

// newEmptyLimit returns a limiter whose one token is spent.
func newEmptyLimit(t *testing.T) *ratelimit.Limiter {
	t.Helper()
	l := newLimit(ratelimit.Config{Limit: 1, Period: time.Hour})
	l.Acquire(t.Context(), core.Call{})
	return l
}

func TestRateLimitAnswersAndFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mw.Must(ratelimit.NewKeyed("login", ratelimit.Config{Limit: 2, Period: 4 * time.Second}, core.Hooks{}))
		h := RateLimit(l, GuardConfig{Key: ByClientIP(TrustNone())})(status(200))
		for _, c := range []struct {
			client     string
			after      time.Duration
			status     int
			limit      string
			retryAfter string
		}{
			{"192.0.2.1:1000", 0, 200, `"login";r=1;t=2`, ""},
			{"192.0.2.1:1001", 0, 200, `"login";r=0;t=4`, ""},
			{"192.0.2.1:1002", 500 * time.Millisecond, 429, `"login";r=0;t=2`, "2"}, // 1.5 s are left
			{"192.0.2.2:1000", 0, 200, `"login";r=1;t=2`, ""},                       // another client
			{"192.0.2.1:1003", 1500 * time.Millisecond, 200, `"login";r=0;t=4`, ""},
		} {
			time.Sleep(c.after)
			r := anyRequest()
			r.RemoteAddr = c.client
			w := do(h, r)
			equal(t, c.client+" status", w.Code, c.status)
			equal(t, c.client+" RateLimit", w.Header().Get("RateLimit"), c.limit)
			equal(t, c.client+" RateLimit-Policy", w.Header().Get("RateLimit-Policy"), `"login";q=2;w=4`)
			equal(t, c.client+" Retry-After", w.Header().Get("Retry-After"), c.retryAfter)
			if w.Code == 429 && !strings.Contains(w.Body.String(), `"violated-policies":["login"]`) {
				t.Errorf("body %s does not name the policy", w.Body)
			}
		}
	})
}

func TestRateLimitFieldsOfSeveralPolicies(t *testing.T) {
	h := Guard(
		Guarded{Guard: newLimit(ratelimit.Config{Limit: 10})},
		Guarded{Guard: mw.Must(ratelimit.New("daily", ratelimit.Config{Limit: 1000, Period: 24 * time.Hour}, core.Hooks{}))},
		Guarded{Guard: newLimit(ratelimit.Config{Limit: 10}), GuardConfig: GuardConfig{NoFields: true}},
	)(status(200))
	for range 2 { // the second time the prepared fields are used again
		w := do(h, anyRequest())
		equal(t, "policies", strings.Join(w.Header()["Ratelimit-Policy"], ", "), `"login";q=10;w=1, "daily";q=1000;w=86400`)
		equal(t, "limits", len(w.Header()["Ratelimit"]), 2)
	}
}

func TestPolicyFieldOfBrokenSeconds(t *testing.T) {
	p := core.Policy{Kind: core.KindRateLimit, Limit: 100, Period: 1500 * time.Millisecond}
	equal(t, "field", policyField(&p, `"p"`), `"p";q=133;w=2`)
}

func TestBulkheadFullAnswers503(t *testing.T) {
	room := newBulkhead(bulkhead.Config{Limit: 1})
	var inner *httptest.ResponseRecorder
	var h http.Handler
	h = Bulkhead(room)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if inner == nil {
			inner = httptest.NewRecorder()
			h.ServeHTTP(inner, anyRequest())
		}
	}))
	equal(t, "first", do(h, anyRequest()).Code, 200)
	equal(t, "second, while the first runs", inner.Code, http.StatusServiceUnavailable)
	equal(t, "Retry-After is unknown", inner.Header().Get("Retry-After"), "")
	if !strings.Contains(inner.Body.String(), "temporary-reduced-capacity") {
		t.Errorf("body %s", inner.Body)
	}
}

// Queueing in a guard must not be billed to the handler: the breaker before it is told when the call really began.
func TestGuardRestartsPermitsAfterAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := &spyGuard{}
		wait := newLimit(ratelimit.Config{Limit: 1, MaxWait: time.Minute})
		wait.Acquire(t.Context(), core.Call{})
		h := Guard(Guarded{Guard: spy}, Guarded{Guard: wait})(
			http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(3 * time.Second) }))
		start := core.Now()
		do(h, anyRequest())
		equal(t, "began", spy.restarted.Sub(start), time.Second)
		equal(t, "ended", spy.settled.Sub(start), 4*time.Second)
	})
}

// The same where the guards stand in two layers: the inner one is asked after the wait of the outer.
func TestGuardInnerLayerIsAskedAfterTheWaitOfTheOuter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := &spyGuard{}
		wait := newLimit(ratelimit.Config{Limit: 1, MaxWait: time.Minute})
		wait.Acquire(t.Context(), core.Call{})
		start := core.Now()
		do(mw.Chain(RateLimit(wait), Guard(Guarded{Guard: spy}))(status(200)), anyRequest())
		equal(t, "asked", spy.asked.Sub(start), time.Second)
	})
}

// spyGuard admits everything and keeps the times it is told.
type spyGuard struct{ asked, restarted, progressed, settled core.Time }

func (g *spyGuard) Acquire(_ context.Context, c core.Call) (p core.Permit, d core.Decision) {
	g.asked = c.Now
	p, d.Now = core.NewTrackedPermit(g, 0, c.Now), c.Now
	return
}
func (g *spyGuard) Peek(core.Call) (d core.Decision)                          { return d }
func (g *spyGuard) Restart(_ uint32, _, now core.Time)                        { g.restarted = now }
func (g *spyGuard) Progress(_ uint32, _, now core.Time)                       { g.progressed = now }
func (g *spyGuard) Settle(_ uint32, _, now core.Time, _ bool, _ core.Outcome) { g.settled = now }

// A stream that lives longer than a probe's lease must not look lost: its first byte settles the probe.
func TestGuardStreamSettlesAProbeAtItsFirstByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(breaker.Config{Probes: 1, OpenFor: time.Second, ProbeTimeout: 2 * time.Second})
		b.Trip(time.Second)
		time.Sleep(time.Second)
		h := Breaker(b)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if _, err := io.WriteString(w, "event\n"); err != nil {
				t.Error(err)
			}
			equal(t, "state after the first byte", b.State(), breaker.Closed)
			time.Sleep(time.Hour)
		}))
		do(h, anyRequest())
		equal(t, "state at the end", b.State(), breaker.Closed)
		equal(t, "counted once in the window", b.Snapshot().Good, 1)
	})
}

func TestGuardSkipAndCost(t *testing.T) {
	l := newLimit(ratelimit.Config{Limit: 10, Period: time.Hour})
	h := RateLimit(l, GuardConfig{
		Skip: func(r *http.Request) bool { return r.URL.Path == "/healthz" },
		Cost: func(*http.Request) uint32 { return 7 },
	})(status(200))
	equal(t, "first", do(h, anyRequest()).Code, 200)
	equal(t, "second", do(h, anyRequest()).Code, 429)
	equal(t, "skipped", do(h, httptest.NewRequest("GET", "/healthz", nil)).Code, 200)
}

func TestGuardShadowAdmitsAndCounts(t *testing.T) {
	l := newLimit(ratelimit.Config{Limit: 1, Period: time.Hour, Mode: core.Shadow})
	h := RateLimit(l)(status(200))
	for range 3 {
		equal(t, "status", do(h, anyRequest()).Code, 200)
	}
	equal(t, "shadowed", l.Snapshot().Shadowed, 2)
}

func TestGuardRefusesMistakesOfTheProgram(t *testing.T) {
	keyed := mw.Must(ratelimit.NewKeyed("k", ratelimit.Config{Limit: 1}, core.Hooks{}))
	for name, f := range map[string]func(){
		"no guard":            func() { Guard() },
		"nil guard":           func() { Breaker(nil) },
		"too many":            func() { Guard(make([]Guarded, 7)...) },
		"keyed without a key": func() { RateLimit(keyed) },
		"nil handler":         func() { Breaker(newBreaker(breaker.Config{}))(nil) },
		"two configs":         func() { RateLimit(keyed, GuardConfig{}, GuardConfig{}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			f()
		})
	}
}

func TestGuardSixGuardsFit(t *testing.T) {
	var list []Guarded
	for range maxGuards {
		list = append(list, Guarded{Guard: newBulkhead(bulkhead.Config{Limit: 1})})
	}
	h := Guard(list...)(status(200))
	for range 2 { // the second finds every slot free again
		equal(t, "status", do(h, anyRequest()).Code, 200)
	}
}

// A Guard layer costs no allocation beside the record that every chain has; a second layer costs one.
func TestGuardAllocations(t *testing.T) {
	b, room := newBreaker(breaker.Config{}), newBulkhead(bulkhead.Config{Limit: 5})
	bare := RequestID()(status(200))
	one := mw.Chain(RequestID(), Guard(Guarded{Guard: b}, Guarded{Guard: room}))(status(200))
	two := mw.Chain(RequestID(), Breaker(b), Bulkhead(room))(status(200))
	allocs := func(h http.Handler) float64 {
		w, r := httptest.NewRecorder(), anyRequest()
		return testing.AllocsPerRun(200, func() { h.ServeHTTP(w, r) })
	}
	base := allocs(bare)
	equal(t, "one layer of two guards", allocs(one)-base, 0)
	equal(t, "two layers", allocs(two)-base, 1)
	slow := newBreaker(breaker.Config{Latency: breaker.Latency{Watch: true}})
	watching := mw.Chain(RequestID(), Guard(Guarded{Guard: slow}, Guarded{Guard: room}))(status(200))
	equal(t, "a breaker that sees slowness", allocs(watching)-base, 0)
}

// The two fields of a rate limit: the text of one, and one slice for the values of both.
func TestRateLimitFieldsAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	allocs := func(c GuardConfig) float64 {
		h := RateLimit(newLimit(ratelimit.Config{Limit: 1e6}), c)(okHandler)
		w, r := &nullWriter{http.Header{}}, anyRequest()
		return testing.AllocsPerRun(200, func() {
			delete(w.header, fieldRateLimit)
			delete(w.header, fieldRateLimitPolicy)
			h.ServeHTTP(w, r)
		})
	}
	equal(t, "fields", allocs(GuardConfig{})-allocs(GuardConfig{NoFields: true}), 1)
}

func TestKeyByClientNetworkGroupsIPv6(t *testing.T) {
	key := ByClientIP(TrustNone())
	of := func(addr string) core.Key {
		r := anyRequest()
		r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(addr), 1).String()
		return key(r)
	}
	equal(t, "same /64", of("2001:db8::1") == of("2001:db8::ffff"), true)
	equal(t, "other /64", of("2001:db8::1") == of("2001:db8:0:1::1"), false)
	equal(t, "other IPv4", of("192.0.2.1") == of("192.0.2.2"), false)
}
