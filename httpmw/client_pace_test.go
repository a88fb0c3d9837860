package httpmw

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/retry"
)

func newPacer(t testing.TB, c PacerConfig) *Pacer {
	t.Helper()
	p, err := NewPacer("test", c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// handled answers with a handler, without a network.
func handled(h http.Handler) trip {
	return func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		resp := w.Result()
		// As a transport would: the recorder keeps the case of names.
		for name, values := range resp.Header {
			if canonical := http.CanonicalHeaderKey(name); canonical != name {
				delete(resp.Header, name)
				resp.Header[canonical] = values
			}
		}
		return resp, nil
	}
}

// saying answers with the status and fields.
func saying(status int, kv ...string) trip {
	return func(*http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(kv); i += 2 {
			h.Add(kv[i], kv[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: http.NoBody}, nil
	}
}

func to(ctx context.Context, url string) *http.Request {
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		panic(err)
	}
	return r
}

// Both halves of the standard: a client that listens never meets the 429 of a server that speaks.
func TestClientPaceMeetsNo429(t *testing.T) {
	for _, listening := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			statuses := map[int]int{}
			rt := http.RoundTripper(handled(RateLimit(newLimit(ratelimit.Config{Limit: 5, Burst: 5}))(okHandler)))
			counted := trip(func(r *http.Request) (*http.Response, error) {
				resp, err := rt.RoundTrip(r)
				mu.Lock()
				statuses[resp.StatusCode]++
				mu.Unlock()
				return resp, err
			})
			paced := http.RoundTripper(counted)
			if listening {
				paced = ClientPace(newPacer(t, PacerConfig{MaxWait: time.Hour}))(counted)
			}
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					for range 20 {
						resp, err := paced.RoundTrip(outgoing(t.Context()))
						if err != nil {
							t.Error(err)
							return
						}
						resp.Body.Close()
						time.Sleep(10 * time.Millisecond)
					}
				})
			}
			wg.Wait()
			if listening {
				equal(t, "admitted", statuses[200], 60)
			}
			equal(t, "too many", statuses[429] > 0, !listening)
		})
	}
}

func TestClientPaceHeeds(t *testing.T) {
	for _, c := range []struct {
		name string
		trip trip
		wait time.Duration // that the next request needs; 0 none
	}{
		{"r and t", saying(200, "RateLimit", `"a";r=0;t=3`), 3 * time.Second},
		{"something left", saying(200, "RateLimit", `"a";r=1;t=3`), 0},
		{"two lines", saying(200, "RateLimit", `"a";r=1;t=3`, "RateLimit", `"b";r=0;t=4`), 4 * time.Second},
		{"Retry-After of 429", saying(429, "Retry-After", "2"), 2 * time.Second},
		{"Retry-After of 503", saying(503, "Retry-After", "2"), 2 * time.Second},
		{"Retry-After of 200", saying(200, "Retry-After", "2"), 0},
		{"Retry-After wins over t, shorter", saying(429, "Retry-After", "2", "RateLimit", `"a";r=0;t=4`), 2 * time.Second},
		{"Retry-After wins over t, longer", saying(429, "Retry-After", "4", "RateLimit", `"a";r=0;t=2`), 4 * time.Second},
		{"429 alone", saying(429), 0},
		{"malformed", saying(200, "RateLimit", `"a";r=0;t=3,`), 0},
		{"from a cache", saying(200, "RateLimit", `"a";r=0;t=3`, "Age", "7"), 0},
		{"from a cache that says so", saying(200, "RateLimit", `"a";r=0;t=3`, "Cache-Status", `edge; fwd=miss, inner; hit`), 0},
		{"through a cache", saying(200, "RateLimit", `"a";r=0;t=3`, "Cache-Status", `edge; fwd=miss`), 3 * time.Second},
		{"bytes", saying(200, "RateLimit", `"a";r=0;t=3`, "RateLimit-Policy", `"a";q=9;qu="content-bytes"`), 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPacer(t, PacerConfig{})
			rt := ClientPace(p)(c.trip)
			start := time.Now()
			for range 2 {
				if _, err := rt.RoundTrip(outgoing(t.Context())); err != nil {
					t.Fatal(c.name, err)
				}
			}
			took := time.Since(start)
			if took < c.wait || took > c.wait+c.wait/5 {
				t.Errorf("%s: %v, want %v and a fifth more at most", c.name, took, c.wait)
			}
			equal(t, c.name+": waited", p.Snapshot().Waited, uint64(min(c.wait, 1)))
			equal(t, c.name+": malformed", p.Snapshot().Malformed, 2*uint64(strings.Count(c.name, "malformed")))
			// Another host knows nothing of it.
			start = time.Now()
			if _, err := rt.RoundTrip(to(t.Context(), "http://other.example/")); err != nil || time.Since(start) != 0 {
				t.Errorf("%s: another host: %v after %v", c.name, err, time.Since(start))
			}
		})
	}
}

