package compress

import (
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/mw-go/mw/httpmw/internal/intercept"
)

// response decides on one response and, if it is to be encoded, gets what the handler writes.
type response struct {
	w        intercept.Writer
	m        *compressor
	req      *http.Request
	choice   choice
	declared int64 // the length that the handler promised, else -1

	mu      sync.Mutex // of what is below: an encoder that two write to mixes responses
	enc     encoder    // nil before, after, and if nothing is encoded
	written int64
}

// Decide is asked by the Writer when it knows more.
func (r *response) Decide(w *intercept.Writer, m intercept.Moment) intercept.Action {
	h := w.Header()
	if m == intercept.Header {
		if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
			r.declared = n
		}
	}
	switch r.fits(w, m) {
	case never:
		return intercept.Pass
	case notNow: // but another time it could be
		vary(h)
		return intercept.Pass
	case unknown:
		return intercept.Hold
	}
	vary(h)
	if r.choice.coding < 0 {
		return intercept.Pass
	}
	coding := r.m.Codings[r.choice.coding]
	encodedHeader(h, coding)
	if r.req.Method == http.MethodHead {
		return intercept.Drop
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enc = r.m.encoders[r.choice.coding].get(w.Inner())
	return intercept.Transform
}

// verdict is whether a response may be encoded.
type verdict uint8

const (
	never   verdict = iota // neither this nor another of its kind
	notNow                 // not this one
	unknown                // its length or its type will tell
	fit
)

func (r *response) fits(w *intercept.Writer, m intercept.Moment) verdict {
	h := w.Header()
	switch {
	case len(h["Content-Encoding"]) > 0, noTransform(h["Cache-Control"]):
		return never
	case w.Status() == http.StatusNotModified:
		// What it stands for had a type and a length, which nobody knows here.
		if kind := h.Get("Content-Type"); kind != "" && !r.m.compresses(mediaType(kind)) {
			return never
		}
		r.tagOf304(h)
		return notNow
	case w.Status() < 200, w.Status() == http.StatusNoContent, w.Status() == http.StatusResetContent:
		return never
	}
	if v := r.kind(w, m); v != fit {
		return v
	}
	if w.Status() == http.StatusPartialContent || len(h["Content-Range"]) > 0 {
		return notNow
	}
	return r.length(w, m)
}

// kind judges by the type, which a handler may leave to be found in the first bytes, as net/http does.
func (r *response) kind(w *intercept.Writer, m intercept.Moment) verdict {
	h := w.Header()
	if values, set := h["Content-Type"]; set {
		switch {
		case len(values) == 0 || values[0] == "": // the handler wants none, and nobody to guess
			return never
		case r.m.compresses(mediaType(values[0])):
			return fit
		case r.choice.forced && !intercept.Streams(h):
			return fit
		default:
			return never
		}
	}
	if m == intercept.Header {
		return unknown
	}
	first := append(append(make([]byte, 0, sniffed), cut(w.Held(), sniffed)...), cut(w.Next(), sniffed-min(sniffed, len(w.Held())))...)
	if len(first) == 0 {
		if m == intercept.Stream { // the header goes out now, and nothing is known of the body
			return never
		}
		return notNow
	}
	kind := http.DetectContentType(first)
	if !r.m.compresses(mediaType(kind)) && !r.choice.forced {
		return never
	}
	h["Content-Type"] = []string{kind} // or net/http would look at the encoded bytes
	return fit
}

// sniffed is how many bytes net/http looks at.
const sniffed = 512

func cut(b []byte, n int) []byte { return b[:min(len(b), n)] }

// length judges by the size of the body.
func (r *response) length(w *intercept.Writer, m intercept.Moment) verdict {
	long := fit
	switch {
	case r.declared >= 0:
		if r.declared < int64(r.m.Min) {
			long = notNow
		}
	case m == intercept.Header:
		return unknown
	case m == intercept.End: // it all fit into what is held, which is less than Min
		long = notNow
	}
	if long == notNow && r.choice.forced && (r.declared > 0 || len(w.Held()) > 0) {
		return fit
	}
	return long
}

// noTransform finds the directive of RFC 9111 section 5.2.2.6.
func noTransform(lines []string) bool {
	for _, line := range lines {
		for directive := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(directive, " \t"), "no-transform") {
				return true
			}
		}
	}
	return false
}

// vary adds Accept-Encoding to what the response varies by.
func vary(h http.Header) {
	for _, line := range h["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.Trim(name, " \t"); name == "*" || strings.EqualFold(name, "Accept-Encoding") {
				return
			}
		}
	}
	h["Vary"] = append(h["Vary"][:len(h["Vary"]):len(h["Vary"])], "Accept-Encoding")
}

// ofPlain are the fields that speak of the bytes before they were encoded.
var ofPlain = [...]string{"Content-Length", "Accept-Ranges", "Content-Md5", "Content-Digest", "Repr-Digest", "Digest"}

func encodedHeader(h http.Header, coding string) {
	for _, name := range ofPlain {
		delete(h, name)
	}
	h["Content-Encoding"] = []string{coding}
	if tags := h["Etag"]; len(tags) > 0 {
		h["Etag"] = []string{suffixed(tags[0], coding)}
	}
}
