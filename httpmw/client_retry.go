package httpmw

import (
	"context"
	"fmt"
	"net/http"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/internal/reqid"
)

// ClientRetryConfig says which requests are sent again, and how. The zero value is the default.
type ClientRetryConfig struct {
	// Repeatable says whether a request may be sent again when nobody knows what became of it. nil means: GET, HEAD, OPTIONS,
	// TRACE, QUERY, PUT and DELETE, and whatever has an Idempotency-Key. One way to say yes to a single request is the
	// one of net/http: r.Header["Idempotency-Key"] = nil sends no such field.
	Repeatable func(*http.Request) bool
	// Classify turns a final status into the outcome that the retry is told; Success is returned as it is. nil means
	// ClassifyStatus, but 408 and 425 are failures too, and 501, 505, 506, 508, 510 and 511 are not sent again.
	Classify func(status int, h http.Header) core.Outcome
	// IdempotencyKeys gives each POST and PATCH that has none an Idempotency-Key of 128 random bits, the same for all
	// attempts, and so makes it repeatable. Set it if the server heeds the field. Default false.
	IdempotencyKeys bool
	// MaxReplay is how much of a body without GetBody is kept to be sent again; a request with a longer one is sent once. Bytes.
	// Default 64 KiB (0); core.None keeps nothing.
	MaxReplay int
}

const defaultMaxReplay = 64 << 10

// ClientRetry sends requests again that fail, as r says: after its delays, within its budget, before the deadline of the
// request. A request is sent again only if that is safe: see ClientRetryConfig.Repeatable. Those that are not are sent
// again if it is certain that the server has not begun with them: no connection could be made, the stream was refused
// (HTTP/2), a guard further in rejected them (and r retries rejections), or the answer is 425.
//
// An error about a certificate, the scheme, the fields or redirects is final. So is everything once the response has been
// handed over: what happens to its body later is for the caller to handle.
//
// The Retry-After of a response, in seconds or as a date, is the least delay; jitter is on top of it. If it is longer than r
// allows, or than the deadline, the response is returned at once. When there is no further attempt and the last one
// got a response, the response is returned as it came, with its body, and no error. Otherwise the error is the
// transport's own if there was one attempt, and a *retry.Error round it if there were several, or the caller left
// during a delay.
//
// The body comes from GetBody if the request has it; otherwise what has been read is kept, up to MaxReplay. Each attempt has a
// request of its own; the caller's is not changed, and its Body is closed in any case. Small bodies of responses that are
// not returned are read to their end, others are closed; neither takes long.
//
// A retry further in makes one attempt of each that is not the first here. Classify of r's hooks, if set, is given a
// *StatusError for a response. r's AttemptTimeout covers the reading of the body. A first attempt that succeeds costs no
// allocation, if the request has GetBody or no body, and there is no AttemptTimeout.
//
// It panics if r is nil. At most one Config.
func ClientRetry(r *retry.Retry, c ...ClientRetryConfig) func(http.RoundTripper) http.RoundTripper {
	conf := atMostOne("ClientRetry", c)
	if r == nil {
		panic("httpmw: ClientRetry: nil Retry")
	}
	if conf.MaxReplay == 0 {
		conf.MaxReplay = defaultMaxReplay
	}
	return func(next http.RoundTripper) http.RoundTripper {
		return &clientRetry{clientLayer: newClientLayer("ClientRetry", next), retry: r, conf: conf}
	}
}

// ResendCount returns how often the request with this context has been sent before, by ClientRetry or ClientHedge: the
// http.request.resend_count of a trace. Ask it with the context of the request that a RoundTripper further in is
// given, or of Response.Request.
func ResendCount(ctx context.Context) int { return retry.Attempt(ctx) - 1 + hedge.Attempt(ctx) - 1 }

type clientRetry struct {
	clientLayer
	retry *retry.Retry
	conf  ClientRetryConfig
}

