package conformance

import (
	"fmt"
	"net/http"
	"strings"
)

// op is one thing that a handler does.
type op string

const (
	opSet          op = "set"           // a field, name and value
	opAdd          op = "add"           // another line of it
	opDelete       op = "delete"        // take it away
	opNil          op = "nil"           // its value becomes nil, which keeps net/http from setting it
	opStatus       op = "status"        // WriteHeader(n)
	opInfo         op = "info"          // WriteHeader(n) with 1xx; wait: until the client has seen it
	opWrite        op = "write"         // n bytes
	opWriteString  op = "write string"  // the same by io.WriteString
	opCopy         op = "copy"          // n bytes by io.Copy from a reader that can nothing else
	opCopyFile     op = "copy file"     // n bytes of a file by io.Copy
	opReadFrom     op = "read from"     // n bytes by the writer's own ReadFrom, if it has one
	opFlush        op = "flush"         // by type assertion; wait: until the client has seen all that was written
	opFlushRC      op = "flush by rc"   // by http.ResponseController
	opRead         op = "read"          // n bytes of the request's body
	opReadAll      op = "read all"      // the rest of it
	opClose        op = "close body"    // of the request
	opEcho         op = "echo"          // full duplex: write back each piece of the body as it comes
	opReadDeadline op = "read deadline" // an hour from now, or none
	opDeadline     op = "write deadline"
	opExpired      op = "expired"        // a write deadline in the past
	opPanic        op = "panic"          // with a word
	opAbort        op = "abort"          // http.ErrAbortHandler
	opGoexit       op = "goexit"         // runtime.Goexit
	opHijack       op = "hijack"         // take the connection: value says what is done with it
	opServeContent op = "serve content"  // n bytes, with ranges and conditions
	opServeFile    op = "serve file"     // the sample
	opError        op = "error"          // http.Error
	opRedirect     op = "redirect"       // http.Redirect
	opTrailerSoon  op = "announce"       // Trailer: name
	opTrailer      op = "trailer"        // its value, after the body
	opTrailerLate  op = "prefix trailer" // http.TrailerPrefix
)

type step struct {
	op          op
	n           int
	name, value string
	wait        bool
}

func (s step) String() string {
	var b strings.Builder
	b.WriteString(string(s.op))
	if s.n != 0 {
		fmt.Fprintf(&b, " %d", s.n)
	}
	if s.name != "" {
		fmt.Fprintf(&b, " %s", s.name)
	}
	if s.value != "" {
		fmt.Fprintf(&b, " %q", s.value)
	}
	if s.wait {
		b.WriteString(" and wait")
	}
	return b.String()
}

// upload is how the request's body is sent.
type upload string

const (
	noUpload      upload = ""
	plainUpload   upload = "plain"   // with its length
	chunkedUpload upload = "chunked" // without, and with a trailer
	expectUpload  upload = "expect"  // with Expect: 100-continue
	pacedUpload   upload = "paced"   // piece by piece, each after the echo of the one before
)

// scenario is one handler and the request that it gets. It is made of a seed alone.
type scenario struct {
	seed   uint64
	again  int // how often it has run before
	method string
	old    bool // HTTP/1.0, on HTTP/1.1's server
	fields http.Header
	upload upload
	length int // of the body
	json   bool
	keyed  bool // with an Idempotency-Key
	steps  []step
}

// String is what a failure prints, enough to see what the handler did.
func (s *scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %s", s.seed, s.method)
	if s.old {
		b.WriteString(" HTTP/1.0")
	}
	for name, values := range s.fields {
		fmt.Fprintf(&b, ", %s: %q", name, values)
	}
	if s.upload != noUpload {
		fmt.Fprintf(&b, ", %s body of %d", s.upload, s.length)
	}
	for i, st := range s.steps {
		fmt.Fprintf(&b, "\n    %2d %s", i, st)
	}
	return b.String()
}

// has reports whether the handler does one of these.
func (s *scenario) has(ops ...op) bool {
	for _, st := range s.steps {
		for _, o := range ops {
			if st.op == o {
				return true
			}
		}
	}
	return false
}

// piece is how much of a paced body is sent at a time.
const piece = 100

// payload is the request's body.
func (s *scenario) payload() []byte {
	if !s.json || s.length < 2 {
		return text(7, s.length)
	}
	b := text(7, s.length)
	b[0], b[len(b)-1] = '"', '"'
	return b
}

// path is the request's, another one for each protocol: caches know each other's answers.
func (s *scenario) path(h2 bool) string { return fmt.Sprintf("/s/%d/%d/%t", s.seed, s.again, h2) }

// header is the request's. So is the key.
func (s *scenario) header(h2 bool) http.Header {
	h := s.fields.Clone()
	if s.keyed {
		h.Set("Idempotency-Key", fmt.Sprintf(`"%d-%d-%t"`, s.seed, s.again, h2))
	}
	return h
}
