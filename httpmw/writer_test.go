package httpmw

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/mw-go/mw"
)

// TestStatusCapture walks the rules of what the status, the bytes and the calls that reach the server are.
func TestStatusCapture(t *testing.T) {
	text := func(w http.ResponseWriter, s string) { _, _ = io.WriteString(w, s) }
	for _, tc := range []struct {
		name    string
		method  string
		do      func(w http.ResponseWriter)
		status  int
		bytes   int64
		surplus int
		calls   string
	}{
		{"return", "GET", func(http.ResponseWriter) {}, 200, 0, 0, ""},
		{"write", "GET", func(w http.ResponseWriter) { text(w, "abc") }, 200, 3, 0, "Write abc"},
		{"empty write", "GET", func(w http.ResponseWriter) { _, _ = w.Write(nil) }, 200, 0, 0, "Write "},
		{"header", "GET", func(w http.ResponseWriter) { w.WriteHeader(404) }, 404, 0, 0, "WriteHeader 404"},
		{"first final wins", "GET", func(w http.ResponseWriter) { w.WriteHeader(201); w.WriteHeader(500) }, 201, 0, 1, "WriteHeader 201"},
		{"header after write", "GET", func(w http.ResponseWriter) { text(w, "a"); w.WriteHeader(500) }, 200, 1, 1, "Write a"},
		{
			"informational", "GET",
			func(w http.ResponseWriter) { w.WriteHeader(103); w.WriteHeader(102); w.WriteHeader(202) },
			202, 0, 0, "WriteHeader 103|WriteHeader 102|WriteHeader 202",
		},
		{
			"informational too late", "GET",
			func(w http.ResponseWriter) { w.WriteHeader(202); w.WriteHeader(103) },
			202, 0, 1, "WriteHeader 202",
		},
		{"101 is final", "GET", func(w http.ResponseWriter) { w.WriteHeader(101); w.WriteHeader(200) }, 101, 0, 1, "WriteHeader 101"},
		{"flush", "GET", func(w http.ResponseWriter) { w.(http.Flusher).Flush(); w.WriteHeader(500) }, 200, 0, 1, "Flush"},
		{
			"flush by controller", "GET",
			func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush(); w.WriteHeader(500) },
			200, 0, 1, "Flush",
		},
		{
			"read from", "GET",
			func(w http.ResponseWriter) {
				_, _ = io.Copy(w, onlyReader{strings.NewReader("abcd")})
				w.WriteHeader(500)
			},
			200, 4, 1, "ReadFrom httpmw.onlyReader",
		},
		{
			"read from nothing", "GET",
			func(w http.ResponseWriter) { _, _ = io.Copy(w, onlyReader{strings.NewReader("")}); w.WriteHeader(404) },
			404, 0, 0, "ReadFrom httpmw.onlyReader|WriteHeader 404",
		},
		{
			"read from after header", "GET",
			func(w http.ResponseWriter) {
				w.WriteHeader(206)
				_, _ = io.Copy(w, onlyReader{strings.NewReader("ab")})
			},
			206, 2, 0, "WriteHeader 206|ReadFrom httpmw.onlyReader",
		},
		{"hijack", "GET", func(w http.ResponseWriter) { _, _, _ = w.(http.Hijacker).Hijack() }, 0, 0, 0, "Hijack"},
		{
			"101 then hijack", "GET",
			func(w http.ResponseWriter) { w.WriteHeader(101); _, _, _ = w.(http.Hijacker).Hijack() },
			101, 0, 0, "WriteHeader 101|Hijack",
		},
		{
			"header after hijack", "GET",
			func(w http.ResponseWriter) { _, _, _ = w.(http.Hijacker).Hijack(); w.WriteHeader(500) },
			0, 0, 1, "Hijack",
		},
		{"HEAD", "HEAD", func(w http.ResponseWriter) { text(w, "abc") }, 200, 0, 0, "Write abc"},
		{"204", "GET", func(w http.ResponseWriter) { w.WriteHeader(204); text(w, "abc") }, 204, 0, 0, "WriteHeader 204|Write abc"},
		{"304", "GET", func(w http.ResponseWriter) { w.WriteHeader(304); text(w, "abc") }, 304, 0, 0, "WriteHeader 304|Write abc"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spy := &spyWriter{}
			var x *exchange
			h := watch(&x, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { tc.do(w) }))
			h.ServeHTTP(spy, httptest.NewRequest(tc.method, "/", nil))
			equal(t, "status", x.status, tc.status)
			equal(t, "final status", x.finalStatus(), tc.status)
			equal(t, "bytes", x.bytes, tc.bytes)
			equal(t, "surplus", x.surplus, tc.surplus)
			equal(t, "calls", strings.Join(spy.calls, "|"), tc.calls)
		})
	}
}