// RoundTrip implements http.RoundTripper.
func (t *clientRetry) RoundTrip(r *http.Request) (*http.Response, error) {
	s := sending{t: t, r: r}
	defer s.finish()
	s.prepare()
	resp, release, err := retry.DoKeeping(r.Context(), t.retry,
		func(ctx context.Context) (*http.Response, error) { return s.attempt(ctx) },
		func(resp *http.Response, _ error) {
			s.waited = true
			discard(resp)
		})
	switch {
	case resp != nil: // the last one, be it a failure
		if s.owned {
			keep(resp, release)
		}
		return resp, nil
	case s.attempts == 0 && err != nil:
		err = context.Cause(r.Context()) // as net/http does
	case s.attempts == 1 && !s.waited:
		err = s.err
	}
	release()
	return nil, err
}

// sending is one request and its attempts.
type sending struct {
	t          *clientRetry
	r          *http.Request
	repeatable bool
	key        string  // to be sent as Idempotency-Key
	replay     *replay // of a body without GetBody

	attempts int
	owned    bool  // the last one has a context of its own
	waited   bool  // another attempt was decided
	err      error // of the transport, in the last attempt
}

func (s *sending) prepare() {
	conf, r := &s.t.conf, s.r
	switch {
	case conf.Repeatable != nil:
		s.repeatable = conf.Repeatable(r)
	default:
		s.repeatable = idempotent(r.Method) || hasKey(r)
	}
	if conf.IdempotencyKeys && !hasKey(r) && (r.Method == http.MethodPost || r.Method == http.MethodPatch) {
		s.key, s.repeatable = `"`+reqid.New()+`"`, true
	}
	if hasBody(r) && r.GetBody == nil && conf.MaxReplay > 0 {
		s.replay = &replay{limit: conf.MaxReplay, src: r.Body}
	}
}

// finish sees to the caller's body, which the transport closes unless it never got it.
func (s *sending) finish() {
	switch {
	case s.replay != nil:
		s.replay.finish()
	case s.attempts == 0:
		closeBody(s.r)
	}
}

// attempt sends the request once.
func (s *sending) attempt(ctx context.Context) (*http.Response, error) {
	s.owned = ctx != s.r.Context()
	r, err := s.request(ctx)
	s.attempts++
	if err != nil {
		s.err = err
		return nil, retry.Permanent(err)
	}
	resp, err := s.t.next.RoundTrip(r)
	s.err = err
	if err != nil {
		return nil, s.judge(err)
	}
	if resp == nil { // http.Client has the words for it
		return nil, nil
	}
	e := failed(resp, s.t.conf.Classify)
	if e == nil {
		return resp, nil
	}
	tooEarly := resp.StatusCode == http.StatusTooEarly
	relayed := tooEarly && len(s.r.Header["Early-Data"]) > 0 // it is for whoever sent it early (RFC 8470 section 5.2)
	e.final = e.final || relayed || !(s.repeatable || tooEarly) || !s.rewindable()
	return resp, e
}

// judge marks the errors after which the request must not be sent again.
func (s *sending) judge(err error) error {
	if hopeless(err) || !(s.repeatable || unprocessed(err)) || !s.rewindable() {
		return retry.Permanent(err)
	}
	return err
}

// rewindable reports whether the body can be sent again.
func (s *sending) rewindable() bool {
	if s.replay != nil {
		return s.replay.possible()
	}
	return !hasBody(s.r) || s.r.GetBody != nil
}

// request is the request of the next attempt: the caller's own, if that is all right, else a copy.
func (s *sending) request(ctx context.Context) (*http.Request, error) {
	first := s.attempts == 0
	if first && !s.owned && s.key == "" && s.replay == nil {
		return s.r, nil
	}
	r := s.r.WithContext(ctx)
	if !first || s.key != "" {
		if r.Header = s.r.Header.Clone(); r.Header == nil {
			r.Header = http.Header{}
		}
	}
	if s.key != "" {
		r.Header[fieldIdempotencyKey] = []string{s.key}
	}
	switch {
	case s.replay != nil:
		if r.Body = s.replay.next(); r.Body == nil {
			return nil, errNoReplay
		}
	case !first && hasBody(s.r):
		body, err := s.r.GetBody()
		if err != nil {
			return nil, fmt.Errorf("httpmw: ClientRetry: GetBody: %w", err)
		}
		r.Body = body
	}
	return r, nil
}
