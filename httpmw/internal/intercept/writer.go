package intercept

import (
	"io"
	"net/http"
	"strconv"
)

// Layer decides what becomes of a response. Its methods run in the handler's goroutine.
type Layer interface {
	// Decide may read the Status, the Header, what is Held and what is Next, change the status and the header, and
	// must not write. It is called once at Header, and once more if the answer was Hold.
	Decide(w *Writer, m Moment) Action
}

// Copier is a Layer that answers Copy.
type Copier interface {
	// Copied gets what the client's side took. p is the handler's: to be copied, not kept.
	Copied(p []byte)
}

// Transformer is a Layer that answers Transform. For a status that has no body that is Pass.
type Transformer interface {
	// Write gets all of the body, what was held first. It writes to Inner, sooner or later.
	Write(p []byte) (int, error)
	// Flush writes all it got to Inner; the Writer flushes that afterwards.
	Flush() error
	// Close ends the body. It is not called for a response that ends by a panic.
	Close() error
}

// Answerer is a Layer that answers Answer.
type Answerer interface {
	// Answer writes a response of its own to Inner, whose header is what the handler made it.
	Answer()
}

// Moment is when a layer is asked.
type Moment uint8

const (
	Header Moment = iota // the status is known, nothing of it is sent
	Full                 // Next does not fit in any more
	Stream               // the handler flushes or hijacks, or the type of its body is a stream's
	End                  // the handler has returned
)

// Action is what a layer answers.
type Action uint8

const (
	undecided Action = iota
	Hold
	Pass
	Copy
	Transform
	Drop
	Answer
)

// Writer is a ResponseWriter between a handler and the one it was given. It belongs to one request and to the goroutine
// that serves it, and is not used again. The zero Writer is ready for Begin.
type Writer struct {
	inner http.ResponseWriter
	req   *http.Request
	layer Layer
	limit int

	action   Action
	status   int
	declared int64 // the Content-Length that the handler set, else -1
	surplus  int
	hijacked bool
	inTime   bool // the status was decided before the end of the request's time

	held []byte
	next []byte
	said late // what the header was when the status was decided
}

// Begin starts the interception of a response to r. limit is how many bytes of body are held at most, if the layer
// holds; 0 holds none, and a body of one byte is Full. The result has exactly those of the methods Flush, Hijack,
// ReadFrom and Push that inner has.
func (w *Writer) Begin(inner http.ResponseWriter, r *http.Request, limit int, l Layer) http.ResponseWriter {
	*w = Writer{inner: inner, req: r, layer: l, limit: limit, declared: -1}
	return w.shape()
}

// Finish is for a handler that has returned normally. It implies the status 200, and ends what is held or transformed. It
// does nothing if the response is Left.
func (w *Writer) Finish() error {
	if w.hijacked || w.Left() {
		return nil
	}
	w.imply()
	if w.action == Hold {
		if err := w.release(End); err != nil {
			return err
		}
	}
	if w.action == Transform {
		return w.layer.(Transformer).Close()
	}
	return nil
}

// Inner returns the writer that leads to the client.
func (w *Writer) Inner() http.ResponseWriter { return w.inner }

// Status returns the final status, 0 while it is open.
func (w *Writer) Status() int { return w.status }

// SetStatus changes what is sent as the final status. To be called by Decide.
func (w *Writer) SetStatus(status int) { w.status = status }

// Held returns the body that is held. It is the Writer's until the response is sent, and the caller's after Finish.
func (w *Writer) Held() []byte { return w.held }

// Next returns, at Full, what the handler writes and has no room. Otherwise nil.
func (w *Writer) Next() []byte { return w.next }

// Surplus returns how often a final status came too late and was not passed on.
func (w *Writer) Surplus() int { return w.surplus }

// Hijacked reports whether the handler took the connection.
func (w *Writer) Hijacked() bool { return w.hijacked }

// Sent reports whether the header has been passed on or the connection taken: nothing else can be answered.
func (w *Writer) Sent() bool { return w.hijacked || w.action > Hold }

