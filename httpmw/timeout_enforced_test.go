package httpmw

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/timeout"
)

// enforcing returns the enforced Timeout of a machine.
func enforcing(t *timeout.Timeout) layerFunc {
	return mw.Must(Timeout(t, TimeoutConfig{Enforced: true, Buffer: 1 << 10}))
}

// http.md row "ctx-only timeout, handler ignores ctx", and D10: the answer comes at the deadline, not when the handler likes.
func TestEnforcedTimeoutAnswersForADeafHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, logs := newTimeout(time.Second), newLogSink()
		late := make(chan error, 4)
		h := mw.Chain(AccessLog(AccessLogConfig{Logger: slog.New(logs)}), enforcing(to))(http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("ETag", `"half"`)
				w.WriteHeader(http.StatusCreated)
				fmt.Fprint(w, "half an answer")
				time.Sleep(10 * time.Second)
				_, err := fmt.Fprint(w, strings.Repeat("more than the buffer takes", 100))
				late <- err
				late <- http.NewResponseController(w).Flush()
				w.Header().Set("X-Late", "yes") // its own map: no race
			}))
		start := time.Now()
		w := do(h, anyRequest())
		equal(t, "after", time.Since(start), time.Second)
		equal(t, "status", w.Code, 503)
		equal(t, "body", w.Body.String(), string(problemTimeout.json)) // and nothing of the handler's: no mixture
		equal(t, "ETag", w.Header().Get("ETag"), "")
		entry := logs.next(t, "request")
		equal(t, "error.type", entry[attrError], any("timeout"))
		if s := to.Snapshot(); s.Running != 1 || s.Abandoned != 1 || s.TimedOut != 1 {
			t.Errorf("while it runs: %+v", s)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		equal(t, "a write afterwards", <-late, http.ErrHandlerTimeout)
		equal(t, "a flush afterwards", <-late, http.ErrHandlerTimeout)
		equal(t, "X-Late", w.Header().Get("X-Late"), "")
		equal(t, "body", w.Body.String(), string(problemTimeout.json))
		equal(t, "running", to.Snapshot().Running, 0)
	})
}

// http.md row "std TimeoutHandler + 103 then 201".
func TestEnforcedTimeoutKeepsTheStatusAfterEarlyHints(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(enforcing(newTimeout(hang))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Trailer", "X-Sum")
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, "made")
			w.Header().Set("X-Sum", "4")
		})))
		resp, body, err := get(t, s, "/")
		if resp.StatusCode != 201 || body != "made" || err != nil || resp.Trailer.Get("X-Sum") != "4" {
			t.Errorf("%d %q, %v, trailer %v", resp.StatusCode, body, err, resp.Trailer)
		}
	})
}

// A panic is the serving goroutine's, Goexit too, and what was held is not sent.
func TestEnforcedTimeoutCarriesPanics(t *testing.T) {
	logs := newLogSink()
	serving := mw.Chain(Recover(RecoverConfig{Logger: slog.New(logs)}), enforcing(newTimeout(hang)))
	crash := func(v any) http.Handler {
		return serving(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "held")
			crashHere(v)
		}))
	}
	w := do(crash("no such table"), anyRequest())
	equal(t, "status", w.Code, 500)
	equal(t, "body", w.Body.String(), string(problemPanic.json))
	entry := logs.next(t, "panic in a handler")
	equal(t, "message", entry["exception.message"], any("no such table"))
	if stack := entry["exception.stacktrace"].(string); !strings.Contains(stack, "crashHere") {
		t.Errorf("the stack of the panic is lost: %s", stack)
	}
	if w, aborted := doAborting(crash(http.ErrAbortHandler), anyRequest()); !aborted || w.Body.Len() > 0 {
		t.Errorf("aborted %v, body %q", aborted, w.Body)
	}
	exited := make(chan bool)
	go func() {
		defer close(exited)
		do(enforcing(newTimeout(hang))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runtime.Goexit() })), anyRequest())
		t.Error("Goexit has not reached the serving goroutine")
	}()
	<-exited
}

func crashHere(v any) { panic(v) }

