package httpmw

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/timeout"
)

func withFields(fields ...string) *http.Request {
	r := anyRequest()
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

// The handler has the shortest of its own limit and what the caller said.
func TestDeadlineClampsTheBudget(t *testing.T) {
	trusted := mw.Must(TrustProxies(netip.MustParsePrefix("192.0.2.0/24"))) // where httptest's requests come from
	stranger := mw.Must(TrustProxies(netip.MustParsePrefix("10.0.0.0/8")))
	for _, tt := range []struct {
		name   string
		config DeadlineConfig
		r      *http.Request
		want   time.Duration
	}{
		{"nothing said", DeadlineConfig{}, withFields(), 10 * time.Second},
		{"less", DeadlineConfig{}, withFields("Request-Timeout", "2s"), 1900 * time.Millisecond},
		{"milliseconds", DeadlineConfig{}, withFields("Request-Timeout", "2000"), 1900 * time.Millisecond},
		{"more than our own", DeadlineConfig{}, withFields("Request-Timeout", "1h"), 10 * time.Second},
		{"gRPC", DeadlineConfig{}, withFields("Grpc-Timeout", "2S"), 1900 * time.Millisecond},
		{"the shorter of both", DeadlineConfig{}, withFields("Grpc-Timeout", "2S", "Request-Timeout", "3s"), 1900 * time.Millisecond},
		{"gRPC by name", DeadlineConfig{Header: "grpc-timeout"}, withFields("Grpc-Timeout", "2S", "Request-Timeout", "1s"), 1900 * time.Millisecond},
		{"another name", DeadlineConfig{Header: "x-budget"}, withFields("X-Budget", "2s", "Request-Timeout", "1s"), 1900 * time.Millisecond},
		{"unreadable", DeadlineConfig{}, withFields("Request-Timeout", "soon"), 10 * time.Second},
		{"twice", DeadlineConfig{}, withFields("Request-Timeout", "1s", "Request-Timeout", "2s"), 10 * time.Second},
		{"trusted", DeadlineConfig{Trusted: FromPeers(trusted)}, withFields("Request-Timeout", "2s"), 1900 * time.Millisecond},
		{"not trusted", DeadlineConfig{Trusted: FromPeers(stranger)}, withFields("Request-Timeout", "2s"), 10 * time.Second},
		{"exempt", DeadlineConfig{Skip: func(*http.Request) bool { return true }}, withFields("Request-Timeout", "2s"), core.Never},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := mw.Must(timeout.New("requests", timeout.Config{Limit: 10 * time.Second, Margin: 100 * time.Millisecond}, timeout.Hooks{}))
				do(mw.Must(Deadline(to, tt.config))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					left := core.Never
					if deadline, ok := r.Context().Deadline(); ok {
						left = time.Until(deadline)
					}
					equal(t, "left", left, tt.want)
				})), tt.r)
			})
		})
	}
}

// What cannot be answered in time is turned away: too little for the floor, for the median of late, or nothing at all.
func TestDeadlineTurnsAwayAtTheDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mw.Must(timeout.New("requests", timeout.Config{
			Limit: time.Minute, MinRest: 20 * time.Millisecond, RestQuantile: 0.5,
		}, timeout.Hooks{}))
		logs := newLogSink()
		ran := 0
		h := mw.Chain(AccessLog(AccessLogConfig{Logger: slog.New(logs)}), mw.Must(Deadline(to)))(
			http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				ran++
				time.Sleep(100 * time.Millisecond)
				fmt.Fprint(w, "done")
			}))
		ask := func(budget string) *httptest.ResponseRecorder {
			r := withFields("Request-Timeout", budget)
			r.Body = unread{t}
			return do(h, r)
		}
		equal(t, "no median yet", ask("50ms").Code, 200) // it is late, and answers for itself
		for budget, reason := range map[string]string{"10ms": "too_long", "0": "expired"} {
			before := ran
			w := ask(budget)
			equal(t, "status", w.Code, 503)
			equal(t, "Retry-After", w.Header().Get("Retry-After"), "1")
			equal(t, "body", w.Body.String(), string(problemTooLate.json))
			equal(t, "ran", ran, before)
			for {
				if e := logs.next(t, "request"); e[attrStatus] == any(int64(503)) {
					equal(t, "error.type", e[attrError], any(reason))
					break
				}
			}
		}
		for range 20 {
			ask("1s")
		}
		time.Sleep(time.Second) // the median is renewed
		equal(t, "below the median", ask("50ms").Code, 503)
		equal(t, "above it", ask("200ms").Code, 200)
		spy := &spyGuard{}
		do(mw.Chain(Guard(Guarded{Guard: spy}), mw.Must(Deadline(to)))(okHandler), withFields("Request-Timeout", "0"))
		equal(t, "outside", spy.outcome, core.Ignored) // rejections say nothing of the handler
	})
}

// unread is a body that nobody may touch.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) { u.t.Error("the body is read"); return 0, io.EOF }
func (u unread) Close() error             { return nil }