// Whole reports whether what is held is as long as the handler declared, if it did.
func (w *Writer) Whole() bool {
	return w.declared < 0 || w.declared == int64(len(w.held)) || w.req.Method == http.MethodHead
}

// Header returns the header map of the response.
func (w *Writer) Header() http.Header { return w.inner.Header() }

// WriteHeader passes informational answers on and lets the layer decide on the first final status.
func (w *Writer) WriteHeader(status int) {
	switch {
	case w.hijacked || w.action != undecided:
		w.surplus++
	case status == http.StatusSwitchingProtocols && w.req.ProtoMajor < 2: // RFC 9113 section 8.6: no 101 there
		w.status, w.action = status, Pass
		w.inner.WriteHeader(status)
	case status < 200 || status > 999: // informational, or net/http panics with nothing sent
		w.inner.WriteHeader(status)
	default:
		w.begin(status)
	}
}

// imply decides the status 200 of who does not say one.
func (w *Writer) imply() {
	if w.action == undecided && !w.hijacked {
		w.begin(http.StatusOK)
	}
}

func (w *Writer) begin(status int) {
	w.status, w.inTime = status, w.req.Context().Err() == nil
	if n, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		w.declared = n
	}
	action := w.layer.Decide(w, Header)
	if action != Hold {
		_ = w.send(action) // nothing is held that could fail
		return
	}
	w.action = Hold
	w.said.freeze(w.Header())
	if Streams(w.Header()) {
		_ = w.release(Stream)
	}
}

// release ends the holding: the layer decides on the header as it was, and what the handler changed in it since comes
// back afterwards.
func (w *Writer) release(m Moment) error {
	w.said.restore(w.Header())
	action := w.layer.Decide(w, m)
	if action == Hold {
		action = Pass
	}
	err := w.send(action)
	w.said.amend(w.Header())
	return err
}

func (w *Writer) send(action Action) error {
	if action == Transform && bodyless(w.status) {
		action = Pass
	}
	w.action = action
	if action == Answer {
		w.action = Drop
		w.layer.(Answerer).Answer()
		return nil
	}
	w.inner.WriteHeader(w.status)
	if len(w.held) == 0 || bodyless(w.status) {
		return nil
	}
	_, err := w.put(w.held)
	return err
}

func bodyless(status int) bool {
	return status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
}

// Write implies the status 200 and does with p what the layer decided.
func (w *Writer) Write(p []byte) (int, error) {
	w.imply()
	if w.action != Hold || w.hijacked {
		return w.put(p)
	}
	return hold(w, p)
}

// WriteString is Write without a copy where that can be.
func (w *Writer) WriteString(s string) (int, error) {
	w.imply()
	if w.hijacked {
		return w.put([]byte(s))
	}
	switch w.action {
	case Hold:
		return hold(w, s)
	case Pass, undecided:
		return io.WriteString(w.inner, s)
	default:
		return w.put([]byte(s))
	}
}

// hold keeps p, or lets the layer decide what to do instead.
func hold[T []byte | string](w *Writer, p T) (int, error) {
	size := int64(len(w.held)) + int64(len(p))
	switch {
	case len(p) == 0 && w.req.ProtoMajor < 2: // there net/http takes it for nothing even where no body is allowed
		return 0, nil
	case bodyless(w.status):
		return 0, http.ErrBodyNotAllowed
	case w.declared >= 0 && size > w.declared: // the server's to refuse
	case size <= int64(w.limit):
		w.held = append(w.held, p...)
		return len(p), nil
	}
	w.next = []byte(p)
	err := w.release(Full)
	next := w.next
	w.next = nil
	if err != nil {
		return 0, err
	}
	return w.put(next)
}

// put does with a part of the body what the layer decided.
func (w *Writer) put(p []byte) (int, error) {
	if w.hijacked { // the server knows what to say to that
		return w.inner.Write(p)
	}
	switch w.action {
	case Copy:
		n, err := w.inner.Write(p)
		if n > 0 {
			w.layer.(Copier).Copied(p[:n])
		}
		return n, err
	case Transform:
		return w.layer.(Transformer).Write(p)
	case Drop:
		return len(p), nil
	default:
		return w.inner.Write(p)
	}
}
