package intercept

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// bareWriter has none of the optional methods.
type bareWriter struct{ http.ResponseWriter }

type (
	testFlush  struct{}
	testHijack struct{}
	testRead   struct{}
	testPush   struct{}
)

func (testFlush) Flush()                                        {}
func (testHijack) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }
func (testRead) ReadFrom(io.Reader) (int64, error)              { return 0, nil }
func (testPush) Push(string, *http.PushOptions) error           { return nil }

// TestShapeIsThatOfTheInnerWriter goes through all 16 sets of optional methods.
func TestShapeIsThatOfTheInnerWriter(t *testing.T) {
	b := bareWriter{httptest.NewRecorder()}
	f, h, r, p := testFlush{}, testHijack{}, testRead{}, testPush{}
	for i, inner := range []http.ResponseWriter{
		b,
		struct {
			bareWriter
			testFlush
		}{b, f},
		struct {
			bareWriter
			testHijack
		}{b, h},
		struct {
			bareWriter
			testFlush
			testHijack
		}{b, f, h},
		struct {
			bareWriter
			testRead
		}{b, r},
		struct {
			bareWriter
			testFlush
			testRead
		}{b, f, r},
		struct {
			bareWriter
			testHijack
			testRead
		}{b, h, r},
		struct {
			bareWriter
			testFlush
			testHijack
			testRead
		}{b, f, h, r},
		struct {
			bareWriter
			testPush
		}{b, p},
		struct {
			bareWriter
			testFlush
			testPush
		}{b, f, p},
		struct {
			bareWriter
			testHijack
			testPush
		}{b, h, p},
		struct {
			bareWriter
			testFlush
			testHijack
			testPush
		}{b, f, h, p},
		struct {
			bareWriter
			testRead
			testPush
		}{b, r, p},
		struct {
			bareWriter
			testFlush
			testRead
			testPush
		}{b, f, r, p},
		struct {
			bareWriter
			testHijack
			testRead
			testPush
		}{b, h, r, p},
		struct {
			bareWriter
			testFlush
			testHijack
			testRead
			testPush
		}{b, f, h, r, p},
	} {
		var w Writer
		got := w.Begin(inner, httptest.NewRequest("GET", "/", nil), 0, &script{header: Pass})
		_, flushes := got.(http.Flusher)
		_, hijacks := got.(http.Hijacker)
		_, reads := got.(io.ReaderFrom)
		_, pushes := got.(http.Pusher)
		has := 0
		for bit, ok := range []bool{flushes, hijacks, reads, pushes} {
			if ok {
				has |= 1 << bit
			}
		}
		equal(t, "optional methods", has, i)
		if u, ok := got.(unwrapper); !ok || u.Unwrap() != inner {
			t.Error("it does not unwrap to the inner writer")
		}
		if err := http.NewResponseController(got).Flush(); (err == nil) != flushes {
			t.Errorf("flush by controller: %v", err)
		}
	}
}

// A writer that only unwraps to a Hijacker is taken over through the tap, which sees it.
func TestHijackByControllerIsSeen(t *testing.T) {
	inner := onlyUnwraps{bareWriter{httptest.NewRecorder()}, struct {
		bareWriter
		testHijack
	}{}}
	var w Writer
	got := w.Begin(inner, httptest.NewRequest("GET", "/", nil), 10, &script{header: Hold, later: Pass})
	if _, _, err := http.NewResponseController(got).Hijack(); err != nil {
		t.Error(err)
	}
	equal(t, "hijacked", w.Hijacked(), true)
}

type onlyUnwraps struct {
	bareWriter
	to http.ResponseWriter
}

func (o onlyUnwraps) Unwrap() http.ResponseWriter { return o.to }

func TestFlushThatCannotBeDecidesNothing(t *testing.T) {
	s := &script{header: Hold, later: Pass}
	got := s.w.Begin(bareWriter{httptest.NewRecorder()}, httptest.NewRequest("GET", "/", nil), 10, s)
	if err := http.NewResponseController(got).Flush(); err == nil {
		t.Error("no error")
	}
	equal(t, "decisions", len(s.asked), 0)
}

func TestBypasses(t *testing.T) {
	for field, want := range map[string]bool{"": false, "Upgrade": true} {
		r := httptest.NewRequest("GET", "/", nil)
		if field != "" {
			r.Header.Set(field, "websocket")
		}
		equal(t, field, Bypasses(r), want)
	}
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Content-Type", "application/grpc")
	equal(t, "grpc", Bypasses(r), true)
	equal(t, "connect", Bypasses(httptest.NewRequest("CONNECT", "/", nil)), true)
}
