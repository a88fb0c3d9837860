package httpmw

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
)

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

func zlibbed(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

// coded makes a request whose body is in these codings.
func coded(body string, codings ...string) *http.Request {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header["Content-Encoding"] = codings
	return r
}

// echoBody answers with the body, or with what WriteError makes of its error.
var echoBody = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		WriteError(w, r, err)
		return
	}
	_, _ = w.Write(body)
})

// silentReader reads to the end and says nothing.
var silentReader = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return string(b)
}

func TestDecompress(t *testing.T) {
	zeros := strings.Repeat("\x00", 1<<20)
	noise := random(1 << 17)
	for _, tc := range []struct {
		name   string
		r      *http.Request
		status int
		body   string
	}{
		{"plain", coded("text"), 200, "text"},
		{"identity", coded("text", "identity"), 200, "text"},
		{"gzip", coded(gzipped("text"), "gzip"), 200, "text"},
		{"x-gzip in capitals", coded(gzipped("text"), " X-GZip "), 200, "text"},
		{"gzip of two members", coded(gzipped("te")+gzipped("xt"), "gzip"), 200, "text"},
		{"deflate", coded(zlibbed("text"), "deflate"), 200, "text"},
		{"two", coded(gzipped(zlibbed("text")), "deflate, gzip"), 200, "text"},
		{"two lines and identity", coded(gzipped(zlibbed("text")), "deflate", "identity, ,gzip"), 200, "text"},
		{"large", coded(gzipped(noise), "gzip"), 200, noise},
		{"empty", withBody(coded("", "gzip"), strings.NewReader("")), 200, ""},
		{"short and very repetitive", coded(gzipped(zeros[:grace]), "gzip"), 200, zeros[:grace]},

		{"unknown", coded("text", "br"), 415, ""},
		{"one of two unknown", coded(gzipped("text"), "gzip, br"), 415, ""},
		{"three", coded(gzipped(gzipped(gzipped("text"))), "gzip, gzip, gzip"), 415, ""},
		{"no gzip", coded("text", "gzip"), 400, ""},
		{"in the wrong order", coded(gzipped(zlibbed("text")), "gzip, deflate"), 400, ""},
		{"cut off", coded(gzipped(noise)[:1<<16], "gzip"), 400, ""},
		{"cut off in the header", coded(gzipped("text")[:5], "gzip"), 400, ""},
		{"cut off in the trailer", coded(gzipped("text")[:len(gzipped("text"))-3], "gzip"), 400, ""},
		{"rubbish after the end", coded(gzipped("text")+"x", "gzip"), 400, ""},
		{"rubbish after the end of deflate", coded(zlibbed("text")+"x", "deflate"), 400, ""},
		{"deflate cut off", coded(zlibbed("text")[:8], "deflate"), 400, ""},
		{"raw deflate", coded(zlibbed("text")[2:], "deflate"), 400, ""},
		{"above the ratio", coded(gzipped(zeros), "gzip"), 413, ""},
		{"above the limit", coded(gzipped(random(1<<18+1)), "gzip"), 413, ""},
		{"the first of two above the ratio", coded(gzipped(strings.Repeat(gzipped(""), 1<<16)), "gzip, gzip"), 413, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := mw.Must(Decompress(DecompressConfig{Max: 1 << 18}))
			raw, _ := io.ReadAll(tc.r.Body)
			again := func() *http.Request {
				r := tc.r.Clone(t.Context())
				r.Body = io.NopCloser(bytes.NewReader(raw))
				return r
			}
			w := do(h(echoBody), again())
			if tc.status == 200 {
				equal(t, "status", w.Code, 200)
				if w.Body.String() != tc.body {
					t.Errorf("body of %d bytes, want %d", w.Body.Len(), len(tc.body))
				}
				return
			}
			equal(t, "status", w.Code, tc.status)
			problemOf(t, w)
			w = do(h(silentReader), again())
			equal(t, "status for a silent handler", w.Code, tc.status)
		})
	}
}

