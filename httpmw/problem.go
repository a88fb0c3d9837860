package httpmw

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/mw-go/mw/httpmw/internal/intercept"
)

// problemSpec is what a problem document of RFC 9457 says. Clients see all of it: fixed and dull text only, never an
// error's.
type problemSpec struct {
	Status   int    // required; 400..599
	Type     string // URI; "" is about:blank, which means no more than the status and is left out
	Title    string // "" is the status's text
	Detail   string // left out if ""
	Instance string // URI of this occurrence; left out if ""
	Members  []member
}

// member is an extension member, such as violated-policies.
type member struct {
	Name  string
	Value any // what encoding/json makes of it
}

// problem is a document ready to be sent: immutable, for any number of responses. Writing one costs one allocation in
// this package, and what the header map and the server need.
type problem struct {
	status   int
	json     []byte
	text     []byte // for clients that take no JSON
	jsonSize string
	textSize string
}

// newProblem encodes a problem. It panics if the status is no error or a member cannot be encoded or has the name of a
// standard one: no configuration can cause that.
func newProblem(s problemSpec) *problem {
	if s.Status < 400 || s.Status > 599 {
		panic(fmt.Sprintf("httpmw: a problem with status %d", s.Status))
	}
	if s.Title == "" {
		s.Title = http.StatusText(s.Status)
	}
	doc := []byte{'{'}
	add := func(name string, value any) {
		v, err := json.Marshal(value)
		if err != nil {
			panic(fmt.Sprintf("httpmw: problem member %q: %v", name, err))
		}
		if len(doc) > 1 {
			doc = append(doc, ',')
		}
		doc = strconv.AppendQuote(doc, name)
		doc = append(append(doc, ':'), v...)
	}
	addText := func(name, value string) {
		if value != "" {
			add(name, value)
		}
	}
	addText("type", s.Type)
	addText("title", s.Title)
	add("status", s.Status)
	addText("detail", s.Detail)
	addText("instance", s.Instance)
	for _, m := range s.Members {
		switch m.Name {
		case "", "type", "title", "status", "detail", "instance":
			panic(fmt.Sprintf("httpmw: problem member %q", m.Name))
		}
		add(m.Name, m.Value)
	}
	text := s.Title
	if s.Detail != "" {
		text += ": " + s.Detail
	}
	p := &problem{status: s.Status, json: append(doc, '}', '\n'), text: []byte(text + "\n")}
	p.jsonSize, p.textSize = strconv.Itoa(len(p.json)), strconv.Itoa(len(p.text))
	return p
}

// representation lists the fields that describe the body a handler meant to send, not the one we send in its place.
var representation = [...]string{
	"Accept-Ranges", "Content-Digest", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length",
	"Content-Location", "Content-Range", "Etag", "Last-Modified", "Repr-Digest",
}

// writeProblem answers r with p, as application/problem+json or, for a client that excludes JSON and takes it, as
// text/plain. It keeps the fields that were set for this answer (Retry-After, RateLimit, cookies) and removes those
// that describe another body. It does nothing and returns false if a response has begun or its handler announced
// trailers: those carry the outcome of protocols such as gRPC, and a body in front of them would be taken for a message.
func writeProblem(w http.ResponseWriter, r *http.Request, p *problem) bool {
	if hasBegun(w) || intercept.AnnouncesTrailers(w.Header()) {
		return false
	}
	sendProblem(w, r, p)
	return true
}

// hasBegun reports whether a response has begun, as far as any writer of this package between here and the client has
// seen: a handler outside, or a writer of another package in between, may have begun it without the nearest.
func hasBegun(w http.ResponseWriter) bool {
	x := exchangeOf(w)
	for range 64 { // a bound, as there
		if x == nil || x.sent() {
			return x != nil
		}
		x = exchangeOf(x.inner)
	}
	return false
}

// sendProblem is writeProblem without a doubt that it may answer.
func sendProblem(w http.ResponseWriter, r *http.Request, p *problem) {
	h := w.Header()
	if len(h) > 0 {
		for _, name := range representation {
			delete(h, name)
		}
	}
	body, kind, size := p.json, "application/problem+json", p.jsonSize
	if wantsText(r.Header["Accept"]) {
		body, kind, size = p.text, "text/plain; charset=utf-8", p.textSize
	}
	values := []string{kind, "nosniff", "no-store", size} // one allocation for all
	h["Content-Type"] = values[0:1:1]
	h["X-Content-Type-Options"] = values[1:2:2]
	h["Cache-Control"] = values[2:3:3]
	if r.Method == http.MethodHead {
		h["Content-Length"] = values[3:4:4] // as for GET; the body is left out
		w.WriteHeader(p.status)
		return
	}
	w.WriteHeader(p.status)
	_, _ = w.Write(body) // the client may be gone; there is nobody to tell
}
