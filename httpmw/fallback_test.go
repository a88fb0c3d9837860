package httpmw

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/fallback"
)

func newStep(name string, c fallback.Config, h fallback.Hooks) *fallback.Fallback {
	return mw.Must(fallback.New(name, c, h))
}

// step is a step with the defaults.
func fallbackStep(name string, h http.HandlerFunc) FallbackStep {
	return FallbackStep{By: newStep(name, fallback.Config{}, fallback.Hooks{}), Handler: h}
}

// speaking answers with a status and a body, and leaves a field behind.
func speaking(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(fmt.Sprint("X-Was-", status), "here")
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func TestFallback(t *testing.T) {
	never := func(http.ResponseWriter, *http.Request) { t.Error("a step that is not wanted runs") }
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		steps   []FallbackStep
		status  int
		body    string
		by      string
	}{
		{"success", speaking(200, "own"), []FallbackStep{fallbackStep("one", never)}, 200, "own", ""},
		{"no fault of the handler", speaking(404, "none"), []FallbackStep{fallbackStep("one", never)}, 404, "none", ""},
		{"nothing said", func(http.ResponseWriter, *http.Request) {}, []FallbackStep{fallbackStep("one", never)}, 200, "", ""},
		{"failure", speaking(500, "down"), []FallbackStep{fallbackStep("one", speaking(200, "first")), fallbackStep("two", never)}, 200, "first", "one"},
		{"failure, failure", speaking(500, "down"), []FallbackStep{fallbackStep("one", speaking(503, "too")), fallbackStep("two", speaking(201, "second"))}, 201, "second", "two"},
		{"all fail", speaking(500, "down"), []FallbackStep{fallbackStep("one", speaking(503, "too")), fallbackStep("two", speaking(502, "as well"))}, 500, "down", ""},
		{"too long", speaking(500, strings.Repeat("x", 100)), []FallbackStep{fallbackStep("one", never)}, 500, strings.Repeat("x", 100), ""},
		{"flushed", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_ = http.NewResponseController(w).Flush()
		}, []FallbackStep{fallbackStep("one", never)}, 500, "", ""},
		{"step is a stream", speaking(500, "down"), []FallbackStep{fallbackStep("one", speaking(200, strings.Repeat("y", 1000)))}, 200, strings.Repeat("y", 1000), "one"},
		{"103, then a failure", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			speaking(500, "down")(w, r)
		}, []FallbackStep{fallbackStep("one", speaking(200, "first"))}, 200, "first", "one"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
				outer := newBreaker(breaker.Config{ConsecutiveFailures: 1})
				layer := mw.Must(Fallback(FallbackConfig{StepHeader: "x-step", Buffer: 64}, tt.steps...))
				s := serve(mw.Chain(Breaker(outer), RequestID(), layer)(tt.handler))
				resp, body, err := get(t, s, "/")
				if resp.StatusCode != tt.status || body != tt.body || err != nil {
					t.Errorf("%d %q, %v; want %d %q", resp.StatusCode, body, err, tt.status, tt.body)
				}
				equal(t, "X-Step", resp.Header.Get("X-Step"), tt.by)
				for name := range resp.Header { // nothing of the others
					if strings.HasPrefix(name, "X-Was-") && name != fmt.Sprint("X-Was-", tt.status) {
						t.Errorf("a field is left behind: %s", name)
					}
				}
				if resp.Header.Get("X-Request-Id") == "" {
					t.Error("a field of the layers outside is lost")
				}
				if want := tt.status >= 500; (outer.State() == breaker.Open) != want {
					t.Errorf("the breaker outside is %v", outer.State())
				}
			})
		})
	}
}

// What a guard further in rejects is answered for, and outside it is as if the step had always been there.
func TestFallbackAnswersForRejections(t *testing.T) {
	logs := newLogSink()
	h := mw.Chain(
		AccessLog(AccessLogConfig{Logger: slog.New(logs)}),
		mw.Must(Fallback(FallbackConfig{}, fallbackStep("stale", speaking(200, "stale")))),
		Bulkhead(full(t)),
	)(okHandler)
	w := do(h, anyRequest())
	if w.Code != 200 || w.Body.String() != "stale" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	entry := logs.next(t, "request")
	equal(t, "error.type", entry[attrError], nil)
	equal(t, "level", entry["level"], any(slog.LevelInfo))

	h = mw.Chain(
		AccessLog(AccessLogConfig{Logger: slog.New(logs)}),
		mw.Must(Fallback(FallbackConfig{}, fallbackStep("stale", speaking(502, "no")))),
		Bulkhead(full(t)),
	)(okHandler)
	equal(t, "status", do(h, anyRequest()).Code, 503)
	equal(t, "error.type", logs.next(t, "request")[attrError], any("full"))
}

