package httpmw

import (
	"context"
	"net/http"
	"sync"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/hedge"
)

// ClientHedgeConfig says which requests may be sent twice at once. The zero value is the default.
type ClientHedgeConfig struct {
	// Writes hedges PUT and DELETE as well. Default false: one that has lost may still arrive, after a later one of the
	// same client. Other methods that change something are never hedged, whatever keys they have.
	Writes bool
	// Skip exempts requests. nil exempts none.
	Skip func(*http.Request) bool
	// Classify turns a final status into the outcome that the hedge is told; Success is an answer. nil means ClassifyStatus,
	// but 408 and 425 are failures too, and after 501, 505, 506, 508, 510 and 511 there is no other attempt.
	Classify func(status int, h http.Header) core.Outcome
}

// ClientHedge sends a request once more that takes long, as h says, and returns the first response. Requests that change
// something on the server are sent once, and so are those with a body and no GetBody; see ClientHedgeConfig.
//
// The requests that have lost are cancelled, and what they bring is closed. The response returned lives until its body is
// read to the end or closed, or the request's context ends. If all attempts fail, and one of them got a response, that is
// returned, as it came, and no error. ResendCount of the response's request says which attempt it is of.
//
// OnLoser of h's hooks is given responses whose bodies are closed. Put it inside a ClientRetry, with one budget for both.
//
// It panics if h is nil. At most one Config.
func ClientHedge(h *hedge.Hedge, c ...ClientHedgeConfig) func(http.RoundTripper) http.RoundTripper {
	conf := atMostOne("ClientHedge", c)
	if h == nil {
		panic("httpmw: ClientHedge: nil Hedge")
	}
	return func(next http.RoundTripper) http.RoundTripper {
		return &clientHedge{clientLayer: newClientLayer("ClientHedge", next), hedge: h, conf: conf}
	}
}

type clientHedge struct {
	clientLayer
	hedge *hedge.Hedge
	conf  ClientHedgeConfig
}

// may reports whether the request may be sent twice at once.
func (t *clientHedge) may(r *http.Request) bool {
	if !safe(r.Method) && !(t.conf.Writes && idempotent(r.Method)) || hasBody(r) && r.GetBody == nil {
		return false
	}
	return t.conf.Skip == nil || !t.conf.Skip(r)
}

// RoundTrip implements http.RoundTripper.
func (t *clientHedge) RoundTrip(r *http.Request) (*http.Response, error) {
	s := &racing{t: t, r: r, ctx: r.Context()}
	var chosen *http.Response
	defer func() { s.finish(chosen) }()
	if !t.may(r) {
		s.ctx = hedge.Once(s.ctx)
	}
	resp, err := hedge.Do(s.ctx, t.hedge, s.attempt)
	if resp == nil {
		if e, ok := asStatus(err); ok {
			resp = e.resp
		}
	}
	if resp != nil {
		chosen, err = resp, nil
	}
	return resp, err
}

// racing is one request and its attempts, which run at the same time.
type racing struct {
	t   *clientHedge
	r   *http.Request
	ctx context.Context // that the hedge was given

	mu    sync.Mutex
	begun bool      // an attempt has taken over the caller's body
	over  bool      // the call is decided
	held  []arrival // of attempts, until it is
}

// arrival is a response and what ends its context.
type arrival struct {
	resp   *http.Response
	cancel context.CancelCauseFunc
}

// attempt sends the request once.
func (s *racing) attempt(ctx context.Context) (*http.Response, error) {
	if ctx == s.ctx { // the only attempt, in the caller's goroutine
		s.begun = true
		resp, err := s.t.next.RoundTrip(s.r)
		return s.judge(resp, err)
	}
	// The hedge ends ctx when the attempt has failed or the call is decided. A response must outlive both, so from
	// its arrival on its context is only the caller's.
	own, cancel := context.WithCancelCause(s.ctx)
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	held := false
	defer func() {
		stop()
		if !held {
			cancel(context.Canceled)
		}
	}()
	r, err := s.request(&attemptContext{Context: own, marks: ctx}, hedge.Attempt(ctx) == 1)
	if err != nil {
		return nil, err
	}
	resp, err := s.t.next.RoundTrip(r)
	if resp != nil && err == nil {
		if held = stop() && s.hold(arrival{resp, cancel}); !held {
			discard(resp)
			return nil, hedge.ErrLost
		}
	}
	return s.judge(resp, err)
}

// judge makes an error of a response that is a failure.
func (s *racing) judge(resp *http.Response, err error) (*http.Response, error) {
	if err != nil || resp == nil {
		return nil, err
	}
	if e := failed(resp, s.t.conf.Classify); e != nil {
		return resp, e
	}
	return resp, nil
}

// request is the request of an attempt beside others.
func (s *racing) request(ctx context.Context, first bool) (*http.Request, error) {
	s.mu.Lock()
	if s.over { // from now on the caller may do to it what they like
		s.mu.Unlock()
		return nil, hedge.ErrLost
	}
	s.begun = s.begun || first
	r := s.r.WithContext(ctx)
	r.Header = s.r.Header.Clone()
	s.mu.Unlock()
	if first || !hasBody(r) {
		return r, nil
	}
	body, err := r.GetBody()
	r.Body = body
	return r, err
}

// hold keeps a response until the call is decided; false if it is.
func (s *racing) hold(a arrival) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.held = append(s.held, a)
	return true
}

// finish lets go of all that was held but the response that is returned.
func (s *racing) finish(chosen *http.Response) {
	s.mu.Lock()
	s.over = true
	begun, held := s.begun, s.held
	s.mu.Unlock()
	if !begun {
		closeBody(s.r)
	}
	for _, a := range held {
		if a.resp == chosen {
			keep(a.resp, func() { a.cancel(context.Canceled) })
			continue
		}
		discard(a.resp)
		a.cancel(hedge.ErrLost)
	}
}

// attemptContext ends when it says and has the marks of the hedge.
type attemptContext struct {
	context.Context
	marks context.Context
}

// Value prefers its own, so that contexts made from this one find what ends it.
func (c *attemptContext) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.marks.Value(key)
}
