package httpmw

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// ClientObserveConfig is the Config of ClientObserve. The zero value is the default.
type ClientObserveConfig struct {
	// Name is what the layer is called in reports on the order of a chain. Default "ClientObserve".
	Name string
	// Begin is called before the request goes out, with what is known by then: Request, Method, BytesOut, Start. nil calls
	// nothing. If it panics there is no end to tell of.
	Begin func(ClientSummary)
}

// ClientObserve is Observe for an http.RoundTripper: it calls end once for each request. That is when RoundTrip fails or
// answers without a body, and otherwise when the body of the response was read to its end, broke off or was closed; a
// response of 101 ends when its connection is closed. So a body that its owner never closes is never told of, as its
// connection is never given back.
//
// end runs in the goroutine of whoever ends the request, under no lock. It must be short, safe for concurrent use,
// and leave the Request as it is. ClientObserve costs one allocation, the body that it puts in place of the response's. It
// panics if end is nil. At most one Config.
func ClientObserve(end func(ClientSummary), c ...ClientObserveConfig) func(http.RoundTripper) http.RoundTripper {
	config := atMostOne("ClientObserve", c)
	if config.Name == "" {
		config.Name = "ClientObserve"
	}
	if end == nil {
		panic("httpmw: " + config.Name + ": nil function")
	}
	return func(next http.RoundTripper) http.RoundTripper {
		if next == nil {
			panic("httpmw: " + config.Name + ": nil RoundTripper")
		}
		return &clientObserver{ClientObserveConfig: config, end: end, next: next}
	}
}

// ClientSummary is what became of a request that was sent. It is a value; the Request is shared and must not be kept
// longer than the call, nor changed.
type ClientSummary struct {
	Request    *http.Request
	Method     string        // GET, HEAD, ...; _OTHER for methods that no standard knows
	Status     int           // 0 if there was no answer
	BytesOut   int64         // of the request's body, as its Content-Length says; -1 if that is not known
	BytesIn    int64         // of the response's body, as far as it was read
	Start      time.Time     // when RoundTrip was called
	Answered   time.Duration // from Start to the header of the answer, or to the error
	Duration   time.Duration // from Start to the end
	ErrorType  string        // what went wrong, in one word of a fixed list; see ClientErrorType. Empty if nothing did
	Completion Completion    // Aborted: no answer, or its body broke off; Hijacked: a connection was handed over (101)
}

// clientObserver is the RoundTripper.
type clientObserver struct {
	ClientObserveConfig
	end  func(ClientSummary)
	next http.RoundTripper
}

// Unwrap returns the RoundTripper behind this one.
func (t *clientObserver) Unwrap() http.RoundTripper { return t.next }

// Layer returns the name of the middleware.
func (t *clientObserver) Layer() string { return t.Name }

// CloseIdleConnections passes on what http.Client.CloseIdleConnections asks for.
func (t *clientObserver) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (t *clientObserver) RoundTrip(r *http.Request) (*http.Response, error) {
	s := ClientSummary{Request: r, Method: method(cmp.Or(r.Method, http.MethodGet)), BytesOut: declared(r), Start: time.Now()}
	if t.Begin != nil {
		t.Begin(s)
	}
	finished := false
	defer func() {
		if !finished { // a panic of the transport, or runtime.Goexit
			s.ErrorType = errorAborted
			t.done(s)
		}
	}()
	resp, err := t.next.RoundTrip(r)
	finished = true
	s.Answered = time.Since(s.Start)
	switch {
	case err != nil:
		s.ErrorType = ClientErrorType(r.Context(), err)
		t.done(s)
	case resp == nil: // http.Client has the words for it
		s.ErrorType = errorOther
		t.done(s)
	default:
		s.Status = resp.StatusCode
		s.ErrorType = statusErrorType(resp.StatusCode, 400)
		t.answered(s, resp)
	}
	return resp, err
}

// done tells of a request that got no answer.
func (t *clientObserver) done(s ClientSummary) {
	s.Completion = Aborted
	s.Duration = s.Answered
	if s.Duration == 0 {
		s.Duration = time.Since(s.Start)
		s.Answered = s.Duration
	}
	t.end(s)
}

// answered tells of a response without a body, and puts a body that tells in place of any other.
func (t *clientObserver) answered(s ClientSummary, resp *http.Response) {
	if resp.Body == nil || resp.Body == http.NoBody {
		s.Duration = s.Answered
		t.end(s)
		return
	}
	body := &observedBody{ReadCloser: resp.Body, summary: s, tell: t.end}
	resp.Body = body
	if w, ok := body.ReadCloser.(io.Writer); ok { // 101 Switching Protocols: the body is the connection
		body.summary.Completion = Hijacked
		resp.Body = &observedConn{observedBody: body, Writer: w}
	}
}

// declared is the length of the request's body as http.Transport takes it.
func declared(r *http.Request) int64 {
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		return 0
	case r.ContentLength > 0:
		return r.ContentLength
	default: // 0 with a Body means unknown
		return -1
	}
}

// observedBody tells when the body ends.
type observedBody struct {
	io.ReadCloser
	summary ClientSummary
	tell    func(ClientSummary)
	read    atomic.Int64
	closing atomic.Bool // Close has begun: what a Read in another goroutine fails with is its doing
	told    atomic.Bool // the end of the body and Close may come from different goroutines
}

// Read tells at the end of the body, or where it breaks off.
func (b *observedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Add(int64(n))
	if err != nil && !b.closing.Load() {
		b.ended(err)
	}
	return n, err
}

// Close tells if the end was not reached: the caller had enough, which is no failure.
func (b *observedBody) Close() error {
	b.closing.Store(true)
	defer b.ended(io.EOF)
	return b.ReadCloser.Close()
}

func (b *observedBody) ended(err error) {
	if !b.told.CompareAndSwap(false, true) {
		return
	}
	s := b.summary
	s.BytesIn, s.Duration = b.read.Load(), time.Since(s.Start)
	if err != io.EOF {
		s.Completion = Aborted
		s.ErrorType = ClientErrorType(s.Request.Context(), err)
	}
	b.tell(s)
}

// observedConn is an observedBody that can be written to, and is until it is closed: its peer may be done earlier.
type observedConn struct {
	*observedBody
	io.Writer
}

// Read does not tell.
func (c *observedConn) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// CloseWrite passes on what the connection of an http.Transport can do.
func (c *observedConn) CloseWrite() error {
	if half, ok := c.ReadCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return fmt.Errorf("httpmw: CloseWrite: %w", http.ErrNotSupported)
}