// onlyReader hides WriterTo, so that io.Copy goes to the writer's ReadFrom.
type onlyReader struct{ io.Reader }

func TestStatus101IsInformationalOnHTTP2(t *testing.T) {
	var x *exchange
	h := watch(&x, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusSwitchingProtocols)
		w.WriteHeader(http.StatusAccepted)
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.ProtoMajor, r.ProtoMinor = 2, 0
	h.ServeHTTP(&spyWriter{}, r)
	equal(t, "status", x.status, http.StatusAccepted)
}

func TestInvalidStatusPanicsAndLeavesTheResponseOpen(t *testing.T) {
	h := mw.Chain(Recover(RecoverConfig{Logger: quiet}))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(42)
	}))
	s := serve(t, h, false)
	resp, _, err := get(t, s, "/")
	if err != nil || resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("got %d, %v; want a 500", resp.StatusCode, err)
	}
}

// A source that panics in the middle of ReadFrom has sent bytes nobody counted.
func TestPanicInsideReadFromCountsAsSent(t *testing.T) {
	var x *exchange
	func() {
		defer func() { _ = recover() }()
		watch(&x, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.(io.ReaderFrom).ReadFrom(panicReader{})
		})).ServeHTTP(&spyWriter{}, httptest.NewRequest("GET", "/", nil))
	}()
	if !x.sent() {
		t.Error("the response counts as open")
	}
}

type panicReader struct{}

func (panicReader) Read([]byte) (int, error) { panic("source") }

func TestFirstReadErrorLeavesTheResponseOpen(t *testing.T) {
	h := fullChain(t, newLogSink())(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.Copy(w, onlyReader{errReader{}}); err != nil {
			http.Error(w, "no source", http.StatusBadGateway)
		}
	}))
	resp, body, _ := get(t, serve(t, h, false), "/")
	if resp.StatusCode != http.StatusBadGateway || body != "no source\n" {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("source") }

// orderHook notes when it is called and sets a field.
type orderHook struct {
	name string
	log  *[]string
}

func (h *orderHook) beforeHeader(x *exchange, status int) {
	*h.log = append(*h.log, h.name+" "+http.StatusText(status))
	x.Header().Set("X-Last", h.name)
}

func TestHeaderHooksRunOnceBeforeTheHeaderInnermostFirst(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"write":       func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")); _, _ = w.Write([]byte("y")) },
		"writeString": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "x") },
		"header":      func(w http.ResponseWriter) { w.WriteHeader(103); w.WriteHeader(200); w.WriteHeader(200) },
		"flush":       func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
		"readFrom":    func(w http.ResponseWriter) { _, _ = io.Copy(w, onlyReader{strings.NewReader("x")}) },
		"return":      func(http.ResponseWriter) {},
	} {
		t.Run(name, func(t *testing.T) {
			var log []string
			hook := func(name string) func(http.Handler) http.Handler {
				return wrap(name, probe(func(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
					x.beforeHeader(&orderHook{name, &log})
					next.ServeHTTP(w, r)
				}))
			}
			h := mw.Chain(hook("a"), hook("b"), hook("c"), hook("d"))(http.HandlerFunc(
				func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
			resp, _, _ := get(t, serve(t, h, false), "/")
			if want := []string{"d OK", "c OK", "b OK", "a OK"}; !slices.Equal(log, want) {
				t.Errorf("hooks %v, want %v", log, want)
			}
			equal(t, "X-Last", resp.Header.Get("X-Last"), "a")
		})
	}
}
