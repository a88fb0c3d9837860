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
	"github.com/mw-go/mw/core/timeout"
)

func TestTimeout(t *testing.T) {
	wait := func(r *http.Request) { <-r.Context().Done() }
	for _, tc := range []struct {
		name   string
		do     func(w http.ResponseWriter, r *http.Request)
		status int
		body   string
		err    any // error.type
	}{
		{"in time", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "done") }, 200, "done", nil},
		{"gives up", func(_ http.ResponseWriter, r *http.Request) { wait(r) }, 503, "problem", "timeout"},
		{"own answer", func(w http.ResponseWriter, r *http.Request) {
			wait(r)
			http.Error(w, "partial results", http.StatusGatewayTimeout)
		}, 504, "partial results\n", "504"},
		{"began earlier", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "begun"); wait(r) }, 0, "", "timeout"},
		{"began earlier, shorter than said", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "6")
			fmt.Fprint(w, "begun")
			wait(r)
		}, 0, "", "timeout"},
		{"began earlier and is whole", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			fmt.Fprint(w, "whole")
			wait(r)
		}, 200, "whole", nil},
		{"began earlier without a body", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204); wait(r) }, 204, "", nil},
		{"began earlier with trailers", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "Grpc-Status")
			fmt.Fprint(w, "message")
			wait(r)
		}, 200, "message", nil},
		{"late", func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(2 * time.Second)
			fmt.Fprint(w, "late")
		}, 200, "late", nil},
		{"trailers announced", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "Grpc-Status")
			wait(r)
		}, 200, "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logs := newLogSink()
				h := mw.Chain(
					AccessLog(AccessLogConfig{Logger: slog.New(logs)}),
					mw.Must(Timeout(newTimeout(time.Second))),
				)(http.HandlerFunc(tc.do))
				w, aborted := doAborting(h, httptest.NewRequest("GET", "/", nil))
				if aborted {
					w.Code = 0
					w.Body.Reset()
				}
				equal(t, "status", w.Code, tc.status)
				if tc.body == "problem" {
					equal(t, "body", w.Body.String(),
						`{"title":"Service Unavailable","status":503,"detail":"the request took too long"}`+"\n")
					equal(t, "Retry-After", w.Header().Get("Retry-After"), "")
				} else {
					equal(t, "body", w.Body.String(), tc.body)
				}
				equal(t, "error.type", logs.next(t, "request")[attrError], tc.err)
			})
		})
	}
}

// doAborting is do for a handler that may abort; other panics pass.
func doAborting(h http.Handler, r *http.Request) (w *httptest.ResponseRecorder, aborted bool) {
	w = httptest.NewRecorder()
	defer func() {
		if v := recover(); v == http.ErrAbortHandler {
			aborted = true
		} else if v != nil {
			panic(v)
		}
	}()
	h.ServeHTTP(w, r)
	return w, false
}

// A stream that the deadline cut must not end as if it were complete.
func TestTimeoutInTheMiddleOfAStreamIsVisible(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		limit := mw.Must(Timeout(newTimeout(300 * time.Millisecond)))
		s := serve(mw.Chain(Recover(), limit)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "half")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})))
		resp, body, err := get(t, s, "/")
		if resp.StatusCode != 200 || body != "half" || err == nil {
			t.Errorf("%d %q, %v; want a broken body", resp.StatusCode, body, err)
		}
	})
}

func TestTimeoutNamesItsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mw.Must(Timeout(newTimeout(time.Second)))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			start := time.Now()
			<-r.Context().Done()
			equal(t, "after", time.Since(start), time.Second)
			if !errors.Is(context.Cause(r.Context()), core.ErrTimeout) {
				t.Errorf("cause %v", context.Cause(r.Context()))
			}
			equal(t, "error", r.Context().Err(), context.DeadlineExceeded)
		})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	})
}

// Who else ends the context answers for it: no 503 is sent to a client that left, nor for a deadline of the caller.
func TestTimeoutAnswersOnlyForItself(t *testing.T) {
	for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"canceled": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		},
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := end(t.Context())
				defer cancel()
				h := mw.Must(Timeout(newTimeout(time.Minute)))(http.HandlerFunc(
					func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
				w := do(h, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
				equal(t, "status", w.Code, 200) // nothing was written
				equal(t, "body", w.Body.String(), "")
			})
		})
	}
}

func TestTimeoutThatTheHandlerAbortsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := newLogSink()
		h := mw.Chain(
			AccessLog(AccessLogConfig{Logger: slog.New(logs)}),
			mw.Must(Timeout(newTimeout(time.Second))),
		)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "half")
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}))
		if _, aborted := doAborting(h, httptest.NewRequest("GET", "/", nil)); !aborted {
			t.Error("not aborted")
		}
		entry := logs.next(t, "request")
		equal(t, "error.type", entry[attrError], any("timeout"))
		equal(t, "outcome", entry[attrOutcome], any("aborted"))
	})
}

// The configuration changes while the service runs: requests under way keep their time.
func TestTimeoutFollowsItsMachine(t *testing.T) {
	for _, enforced := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			to := newTimeout(time.Second)
			h := mw.Must(Timeout(to, TimeoutConfig{Enforced: enforced}))(http.HandlerFunc(
				func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
			for _, limit := range []time.Duration{time.Second, time.Minute} {
				start := time.Now()
				time.AfterFunc(time.Second/2, func() {
					if err := to.Tune(timeout.Config{Limit: time.Minute}); err != nil {
						t.Error(err)
					}
				})
				equal(t, "status", do(h, anyRequest()).Code, 503)
				equal(t, "after", time.Since(start), limit)
			}
		})
	}
}

func TestTimeoutConfig(t *testing.T) {
	for _, n := range []int{-1, 1<<30 + 1} {
		_, err := Timeout(newTimeout(time.Second), TimeoutConfig{Enforced: true, Buffer: n})
		if err == nil || !strings.Contains(err.Error(), "buffer") {
			t.Errorf("%v: error %v", n, err)
		}
	}
	if _, err := Timeout(nil); err == nil {
		t.Error("a nil timeout is taken")
	}
}