// A guard in a step is told how the step went, whatever was before.
func TestFallbackStepsHaveGuardsOfTheirOwn(t *testing.T) {
	b := newBreaker(breaker.Config{ConsecutiveFailures: 1})
	inner := FallbackStep{By: newStep("replica", fallback.Config{}, fallback.Hooks{}), Handler: Breaker(b)(speaking(500, "too"))}
	h := mw.Chain(mw.Must(Fallback(FallbackConfig{}, inner)), Bulkhead(full(t)))(okHandler)
	equal(t, "status", do(h, anyRequest()).Code, 503)
	equal(t, "the step's breaker", b.State(), breaker.Open)
}

// Nothing is tried for a client that has left, or when the time of a Timeout outside is over.
func TestFallbackNeverForACancellation(t *testing.T) {
	never := fallbackStep("one", func(http.ResponseWriter, *http.Request) { t.Error("a step runs for nobody") })
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := mw.Must(Fallback(FallbackConfig{}, never))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			cancel()
			speaking(500, "canceled")(w, r)
		}))
		equal(t, "status", do(h, anyRequest().WithContext(ctx)).Code, 500)
		h = mw.Chain(mw.Must(Timeout(newTimeout(time.Second))), mw.Must(Fallback(FallbackConfig{}, never)))(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
				speaking(500, "late")(w, r)
			}))
		equal(t, "status", do(h, anyRequest()).Code, 500)
	})
}

// The time of an inner Timeout is a failure; the step's own time is bounded too.
func TestFallbackAnswersForATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		h := mw.Chain(
			mw.Must(Fallback(FallbackConfig{}, fallbackStep("slow", wait), fallbackStep("default", speaking(200, "default")))),
			mw.Must(Timeout(newTimeout(time.Second))),
		)(http.HandlerFunc(wait))
		start := time.Now()
		w := do(h, anyRequest())
		equal(t, "body", w.Body.String(), "default")
		equal(t, "after", time.Since(start), 2*time.Second) // the Timeout, and the step's 1s
	})
}

// A panic is no answer to be replaced, neither of the handler nor of a step.
func TestFallbackLetsPanicsThrough(t *testing.T) {
	crash := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		panic("crash")
	}
	for name, h := range map[string]http.Handler{
		"handler": mw.Must(Fallback(FallbackConfig{}, fallbackStep("one", speaking(200, "one"))))(http.HandlerFunc(crash)),
		"step":    mw.Must(Fallback(FallbackConfig{}, fallbackStep("one", crash)))(speaking(500, "down")),
	} {
		w := do(Recover(RecoverConfig{Logger: quiet})(h), anyRequest())
		equal(t, name, w.Body.String(), string(problemPanic.json))
	}
}

// A step's policy has its say: its condition, its mode.
func TestFallbackAsksThePolicy(t *testing.T) {
	var told *StatusError
	picky := newStep("picky", fallback.Config{}, fallback.Hooks{When: func(_ core.Outcome, err error) bool {
		return errors.As(err, &told) && told.Status == 503
	}})
	shadow := newStep("shadow", fallback.Config{Mode: core.Shadow}, fallback.Hooks{})
	h := mw.Must(Fallback(FallbackConfig{}, FallbackStep{By: picky, Handler: speaking(200, "picky")}, FallbackStep{By: shadow, Handler: speaking(200, "shadow")}))
	equal(t, "503", do(h(speaking(503, "busy")), anyRequest()).Body.String(), "picky")
	equal(t, "500", do(h(speaking(500, "down")), anyRequest()).Body.String(), "down")
	equal(t, "shadowed", shadow.Snapshot().Shadowed, 1)
}

func TestFallbackConfigs(t *testing.T) {
	good := newStep("one", fallback.Config{}, fallback.Hooks{})
	for name, err := range map[string]error{
		"no step":    fallbackSecond(Fallback(FallbackConfig{})),
		"no policy":  fallbackSecond(Fallback(FallbackConfig{}, FallbackStep{Handler: okHandler})),
		"no handler": fallbackSecond(Fallback(FallbackConfig{}, FallbackStep{By: good})),
		"field":      fallbackSecond(Fallback(FallbackConfig{StepHeader: "a b"}, fallbackStep("one", speaking(200, "")))),
		"buffer":     fallbackSecond(Fallback(FallbackConfig{Buffer: -1}, fallbackStep("one", speaking(200, "")))),

		"client: no step":   fallbackSecond(ClientFallback(FallbackConfig{})),
		"client: no policy": fallbackSecond(ClientFallback(FallbackConfig{}, ClientFallbackStep{Transport: http.DefaultTransport})),
		"client: neither":   fallbackSecond(ClientFallback(FallbackConfig{}, ClientFallbackStep{By: good})),
	} {
		if err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func fallbackSecond[T any](_ T, err error) error { return err }

func TestFallbackAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	count := func(h http.Handler) float64 {
		w, r := &nullWriter{http.Header{"X-Request-Id": {"1"}}}, anyRequest()
		return testing.AllocsPerRun(200, func() { h.ServeHTTP(w, r) })
	}
	with := count(Recover()(mw.Must(Fallback(FallbackConfig{}, fallbackStep("one", speaking(200, ""))))(okHandler)))
	equal(t, "allocations", with-count(Recover()(okHandler)), 4)
}
