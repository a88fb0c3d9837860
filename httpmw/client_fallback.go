package httpmw

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/mw-go/mw/core/fallback"
)

// ClientFallbackStep is a place to ask when those before it have failed. It has one of Transport and Run.
type ClientFallbackStep struct {
	// By is the step's policy: its name, time, limit and mode. Required.
	By *fallback.Fallback
	// Transport sends the request again, somewhere else. It is not used for a request that may have changed something
	// already: one that is neither idempotent by its method nor has an Idempotency-Key, unless before it was not sent at
	// all; nor for one whose body cannot be had again (Request.GetBody).
	Transport http.RoundTripper
	// Run makes a response, such as a default. before is the last failure, a *StatusError for a response. r's body is not to
	// be read.
	Run func(r *http.Request, before error) (*http.Response, error)

	name string
}

// ClientFallback is Fallback for an http.RoundTripper: when there is no response, or it is a failure by its status, the
// steps are asked in order. If none has an answer, the caller gets the first response, or all errors, joined.
//
// A step's time is over with its response; the context of what it sends lives until the body has ended or is closed. The
// bodies of all other responses are closed. Nothing is tried for a caller who has left or whose deadline has passed.
//
// It belongs outside of retries and of all guards. It fails if there is no step, if one has no policy or not one of
// Transport and Run, and if the Config does not validate. Buffer is not used.
func ClientFallback(c FallbackConfig, steps ...ClientFallbackStep) (func(http.RoundTripper) http.RoundTripper, error) {
	c, err := c.prepare()
	if err != nil {
		return nil, err
	}
	if len(steps) == 0 {
		return nil, errNoSteps
	}
	steps = append([]ClientFallbackStep(nil), steps...)
	for i, s := range steps {
		if s.By == nil || (s.Transport == nil) == (s.Run == nil) {
			return nil, fmt.Errorf("httpmw: ClientFallback: step %d: want By, and one of Transport and Run", i+1)
		}
		steps[i].name = s.By.Status().Policy.Name
	}
	return func(next http.RoundTripper) http.RoundTripper {
		return &clientFallback{newClientLayer("ClientFallback", next), c, steps}
	}, nil
}

type clientFallback struct {
	clientLayer
	config FallbackConfig
	steps  []ClientFallbackStep
}

// RoundTrip implements http.RoundTripper.
func (t *clientFallback) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	switch {
	case err != nil:
		resp = nil
	case resp == nil:
		return nil, nil // http.Client has the words for it
	default:
		failure := failed(resp, t.config.Classify)
		if failure == nil {
			return resp, nil
		}
		err = failure
	}
	kept := false
	defer func() { // also when a step panics
		if !kept {
			discard(resp)
		}
	}()
	chain := make(fallback.Chain[*http.Response], len(t.steps))
	for i := range t.steps {
		chain[i] = fallback.Step[*http.Response]{By: t.steps[i].By, Run: func(ctx context.Context, before error) (*http.Response, error) {
			return t.run(&t.steps[i], ctx, r, before, unprocessed(err))
		}}
	}
	other, all := fallback.Do(r.Context(), chain, func(context.Context) (*http.Response, error) { return nil, err })
	switch {
	case all == nil:
		return other, nil
	case resp != nil:
		kept = true
		return resp, nil
	default:
		return nil, all
	}
}

// run lets a step answer. unsent is whether nobody has seen the request so far.
func (t *clientFallback) run(s *ClientFallbackStep, ctx context.Context, r *http.Request, before error, unsent bool) (*http.Response, error) {
	inner, cancel := context.WithCancelCause(r.Context())
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	handed := false
	defer func() {
		if stop(); !handed {
			cancel(nil)
		}
	}()
	again := r.WithContext(inner)
	run := s.Run
	if s.Transport != nil {
		if err := repeat(again, unsent); err != nil {
			return nil, err
		}
		run = func(r *http.Request, _ error) (*http.Response, error) { return s.Transport.RoundTrip(r) }
	} else if again.Body != nil {
		again.Body = http.NoBody
	}
	resp, err := run(again, before)
	switch {
	case err != nil:
		return nil, err
	case resp == nil:
		return nil, errNoResponse
	}
	if failure := failed(resp, t.config.Classify); failure != nil {
		discard(resp)
		return nil, failure
	}
	if t.config.StepHeader != "" {
		if resp.Header == nil {
			resp.Header = http.Header{}
		}
		resp.Header[t.config.StepHeader] = []string{s.name}
	}
	handed = true
	keep(resp, func() { cancel(nil) })
	return resp, nil
}

var (
	errNoResponse = errors.New("httpmw: ClientFallback: a step returned neither a response nor an error")
	errUnsafe     = errors.New("httpmw: ClientFallback: the request may have been executed, and is not sent again")
	errBodyGone   = errors.New("httpmw: ClientFallback: the request's body cannot be had again")
)

// repeat makes r ready to be sent once more.
func repeat(r *http.Request, unsent bool) error {
	if !unsent && !idempotent(r.Method) && !hasKey(r) {
		return errUnsafe
	}
	if !hasBody(r) {
		return nil
	}
	if r.GetBody == nil {
		return errBodyGone
	}
	body, err := r.GetBody()
	if err != nil {
		return err
	}
	r.Body = body
	return nil
}