// Who gives up when the caller's time is over is answered for, and guards outside know whose time it was.
func TestDeadlineAnswersForTheCallersTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer := newBreaker(breaker.Config{ConsecutiveFailures: 1})
		logs := newLogSink()
		h := mw.Chain(AccessLog(AccessLogConfig{Logger: slog.New(logs)}), Breaker(outer), mw.Must(Deadline(newTimeout(time.Minute))))(
			http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		start := time.Now()
		w := do(h, withFields("Request-Timeout", "1s"))
		equal(t, "after", time.Since(start), time.Second)
		equal(t, "status", w.Code, 503)
		equal(t, "error.type", logs.next(t, "request")[attrError], any("expired"))
		equal(t, "breaker", outer.Snapshot().State, breaker.Closed)
		w = do(h, anyRequest())
		equal(t, "status", w.Code, 503)
		equal(t, "error.type", logs.next(t, "request")[attrError], any("timeout"))
		equal(t, "breaker", outer.Snapshot().State, breaker.Open) // our own limit is another thing
	})
}

// An enforced Timeout inside of it leaves the handler when the caller's time is over.
func TestDeadlineIsEnforcedByATimeoutInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := mw.Chain(mw.Must(Deadline(newTimeout(time.Minute))), enforcing(newTimeout(time.Minute)))(
			http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(3 * time.Second) }))
		start := time.Now()
		w := do(h, withFields("Request-Timeout", "1s"))
		equal(t, "after", time.Since(start), time.Second)
		equal(t, "status", w.Code, 503)
		time.Sleep(3 * time.Second)
	})
}

// In shadow mode the budget is judged and counted, and changes nothing.
func TestDeadlineInShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mw.Must(timeout.New("requests", timeout.Config{Limit: time.Minute, MinRest: time.Second, Mode: core.Shadow}, timeout.Hooks{}))
		w := do(mw.Must(Deadline(to))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Second)
			if _, ok := r.Context().Deadline(); ok || r.Context().Err() != nil {
				t.Error("the budget is in the context")
			}
			fmt.Fprint(w, "done")
		})), withFields("Request-Timeout", "10ms"))
		equal(t, "status", w.Code, 200)
		equal(t, "shadowed", to.Snapshot().Shadowed, 1)
	})
}

func TestDeadlineConfigs(t *testing.T) {
	if _, err := Deadline(nil); err == nil {
		t.Error("a nil timeout is taken")
	}
	for _, err := range []error{DeadlineConfig{Header: "a b"}.Validate(), ClientDeadlineConfig{Header: "a\n"}.Validate()} {
		if err == nil || !strings.Contains(err.Error(), "header") {
			t.Errorf("header: %v", err)
		}
	}
	_, err := ClientDeadline(ClientDeadlineConfig{Margin: time.Hour})
	if err == nil || !strings.Contains(err.Error(), "margin") {
		t.Errorf("margin: %v", err)
	}
}

func TestClientDeadline(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config ClientDeadlineConfig
		left   time.Duration // 0: no deadline
		has    string
		want   string
	}{
		{"none", ClientDeadlineConfig{}, 0, "", ""},
		{"none, passed on", ClientDeadlineConfig{}, 0, "5s", "5s"},
		{"a deadline", ClientDeadlineConfig{}, 2 * time.Second, "", "1990ms"},
		{"without a margin", ClientDeadlineConfig{Margin: core.None}, 2 * time.Second, "", "2000ms"},
		{"a margin beyond half", ClientDeadlineConfig{Margin: time.Minute}, 2 * time.Second, "", "1000ms"},
		{"next to nothing", ClientDeadlineConfig{}, time.Microsecond, "", "1ms"},
		{"passed on, too long by now", ClientDeadlineConfig{}, 2 * time.Second, "5s", "1990ms"},
		{"passed on, shorter", ClientDeadlineConfig{}, 2 * time.Second, "500", "500"},
		{"gRPC", ClientDeadlineConfig{Header: "grpc-timeout"}, 2 * time.Second, "", "1990000u"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				field := "Request-Timeout"
				if tt.config.Header != "" {
					field = fieldGRPCTimeout
				}
				req := anyRequest()
				if tt.has != "" {
					req.Header.Set(field, tt.has)
				}
				if tt.left > 0 {
					ctx, cancel := context.WithTimeout(t.Context(), tt.left)
					defer cancel()
					req = req.WithContext(ctx)
				}
				rt := mw.Must(ClientDeadline(tt.config))(trip(func(r *http.Request) (*http.Response, error) {
					equal(t, field, r.Header.Get(field), tt.want)
					return nil, io.ErrUnexpectedEOF
				}))
				if _, err := rt.RoundTrip(req); err != io.ErrUnexpectedEOF {
					t.Error(err)
				}
				equal(t, "the caller's request", req.Header.Get(field), tt.has)
			})
		})
	}
}

// A budget shrinks at every hop, through real services.
func TestBudgetShrinksAcrossHops(t *testing.T) {
	const hops = 4
	var seen []time.Duration // one request at a time
	var url string
	var client *http.Client
	h := mw.Must(Deadline(newTimeout(time.Hour)))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = append(seen, budgetOf(r.Header, fieldRequestTimeout, parseBudget))
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		if n == hops {
			return
		}
		req, _ := http.NewRequestWithContext(r.Context(), "GET", fmt.Sprintf("%s?n=%d", url, n+1), nil)
		resp, err := client.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		_ = resp.Body.Close()
	}))
	s := serve(t, h, false)
	url, client = s.URL, &http.Client{Transport: mw.Must(ClientDeadline())(s.Client().Transport)}
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", url+"?n=1", nil)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	equal(t, "hops", len(seen), hops)
	last := hang
	for i, left := range seen {
		if left > last-10*time.Millisecond || left <= 0 {
			t.Errorf("hop %d: %v after %v", i+1, left, last)
		}
		last = left
	}
}
