package httpmw

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
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

// Everything at once: modes and limits change while requests of every kind come and go, and nothing is left behind.
func TestGuardLosesNothingUnderStress(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		room := newBulkhead(bulkhead.Config{Limit: 4, Queue: 4, MaxWait: time.Second})
		b := newBreaker(breaker.Config{MinCalls: 5, OpenFor: time.Millisecond})
		limit := newLimit(ratelimit.Config{Limit: 1000, MaxWait: 10 * time.Millisecond})
		h := mw.Chain(
			Recover(RecoverConfig{Logger: quiet}),
			mw.Must(Timeout(newTimeout(hang))),
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