// A panic after the time is over ends nobody but the handler.
func TestEnforcedTimeoutCountsLatePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := newTimeout(time.Second)
		w := do(enforcing(to)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			time.Sleep(2 * time.Second)
			panic("late")
		})), anyRequest())
		equal(t, "status", w.Code, 503)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		equal(t, "panics", to.Snapshot().Panics, 1)
		equal(t, "running", to.Snapshot().Running, 0)
	})
}

// As many handlers as MaxAbandoned may run on; further requests wait for theirs.
func TestEnforcedTimeoutBoundsWhatIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mw.Must(timeout.New("requests", timeout.Config{Limit: time.Second, MaxAbandoned: 1}, timeout.Hooks{}))
		h := enforcing(to)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/stuck" {
				time.Sleep(time.Minute)
				return
			}
			time.Sleep(3 * time.Second)
			fmt.Fprint(w, "late")
		}))
		do(h, httptest.NewRequest("GET", "/stuck", nil))
		start := time.Now()
		w := do(h, anyRequest())
		equal(t, "after", time.Since(start), 3*time.Second)
		if w.Code != 200 || w.Body.String() != "late" {
			t.Errorf("%d %q", w.Code, w.Body)
		}
		equal(t, "running", to.Snapshot().Running, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		equal(t, "running", to.Snapshot().Running, 0)
	})
}

func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(hang):
		t.Fatal(what + ": never done")
	}
}

// In shadow and disabled mode nothing is moved, held or cut.
func TestEnforcedTimeoutModes(t *testing.T) {
	for _, mode := range []core.Mode{core.Shadow, core.Disabled} {
		synctest.Test(t, func(t *testing.T) {
			to := mw.Must(timeout.New("requests", timeout.Config{Limit: time.Second, Mode: mode}, timeout.Hooks{}))
			var x *exchange
			w := do(watch(&x, enforcing(to)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, "begun")
				if x.bytes != 5 {
					t.Errorf("%v: held", mode)
				}
				time.Sleep(2 * time.Second)
				if r.Context().Err() != nil {
					t.Errorf("%v: the context is done", mode)
				}
			}))), anyRequest())
			if w.Code != 200 || w.Body.String() != "begun" {
				t.Errorf("%v: %d %q", mode, w.Code, w.Body)
			}
			if s := to.Snapshot(); mode == core.Shadow && s.Shadowed != 1 {
				t.Errorf("shadowed %d", s.Shadowed)
			}
		})
	}
}

// Layers outside learn what those inside found, if the handler has returned in time.
func TestEnforcedTimeoutReportsWhatIsInside(t *testing.T) {
	logs := newLogSink()
	mux := http.NewServeMux()
	mux.Handle("GET /users/{id}", Bulkhead(full(t))(okHandler))
	outer := newBulkhead(bulkhead.Config{Limit: 10})
	h := mw.Chain(AccessLog(AccessLogConfig{Logger: slog.New(logs)}), RequestID(), Bulkhead(outer), enforcing(newTimeout(hang)))(mux)
	w := do(h, httptest.NewRequest("GET", "/users/7", nil))
	equal(t, "status", w.Code, 503)
	entry := logs.next(t, "request")
	equal(t, "route", entry[attrRoute], any("/users/{id}"))
	equal(t, "error.type", entry[attrError], any("full"))
}

// full returns a bulkhead without a free slot.
func full(t *testing.T) *bulkhead.Bulkhead {
	b := newBulkhead(bulkhead.Config{Limit: 1})
	p, _ := b.Acquire(t.Context(), core.Call{})
	t.Cleanup(func() { p.Done(0, core.Ignored) })
	return b
}

// A client that leaves ends the waiting, and gets no answer.
func TestEnforcedTimeoutAnswersNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := newTimeout(time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		w := do(enforcing(to)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(3 * time.Second) })),
			anyRequest().WithContext(ctx))
		equal(t, "after", time.Since(start), time.Second)
		equal(t, "body", w.Body.String(), "")
		equal(t, "timed out", to.Snapshot().TimedOut, 0)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		equal(t, "running", to.Snapshot().Running, 0)
	})
}
