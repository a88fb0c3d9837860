package httpmw

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
)

// sluggish opens as soon as half of two calls took more than 100ms.
var sluggish = breaker.Config{
	MinCalls: 2, FailureRate: core.None, Jitter: core.None,
	Latency: breaker.Latency{Watch: true, SlowCall: 100 * time.Millisecond, Slowdown: core.None, Confirm: 1, ConfirmOf: 1},
}

// lasting is a body that takes its time.
type lasting struct{ read bool }

func (b *lasting) Read(p []byte) (int, error) {
	time.Sleep(time.Minute)
	if b.read {
		return 0, io.EOF
	}
	b.read = true
	return copy(p, "late"), nil
}

func (b *lasting) Close() error { return nil }

// What counts is the time to the response's header: a body may be long, and its reader slow.
func TestLatencyOfAClientCallIsThatOfItsHeader(t *testing.T) {
	for _, tt := range []struct {
		header time.Duration
		opens  bool
	}{{50 * time.Millisecond, false}, {150 * time.Millisecond, true}} {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(sluggish)
			rt := ClientBreaker(b)(trip(func(*http.Request) (*http.Response, error) {
				time.Sleep(tt.header)
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: &lasting{}}, nil
			}))
			for range 2 {
				resp, err := rt.RoundTrip(outgoing(t.Context()))
				if err != nil {
					break // it has opened
				}
				defer resp.Body.Close()
				if n := b.Snapshot().Latency.InFlight; n != 0 {
					t.Errorf("%d calls are in flight after the header", n)
				}
				go func() { _, _ = io.ReadAll(resp.Body) }()
			}
			time.Sleep(time.Second)
			_, err := rt.RoundTrip(outgoing(t.Context()))
			equal(t, "opened", err != nil, tt.opens)
			time.Sleep(5 * time.Minute)
		})
	}
}

// A handler that streams is as fast as its first byte.
func TestLatencyOfAStreamIsThatOfItsFirstByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(sluggish)
		h := Breaker(b)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(10 * time.Millisecond)
			w.WriteHeader(http.StatusOK)
			time.Sleep(time.Minute)
		}))
		for range 5 {
			h.ServeHTTP(httptest.NewRecorder(), anyRequest())
		}
		equal(t, "state", b.State(), breaker.Closed)
		equal(t, "durations in the window", b.Snapshot().Latency.Count, 0) // the last is a minute old
	})
}

// A client that gives up on a hanging backend says as much as a timeout would.
func TestImpatientClientsDoNotHideAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(sluggish)
		rt := ClientBreaker(b)(trip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}))
		for range 4 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(300*time.Millisecond, cancel)
			_, _ = rt.RoundTrip(outgoing(ctx))
		}
		equal(t, "state", b.State(), breaker.Open)
		equal(t, "cause", b.Snapshot().Cause, "slow calls")
	})
}
