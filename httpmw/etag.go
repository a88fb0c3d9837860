package httpmw

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/httpmw/internal/intercept"
)

// ETagConfig is the Config of ETag. The zero value is the default.
type ETagConfig struct {
	// MaxBody is how much of a body is held to compute its entity tag; a longer one is passed on without. Bytes. Default
	// 262144, 256 KiB. Range 1 to 67108864.
	MaxBody int `default:"262144" range:"1..67108864"`
	// Weak makes the computed tags weak, for handlers whose bodies differ in ways that do not matter. Default false.
	Weak bool
	// Current tells the state of the resource that an unsafe request is about, so that its preconditions are judged
	// before the handler runs: the entity tag as in the field, "" if it has none, and when it was last modified, the
	// zero time if that is not known. exists is false if there is no such resource. nil leaves the preconditions of
	// unsafe requests to the handler. It must be safe for concurrent use and not read the body.
	Current func(r *http.Request) (etag string, modified time.Time, exists bool) `key:"-"`
	// Mode says whether requests are answered with 304 and 412. In shadow mode they are not, and no entity tag is
	// sent. Default enforce.
	Mode core.Mode `default:"enforce" range:"enforce|shadow|disabled"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c ETagConfig) Validate() error { return schema.Validate(c) }

// ETag returns a middleware for conditional requests (RFC 9110 section 13). It gives responses an entity tag and answers
// who has the response already with a 304.
//
// A 200 to GET without an ETag of the handler's own is held until the handler returns, up to MaxBody, and gets a strong
// entity tag from the SHA-256 of its body. Then, or at once if the handler has set an ETag, the request's preconditions
// are evaluated in the order If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since against that tag and the
// handler's Last-Modified. A 304 repeats the fields of the response but for those of its body, as far as the client
// needs them; a 412 is a problem document. HEAD is answered like GET if its handler writes the body; else it has no
// computed tag, for it would not be that of the body.
//
// Nothing is held of other statuses, of 206 and ranges, which are http.ServeContent's, of event streams, gRPC and upgrades;
// a handler that flushes, writes more than MaxBody or does not write the Content-Length it promised is passed on without a
// tag. It saves bandwidth, not work: the handler runs every time.
//
// The preconditions of unsafe methods are evaluated before the handler if Current is set: If-Match against lost updates,
// If-None-Match: * against double creation. Between Current and what the handler does the resource may change; the handler
// must compare once more within its transaction if that matters.
//
// It belongs inside of Compress, which makes the tag that of the coded body. It fails if the Config does not validate.
func ETag(c ETagConfig) (func(http.Handler) http.Handler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return wrap("ETag", &etagger{schema.Fill(c)}), nil
}

type etagger struct{ ETagConfig }

func (m *etagger) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	switch {
	case m.Mode == core.Disabled || intercept.Bypasses(r):
		next.ServeHTTP(w, r)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		t := &tagging{m: m, x: x, r: r}
		next.ServeHTTP(t.w.Begin(w, r, m.MaxBody, t), r)
		t.finish()
	case m.fails(x, r):
		x.rec.fail(errorPrecondition)
		writeProblem(w, r, problemPrecondition)
	default:
		next.ServeHTTP(w, r)
	}
}

// fails judges an unsafe request by the current state of the resource.
func (m *etagger) fails(x *exchange, r *http.Request) bool {
	if m.Current == nil || !isConditional(r.Header) || r.Method == http.MethodOptions || r.Method == http.MethodTrace {
		return false
	}
	var v validators
	v.etag, v.modified, v.exists = m.Current(r)
	v.modified = v.modified.Truncate(time.Second) // a field has no more
	if precondition(r, v) == 0 {
		return false
	}
	if m.Mode == core.Shadow {
		x.rec.shadow(errorPrecondition)
		return false
	}
	return true
}

// tagging is ETag at work on one response.
type tagging struct {
	w intercept.Writer
	m *etagger
	x *exchange
	r *http.Request
}

// Decide implements intercept.Layer.
func (t *tagging) Decide(w *intercept.Writer, m intercept.Moment) intercept.Action {
	h := w.Header()
	switch {
	case w.Status() != http.StatusOK || m == intercept.Stream:
		return intercept.Pass
	case m == intercept.Header && len(h["Etag"]) == 0 && !intercept.Streams(h):
		return intercept.Hold
	case m == intercept.End && w.Whole() && (t.r.Method == http.MethodGet || len(w.Held()) > 0) && t.m.Mode == core.Enforce:
		h.Set("Etag", tagOf(w.Held(), t.m.Weak))
	}
	switch status := precondition(t.r, validatorsOf(h)); {
	case status == 0:
	case t.m.Mode == core.Shadow:
		if status == http.StatusPreconditionFailed {
			t.x.rec.shadow(errorPrecondition)
		}
	case status == http.StatusNotModified:
		notModified(h)
		w.SetStatus(status)
		return intercept.Drop
	default:
		return intercept.Answer
	}
	return intercept.Pass
}

// Answer implements intercept.Answerer.
func (t *tagging) Answer() {
	t.x.rec.fail(errorPrecondition)
	delete(t.w.Header(), "Trailer")
	sendProblem(t.w.Inner(), t.r, problemPrecondition)
}

// finish is for a handler that has returned normally. One that says nothing to a request with a body has said 200 only if no
// layer outside answers because of that body.
func (t *tagging) finish() {
	if t.w.Status() == 0 && t.r.Body != nil && t.r.Body != http.NoBody {
		return
	}
	_ = t.w.Finish() // the client may be gone; there is nobody to tell
}

// tagOf returns the entity tag of a body: 128 bits of its SHA-256, so that nobody finds two bodies with the same.
func tagOf(body []byte, weak bool) string {
	sum := sha256.Sum256(body)
	tag := make([]byte, 0, 28)
	if weak {
		tag = append(tag, "W/"...)
	}
	tag = append(tag, '"')
	tag = base64.RawURLEncoding.AppendEncode(tag, sum[:16])
	return string(append(tag, '"'))
}