// The wire's own error keeps its meaning, whatever the decoder says of it.
func TestDecompressKeepsTheErrorOfTheWire(t *testing.T) {
	h := mw.Must(Decompress(DecompressConfig{}))
	cut := gzipped(random(1 << 16))[:5000]
	for _, want := range []error{&http.MaxBytesError{Limit: 5000}, io.ErrUnexpectedEOF, errors.New("connection reset")} {
		r := withBody(coded("", "gzip"), io.MultiReader(strings.NewReader(cut), failing{want}))
		do(h(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err != want {
				t.Errorf("%v, want %v", err, want)
			}
			if _, err := r.Body.Read(make([]byte, 1)); err != want {
				t.Errorf("the next read: %v", err)
			}
		})), r)
	}
}

func TestDecompressTellsWhatItKnows(t *testing.T) {
	h := mw.Must(Decompress(DecompressConfig{Decoders: []Decoder{{"rot", func(r io.Reader) (io.ReadCloser, error) {
		return io.NopCloser(r), nil
	}}}}))
	body := &readSpy{}
	r := coded("", "br")
	r.Body, r.ContentLength = body, -1
	w := do(h(echoBody), r)
	equal(t, "status", w.Code, 415)
	equal(t, "Accept-Encoding", w.Header().Get("Accept-Encoding"), "gzip, deflate, rot")
	equal(t, "read", body.read, false)
	equal(t, "own decoder", do(h(echoBody), coded("text", "rot")).Body.String(), "text")
}

type readSpy struct{ read bool }

func (s *readSpy) Read([]byte) (int, error) { s.read = true; return 0, io.EOF }
func (s *readSpy) Close() error             { return nil }

// What spoke of the coded bytes does not reach the handler, and the request that outer layers look at stays as it was.
func TestDecompressRemovesWhatSpeaksOfTheCodedBody(t *testing.T) {
	r := coded(gzipped("text"), "gzip")
	for _, name := range []string{"Content-Length", "Content-Digest", "Content-Md5", "X-Other"} {
		r.Header.Set(name, "1")
	}
	body := &closeSpy{Reader: r.Body}
	r.Body = body
	h := mw.Must(Decompress(DecompressConfig{}))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		equal(t, "fields", len(r.Header), 1)
		equal(t, "length", r.ContentLength, -1)
		_, _ = io.ReadAll(r.Body)
		_ = r.Body.Close()
		r.Pattern = "/found"
	}))
	do(h, r)
	equal(t, "fields outside", len(r.Header), 5)
	equal(t, "pattern outside", r.Pattern, "/found")
	equal(t, "closed", body.closed, true)
}

// A bomb of a gigabyte is stopped after as much as the ratio allows for what was read of it.
func TestDecompressStopsABomb(t *testing.T) {
	var bomb bytes.Buffer
	zw, _ := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	for range 64 {
		_, _ = zw.Write(make([]byte, 1<<20))
	}
	_ = zw.Close()
	for name, c := range map[string]DecompressConfig{
		"ratio": {Max: 1 << 40}, "limit": {Max: 1 << 20, Ratio: core.None}, "as a first step": {Max: 1 << 20, Ratio: core.None},
	} {
		t.Run(name, func(t *testing.T) {
			body, codings := bomb.String(), "gzip"
			if name == "as a first step" {
				body, codings = gzipped(body), "gzip, gzip"
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			h := mw.Must(Decompress(c))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n, err := io.Copy(io.Discard, r.Body)
				if _, ok := errors.AsType[*http.MaxBytesError](err); !ok || n > 4<<20 {
					t.Errorf("%d bytes, %v", n, err)
				}
				WriteError(w, r, err)
			}))
			equal(t, "status", do(h, coded(body, codings)).Code, 413)
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
				t.Errorf("%d bytes allocated", grown)
			}
		})
	}
}

