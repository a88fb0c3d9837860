package httpmw

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/fallback"
)

// closeCounter counts itself closed, once.
type closeCounter struct {
	io.Reader
	closed atomic.Bool
	open   *atomic.Int64
}

func (b *closeCounter) Close() error {
	if b.closed.CompareAndSwap(false, true) {
		b.open.Add(-1)
	}
	return nil
}

// backend answers with a status and counts its requests and the bodies left open.
type backend struct {
	status int
	err    error
	asked  int
	got    string
	open   *atomic.Int64
}

func (b *backend) RoundTrip(r *http.Request) (*http.Response, error) {
	b.asked++
	if r.Body != nil {
		p, _ := io.ReadAll(r.Body)
		b.got = string(p)
		_ = r.Body.Close()
	}
	if b.err != nil {
		return nil, b.err
	}
	b.open.Add(1)
	return answering(r, b.status, &closeCounter{Reader: strings.NewReader(http.StatusText(b.status)), open: b.open}), nil
}

func TestClientFallback(t *testing.T) {
	down := errors.New("down")
	for _, tt := range []struct {
		name    string
		method  string
		first   backend
		step    backend
		status  int // 0: an error
		asked   int // the step
		stepped string
	}{
		{"success", "GET", backend{status: 200}, backend{status: 200}, 200, 0, ""},
		{"not found", "GET", backend{status: 404}, backend{status: 200}, 404, 0, ""},
		{"status", "GET", backend{status: 500}, backend{status: 201}, 201, 1, "replica"},
		{"error", "GET", backend{err: down}, backend{status: 201}, 201, 1, "replica"},
		{"both fail: the first response", "GET", backend{status: 500}, backend{status: 503}, 500, 1, ""},
		{"both fail: an error and a response", "GET", backend{err: down}, backend{status: 503}, 0, 1, ""},
		{"both fail: a response and an error", "GET", backend{status: 500}, backend{err: down}, 500, 1, ""},
		{"not idempotent", "POST", backend{status: 500}, backend{status: 201}, 500, 0, ""},
		{"not idempotent, and not sent", "POST", backend{err: core.Decision{Verdict: core.Verdict{Reason: core.ReasonOpen}}.Err()}, backend{status: 201}, 201, 1, "replica"},
		{"idempotent with a body", "PUT", backend{status: 500}, backend{status: 201}, 201, 1, "replica"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var open atomic.Int64
			tt.first.open, tt.step.open = &open, &open
			by := newStep("replica", fallback.Config{}, fallback.Hooks{})
			rt := mw.Must(ClientFallback(FallbackConfig{StepHeader: "X-Step"}, ClientFallbackStep{By: by, Transport: &tt.step}))(&tt.first)
			req, _ := http.NewRequest(tt.method, "http://shop/", strings.NewReader("order"))
			resp, err := rt.RoundTrip(req)
			equal(t, "asked", tt.step.asked, tt.asked)
			if tt.asked > 0 {
				equal(t, "what the step got", tt.step.got, "order")
			}
			if tt.status == 0 {
				var status *StatusError
				if !errors.Is(err, down) || !errors.As(err, &status) || status.Status != tt.step.status {
					t.Errorf("error %v", err)
				}
			} else {
				body, _ := io.ReadAll(resp.Body)
				equal(t, "status", resp.StatusCode, tt.status)
				equal(t, "body", string(body), http.StatusText(tt.status)) // to be read, whoever answered
				equal(t, "X-Step", resp.Header.Get("X-Step"), tt.stepped)
				_ = resp.Body.Close()
			}
			equal(t, "bodies left open", open.Load(), 0)
		})
	}
}

// A default of the program's own, and a body that cannot be had again.
func TestClientFallbackRuns(t *testing.T) {
	var open atomic.Int64
	replica := &backend{status: 200, open: &open}
	rt := mw.Must(ClientFallback(FallbackConfig{},
		ClientFallbackStep{By: newStep("replica", fallback.Config{}, fallback.Hooks{}), Transport: replica},
		ClientFallbackStep{By: newStep("default", fallback.Config{}, fallback.Hooks{}), Run: func(r *http.Request, before error) (*http.Response, error) {
			if !errors.Is(before, errBodyGone) {
				t.Errorf("before: %v", before)
			}
			return answering(r, 200, io.NopCloser(strings.NewReader("default"))), nil
		}},
	))(&backend{status: 500, open: &open})
	req, _ := http.NewRequest("PUT", "http://shop/", io.MultiReader(strings.NewReader("once")))
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	equal(t, "body", string(body), "default")
	equal(t, "asked", replica.asked, 0)
	equal(t, "bodies left open", open.Load(), 0)
}

// The step's Timeout ends with its response, whose body lives on; a step that has none in time is over.
func TestClientFallbackKeepsTheContextForTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := &trickle{parts: 3, pause: time.Second}
		slow := ClientFallbackStep{By: newStep("slow", fallback.Config{Timeout: time.Second}, fallback.Hooks{}), Transport: trip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		replica := ClientFallbackStep{By: newStep("replica", fallback.Config{Timeout: time.Second}, fallback.Hooks{}), Transport: trip(func(r *http.Request) (*http.Response, error) {
			body.ctx = r.Context()
			return answering(r, 200, body), nil
		})}
		rt := mw.Must(ClientFallback(FallbackConfig{}, slow, replica))(&backend{err: io.ErrUnexpectedEOF})
		start := time.Now()
		resp, err := rt.RoundTrip(anyRequest())
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "after", time.Since(start), time.Second)
		if all, err := io.ReadAll(resp.Body); string(all) != "partpartpart" || err != nil {
			t.Errorf("%q, %v", all, err)
		}
		if body.ctx.Err() == nil {
			t.Error("the context goes on")
		}
	})
}

// Nothing is tried for a caller who has left, whatever the error says.
func TestClientFallbackNeverForACancellation(t *testing.T) {
	var open atomic.Int64
	replica := &backend{status: 200, open: &open}
	ctx, cancel := context.WithCancel(t.Context())
	rt := mw.Must(ClientFallback(FallbackConfig{}, ClientFallbackStep{By: newStep("replica", fallback.Config{}, fallback.Hooks{}), Transport: replica}))(
		trip(func(*http.Request) (*http.Response, error) {
			cancel()
			return nil, io.ErrUnexpectedEOF
		}))
	_, err := rt.RoundTrip(httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	equal(t, "error", err, io.ErrUnexpectedEOF)
	equal(t, "asked", replica.asked, 0)
}
