package httpmw

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/throttle"
)

// clientStack is the recommended order over a counting transport.
func clientStack(t *testing.T, s *faultyServer) (http.RoundTripper, *countingTransport, *Transport) {
	tr := newTransport(t, TransportConfig{}, TransportHooks{TLS: serverTLS(s.Server)})
	counting := &countingTransport{next: tr}
	shared := unlimited(t)
	throttled, err := throttle.New("test", throttle.Config{}, throttle.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return mw.Chain(
		ClientRequestID(ClientRequestIDConfig{Generate: true}),
		ClientRetry(newRetry(t, retry.Config{MaxAttempts: 4, AttemptTimeout: 100 * time.Millisecond, MaxDelay: 3 * time.Millisecond},
			retry.Hooks{Budget: shared})),
		ClientHedge(newHedge(t, hedge.Config{Delay: 20 * time.Millisecond, Ratio: 1}, hedge.Hooks{Budget: shared})),
		ClientPace(newPacer(t, PacerConfig{})),
		ClientThrottle(throttled),
		ClientBreaker(newBreaker(breaker.Config{Mode: core.Shadow})),
	)(counting), counting, tr
}

// TestClientStackOverAFaultyServer is the bar: over a server that fails, stalls, resets and truncates, no body stays open, what
// must not be executed twice is not, the ledger of the server says, and what is answered is whole or an error. goleak
// sees to the rest.
func TestClientStackOverAFaultyServer(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "h1", true: "h2"}[h2], func(t *testing.T) {
			s := newFaultyServer(t, h2)
			rt, counting, _ := clientStack(t, s)
			client := &http.Client{Transport: rt}
			faults := []string{"ok", "ok", "500", "503", "429", "reset", "cut", "stall", "early", "425"}
			var wg sync.WaitGroup
			var answered, whole, broken, failed atomic.Int64
			for worker := range 8 {
				wg.Go(func() {
					random := rand.New(rand.NewPCG(uint64(worker), 1))
					for i := range 25 {
						id := fmt.Sprintf("%d-%d", worker, i)
						method := []string{"GET", "GET", "PUT", "POST", "DELETE"}[random.IntN(5)]
						var body io.Reader
						if method == "PUT" || method == "POST" {
							body = strings.NewReader(id)
							if random.IntN(2) == 0 {
								body = &bare{Reader: strings.NewReader(id)}
							}
						}
						var plan []string
						for range 1 + random.IntN(3) {
							plan = append(plan, faults[random.IntN(len(faults))])
						}
						ctx, cancel := context.WithTimeout(t.Context(), hang)
						resp, err := client.Do(s.request(ctx, method, method+id, body, plan...))
						if err != nil {
							failed.Add(1)
							cancel()
							continue
						}
						answered.Add(1)
						got, err := io.ReadAll(resp.Body)
						switch {
						case err != nil:
							broken.Add(1)
						case resp.StatusCode == 200 && string(got) != faultyBody:
							t.Errorf("%v: truncated in silence: %q", plan, got)
						default:
							whole.Add(1)
						}
						resp.Body.Close()
						cancel()
					}
				})
			}
			wg.Wait()
			counting.none(t)
			s.mu.Lock()
			defer s.mu.Unlock()
			for id, n := range s.seen {
				if strings.HasPrefix(id, "POST") && n > 1 && !refusedAtFirst(s.statuses[id]) {
					t.Errorf("%s was executed %d times: %v", id, n, s.statuses[id])
				}
				for _, body := range s.bodies[id] {
					if body != "" && !strings.HasSuffix(id, body) {
						t.Errorf("%s was sent the body %q", id, body)
					}
				}
			}
			t.Logf("%d requests sent for 200, %d answered (%d whole, %d broke off), %d failed, %d connections",
				counting.sent.Load(), answered.Load(), whole.Load(), broken.Load(), failed.Load(), s.conns.Load())
			if whole.Load() == 0 || failed.Load() == 0 || broken.Load() == 0 {
				t.Error("the faults were not met")
			}
		})
	}
}

// refusedAtFirst reports whether all but the last execution was a 425, which says that it was none.
func refusedAtFirst(faults []string) bool {
	for _, fault := range faults[:len(faults)-1] {
		if fault != "425" {
			return false
		}
	}
	return true
}

// A body that breaks off after it was handed over is for the caller to see, and nothing is sent again behind their back.
func TestClientStackLeavesABrokenBodyToTheCaller(t *testing.T) {
	s := newFaultyServer(t, false)
	rt, counting, _ := clientStack(t, s)
	resp, err := rt.RoundTrip(s.request(t.Context(), "GET", "cut", nil, "cut"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	if err == nil || !strings.HasPrefix(string(got), faultyBody[:1]) {
		t.Errorf("%q, %v", got, err)
	}
	resp.Body.Close()
	equal(t, "executions", s.executions("cut"), 1)
	counting.none(t)
}

// A caller who leaves while a server stalls leaves nothing behind.
func TestClientStackWhenTheCallerLeaves(t *testing.T) {
	s := newFaultyServer(t, false)
	rt, counting, _ := clientStack(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	body := &bare{Reader: strings.NewReader("x")}
	_, err := rt.RoundTrip(s.request(ctx, "PUT", "stall", body, "stall"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	counting.none(t)
	for end := time.Now().Add(hang); body.closed.Load() != 1 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	equal(t, "closed", body.closed.Load(), 1)
}