func TestDecompressModes(t *testing.T) {
	bomb := gzipped(strings.Repeat("\x00", 1<<20))
	for _, tc := range []struct {
		mode          core.Mode
		body, codings string
		want          string // bytes seen by the handler, Content-Encoding, what is noted
	}{
		{core.Shadow, "text", "br", "4 br unsupported_coding"},
		{core.Shadow, bomb, "gzip", "1048576  body_too_large"},
		{core.Shadow, gzipped("text"), "gzip", "4  "},
		{core.Disabled, "text", "br", "4 br "},
		{core.Disabled, gzipped("text"), "gzip", fmt.Sprint(len(gzipped("text")), " gzip ")},
	} {
		var x *exchange
		var seen string
		h := watch(&x, mw.Must(Decompress(DecompressConfig{Max: 1000, Mode: tc.mode}))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil {
				t.Error(err)
			}
			seen = fmt.Sprint(n, " ", r.Header.Get("Content-Encoding"))
		})))
		w := do(h, coded(tc.body, tc.codings))
		equal(t, "status", w.Code, 200)
		equal(t, tc.mode.String(), seen+" "+x.rec.shadowed, tc.want)
	}
}

func TestDecompressRefusesItsConfig(t *testing.T) {
	nop := func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(r), nil }
	for _, c := range []DecompressConfig{
		{Max: -1}, {Ratio: 1}, {Codings: 9}, {Mode: core.ForcedOpen},
		{Decoders: []Decoder{{"", nop}}}, {Decoders: []Decoder{{"BR", nop}}}, {Decoders: []Decoder{{"identity", nop}}},
		{Decoders: []Decoder{{"br", nil}}},
	} {
		if _, err := Decompress(c); err == nil {
			t.Errorf("%+v: accepted", c)
		}
	}
}

// A handler that leaves a goroutine behind which goes on reading gets an error, and never the bytes of another request.
func TestDecompressDecodersAreNeverShared(t *testing.T) {
	h := mw.Must(Decompress(DecompressConfig{Max: 1 << 30}))
	var left sync.WaitGroup
	handler := h(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		want := r.Header.Get("X-Letter")[0]
		begun := make(chan struct{})
		left.Go(func() {
			buf := make([]byte, 700)
			for first := true; ; first = false {
				n, err := r.Body.Read(buf)
				if first {
					close(begun)
				}
				for _, c := range buf[:n] {
					if c != want {
						t.Errorf("%q in the body of %q", c, want)
						return
					}
				}
				if err != nil {
					return
				}
			}
		})
		<-begun
	}))
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			letter := string(rune('a' + i))
			body := gzipped(strings.Repeat(letter, 1<<16))
			for range 50 {
				r := coded(body, "gzip")
				r.Header.Set("X-Letter", letter)
				handler.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
	clients.Wait()
	left.Wait()
}

func TestDecompressOverTheWire(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(mw.Must(Decompress(DecompressConfig{}))(echoBody))
		send := func(body, coding string) (int, string) {
			r, _ := http.NewRequest("POST", s.URL, strings.NewReader(body))
			r.Header.Set("Content-Encoding", coding)
			resp, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			answer, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(answer)
		}
		for range 2 { // the connection and the decoders are used again
			status, answer := send(gzipped("text"), "gzip")
			equal(t, "answer", fmt.Sprint(status, answer), "200text")
			status, _ = send(gzipped("text")[:10], "gzip")
			equal(t, "damaged", status, 400)
			status, _ = send("text", "br")
			equal(t, "unknown", status, 415)
			status, _ = send(gzipped(strings.Repeat("\x00", 1<<20)), "gzip")
			equal(t, "bomb", status, 413)
		}
	})
}

func TestDecompressCostsNothingWithoutACoding(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := httptest.NewRequest("POST", "/", http.NoBody)
	r.Body = &readSpy{}
	w := &nullWriter{http.Header{}}
	plain, with := Recover()(okHandler), Recover()(mw.Must(Decompress(DecompressConfig{}))(okHandler))
	cost := func(h http.Handler) float64 { return testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }) }
	equal(t, "allocations more", cost(with)-cost(plain), 0)
}