func TestClientPaceRejects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		leaving, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		for _, c := range []struct {
			name string
			conf PacerConfig
			ctx  context.Context
			want error
			took time.Duration
		}{
			{"longer than MaxWait", PacerConfig{MaxWait: time.Second}, t.Context(), core.ErrTooLong, 0},
			{"no waiting", PacerConfig{MaxWait: core.None}, t.Context(), core.ErrLimited, 0},
			{"longer than the deadline", PacerConfig{}, short, core.ErrTooLong, 0},
			{"the caller leaves", PacerConfig{}, leaving, core.ErrLeft, time.Second},
		} {
			p := newPacer(t, c.conf)
			rt := ClientPace(p)(saying(200, "RateLimit", `"a";r=0;t=3`))
			if _, err := rt.RoundTrip(outgoing(c.ctx)); err != nil {
				t.Fatal(err)
			}
			body := &bare{Reader: strings.NewReader("x")}
			start := time.Now()
			_, err := rt.RoundTrip(request(c.ctx, "POST", body))
			rejection, ok := errors.AsType[*core.Rejection](err)
			if !ok || !errors.Is(err, c.want) || rejection.RetryAfter != 3*time.Second || rejection.Policy != "test" {
				t.Errorf("%s: %v", c.name, err)
			}
			equal(t, c.name+": took", time.Since(start), c.took)
			equal(t, c.name+": closed", body.closed.Load(), 1)
			equal(t, c.name+": rejected", p.Snapshot().Rejected, 1)
		}
	})
}

func TestClientPaceJitterNeverPassesTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 50 {
			ctx, cancel := context.WithTimeout(t.Context(), 3100*time.Millisecond)
			rt := ClientPace(newPacer(t, PacerConfig{Spread: 1}))(saying(200, "RateLimit", `"a";r=0;t=3`))
			for range 2 {
				if _, err := rt.RoundTrip(outgoing(ctx)); err != nil {
					t.Error(err)
				}
			}
			cancel()
		}
	})
}

func TestClientPaceModesAndTune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, PacerConfig{Mode: core.Shadow})
		rt := ClientPace(p)(saying(200, "RateLimit", `"a";r=0;t=3`))
		send := func() (time.Duration, error) {
			start := time.Now()
			_, err := rt.RoundTrip(outgoing(t.Context()))
			return time.Since(start), err
		}
		for range 3 {
			if took, err := send(); took != 0 || err != nil {
				t.Errorf("shadow: %v, %v", took, err)
			}
		}
		s := p.Snapshot()
		equal(t, "shadowed", s.Shadowed, 2)
		equal(t, "hosts", s.Hosts, 1)
		if err := p.Tune(PacerConfig{}); err != nil {
			t.Fatal(err)
		}
		if took, err := send(); took < 3*time.Second || err != nil {
			t.Errorf("enforced: %v, %v", took, err)
		}
		if err := p.Tune(PacerConfig{Mode: core.Disabled}); err != nil {
			t.Fatal(err)
		}
		if took, err := send(); took != 0 || err != nil {
			t.Errorf("disabled: %v, %v", took, err)
		}
		if err := p.Tune(PacerConfig{Spread: 2, MaxHosts: -1}); err == nil || p.Config().Mode != core.Disabled {
			t.Errorf("%v, %+v", err, p.Config())
		}
		_, err := NewPacer("", PacerConfig{})
		equal(t, "no name", err != nil, true)
	})
}

func TestClientPaceForgetsAndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, PacerConfig{MaxHosts: 2})
		rt := ClientPace(p)(saying(200, "RateLimit", `"a";r=0;t=3`))
		send := func(i int) { _, _ = rt.RoundTrip(to(t.Context(), "http://h"+strconv.Itoa(i)+".example/")) }
		for i := range 5 {
			send(i)
		}
		s := p.Snapshot()
		equal(t, "hosts", s.Hosts, 2)
		equal(t, "overflowed", s.Overflowed, 3)
		time.Sleep(4 * time.Second)
		send(7)
		send(8)
		equal(t, "hosts later", p.Snapshot().Hosts, 2)
		equal(t, "overflowed later", p.Snapshot().Overflowed, 3)
	})
}

// The wait of the retry is on top of what the server asks for, so that the pacer inside has nothing to add.
func TestClientPaceInsideARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		rt := ClientRetry(newRetry(t, retry.Config{}))(ClientPace(newPacer(t, PacerConfig{}))(trip(func(r *http.Request) (*http.Response, error) {
			if n++; n == 1 {
				return saying(429, "Retry-After", "2")(r)
			}
			return saying(200)(r)
		})))
		start := time.Now()
		resp, err := rt.RoundTrip(outgoing(t.Context()))
		if err != nil || resp.StatusCode != 200 || time.Since(start) < 2*time.Second || time.Since(start) > 3*time.Second {
			t.Errorf("%v, %v after %v", resp, err, time.Since(start))
		}
	})
}

func TestClientPaceUserCodeThatPanics(t *testing.T) {
	for name, conf := range map[string]ClientPaceConfig{
		"Key":  {Key: func(*http.Request) core.Key { panic("key") }},
		"Skip": {Skip: func(*http.Request) bool { panic("skip") }},
	} {
		body := &bare{Reader: strings.NewReader("x")}
		equal(t, name, apart(func() {
			_, _ = ClientPace(newPacer(t, PacerConfig{}), conf)(saying(200)).RoundTrip(request(t.Context(), "POST", body))
		}) != nil, true)
		equal(t, name+": closed", body.closed.Load(), 1)
	}
	skip := ClientPaceConfig{Skip: func(*http.Request) bool { return true }}
	p := newPacer(t, PacerConfig{MaxWait: core.None})
	rt := ClientPace(p, skip)(saying(200, "RateLimit", `"a";r=0;t=3`))
	for range 2 {
		if _, err := rt.RoundTrip(outgoing(t.Context())); err != nil {
			t.Error(err)
		}
	}
	equal(t, "nil Pacer", apart(func() { ClientPace(nil) }) != nil, true)
	if named, ok := rt.(interface{ Layer() string }); !ok || named.Layer() != "ClientPace" {
		t.Errorf("%T", rt)
	}
}

func TestClientPaceAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, rt := range map[string]http.RoundTripper{
		"silent":  saying(200),
		"talking": saying(200, "RateLimit", `"a";r=1000000;t=3, "b";r=1000000;t=60`, "RateLimit-Policy", `"a";q=9;w=3`),
	} {
		resp, _ := rt.RoundTrip(nil)
		rt := ClientPace(newPacer(t, PacerConfig{}))(trip(func(*http.Request) (*http.Response, error) { return resp, nil }))
		r := outgoing(t.Context())
		equal(t, name, testing.AllocsPerRun(200, func() { _, _ = rt.RoundTrip(r) }), 0)
	}
}
