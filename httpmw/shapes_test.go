package httpmw

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// spyWriter can do everything and notes what it was asked for.
type spyWriter struct {
	header http.Header
	calls  []string
	body   strings.Builder
}

func (s *spyWriter) note(f string, a ...any) { s.calls = append(s.calls, fmt.Sprintf(f, a...)) }

func (s *spyWriter) Header() http.Header {
	if s.header == nil {
		s.header = http.Header{}
	}
	return s.header
}
func (s *spyWriter) WriteHeader(code int)                 { s.note("WriteHeader %d", code) }
func (s *spyWriter) Write(p []byte) (int, error)          { s.note("Write %s", p); return s.body.Write(p) }
func (s *spyWriter) Flush()                               { s.note("Flush") }
func (s *spyWriter) SetReadDeadline(time.Time) error      { s.note("SetReadDeadline"); return nil }
func (s *spyWriter) SetWriteDeadline(time.Time) error     { s.note("SetWriteDeadline"); return nil }
func (s *spyWriter) EnableFullDuplex() error              { s.note("EnableFullDuplex"); return nil }
func (s *spyWriter) Push(string, *http.PushOptions) error { s.note("Push"); return nil }
func (s *spyWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	s.note("Hijack")
	return nil, nil, nil
}
func (s *spyWriter) ReadFrom(r io.Reader) (int64, error) {
	s.note("ReadFrom %T", r)
	return io.Copy(&s.body, r)
}

// Abbreviations for the tables below.
type (
	rw = http.ResponseWriter
	fl = http.Flusher
	hj = http.Hijacker
	rf = io.ReaderFrom
	pu = http.Pusher
	un = unwrapper
)

// unwrapping unwraps to the spy.
type unwrapping struct{ to http.ResponseWriter }

func (u unwrapping) Unwrap() http.ResponseWriter { return u.to }

// innerWriters returns the writers with every subset of the optional interfaces, with and without Unwrap.
func innerWriters(s *spyWriter) []http.ResponseWriter {
	u := unwrapping{s}
	return []http.ResponseWriter{
		struct{ rw }{s},
		struct {
			rw
			fl
		}{s, s},
		struct {
			rw
			hj
		}{s, s},
		struct {
			rw
			fl
			hj
		}{s, s, s},
		struct {
			rw
			rf
		}{s, s},
		struct {
			rw
			fl
			rf
		}{s, s, s},
		struct {
			rw
			hj
			rf
		}{s, s, s},
		struct {
			rw
			fl
			hj
			rf
		}{s, s, s, s},
		struct {
			rw
			pu
		}{s, s},
		struct {
			rw
			fl
			pu
		}{s, s, s},
		struct {
			rw
			hj
			pu
		}{s, s, s},
		struct {
			rw
			fl
			hj
			pu
		}{s, s, s, s},
		struct {
			rw
			rf
			pu
		}{s, s, s},
		struct {
			rw
			fl
			rf
			pu
		}{s, s, s, s},
		struct {
			rw
			hj
			rf
			pu
		}{s, s, s, s},
		struct {
			rw
			fl
			hj
			rf
			pu
		}{s, s, s, s, s},
		struct {
			rw
			un
		}{s, u},
		struct {
			rw
			fl
			un
		}{s, s, u},
		struct {
			rw
			hj
			un
		}{s, s, u},
		struct {
			rw
			rf
			pu
			un
		}{s, s, s, u},
		struct {
			rw
			fl
			hj
			rf
			pu
			un
		}{s, s, s, s, s, u},
	}
}

// abilities asks a writer, in every way that handlers do, what it can do, and returns what it said and what reached
// the spy.
func abilities(w http.ResponseWriter, s *spyWriter) string {
	s.calls = nil
	var said []string
	yes := func(name string, ok bool) {
		if ok {
			said = append(said, name)
		}
	}
	_, ok := w.(http.Flusher)
	yes("Flusher", ok)
	_, ok = w.(http.Hijacker)
	yes("Hijacker", ok)
	_, ok = w.(io.ReaderFrom)
	yes("ReaderFrom", ok)
	_, ok = w.(http.Pusher)
	yes("Pusher", ok)
	rc := http.NewResponseController(w)
	try := func(name string, err error) {
		switch {
		case err == nil:
			said = append(said, "rc."+name)
		case !errors.Is(err, http.ErrNotSupported):
			said = append(said, fmt.Sprintf("rc.%s: %v", name, err))
		}
	}
	try("SetReadDeadline", rc.SetReadDeadline(time.Time{}))
	try("SetWriteDeadline", rc.SetWriteDeadline(time.Time{}))
	try("EnableFullDuplex", rc.EnableFullDuplex())
	try("Flush", rc.Flush())
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	if p, ok := w.(http.Pusher); ok {
		_ = p.Push("/x", nil)
	}
	if r, ok := w.(io.ReaderFrom); ok {
		_, _ = r.ReadFrom(strings.NewReader("x"))
	}
	_, _, err := rc.Hijack()
	try("Hijack", err)
	if h, ok := w.(http.Hijacker); ok {
		_, _, _ = h.Hijack()
	}
	return fmt.Sprint(said, s.calls)
}

func TestWriterCanDoExactlyWhatTheInnerWriterCan(t *testing.T) {
	spy := &spyWriter{}
	seen := map[string]bool{}
	for _, inner := range innerWriters(spy) {
		want := abilities(inner, spy)
		var x exchange
		r, _ := http.NewRequest("GET", "/", nil)
		x.init(&record{}, inner, r)
		w := x.shape()
		if got := abilities(w, spy); got != want {
			t.Errorf("%T wrapped as %T:\n got %s\nwant %s", inner, w, got, want)
		}
		_, hijacker := inner.(http.Hijacker)
		_, unwraps := inner.(unwrapper)
		if x.hijacked != (hijacker || unwraps) {
			t.Errorf("%T: hijacked is %v", inner, x.hijacked)
		}
		seen[fmt.Sprintf("%T", w)] = true
	}
	equal(t, "shapes", len(seen), 16)
}

func TestShapesCostNoAllocation(t *testing.T) {
	var x exchange
	for can := range 16 {
		if n := testing.AllocsPerRun(100, func() { _ = x.shapeOf(can) }); n != 0 {
			t.Errorf("shape %04b: %v allocations", can, n)
		}
	}
}
