package httpmw

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
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
				h := mw.Chain(mw.Must(Timeout(newTimeout(time.Second))), Guard(Guarded{Guard: g}))(c.h)
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
		h := mw.Chain(mw.Must(Timeout(newTimeout(time.Second))), Breaker(b))(http.HandlerFunc(
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
