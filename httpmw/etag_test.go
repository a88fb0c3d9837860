package httpmw

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
)

func etag(c ETagConfig) layerFunc { return mw.Must(ETag(c)) }

// ask is a request without a body, with fields in pairs.
func ask(method, target string, fields ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

// replying is a handler that answers with a body and fields in pairs.
func replying(body string, fields ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		_, _ = io.WriteString(w, body)
	})
}

func TestETagComesFromTheBodyAndAnswers304(t *testing.T) {
	h := etag(ETagConfig{})(replying("body"))
	first := do(h, ask("GET", "/"))
	tag := first.Header().Get("Etag")
	if !isETag(tag) || strings.HasPrefix(tag, "W/") || first.Body.String() != "body" {
		t.Fatalf("tag %q, body %q", tag, first.Body)
	}
	equal(t, "another body has another tag", do(etag(ETagConfig{})(replying("other")), ask("GET", "/")).Header().Get("Etag") == tag, false)
	again := do(h, ask("GET", "/", "If-None-Match", tag))
	equal(t, "status", again.Code, 304)
	equal(t, "body", again.Body.String(), "")
	weak := do(etag(ETagConfig{Weak: true})(replying("body")), ask("GET", "/"))
	equal(t, "weak", weak.Header().Get("Etag"), "W/"+tag)
}

// RFC 9110 section 15.4.5: the row on conditional requests of the standards.
func TestNotModifiedRepeatsTheFields(t *testing.T) {
	kept := []string{
		"Cache-Control", "max-age=5", "Content-Location", "/x", "Date", "Fri, 02 Jan 2026 03:04:05 GMT",
		"Etag", `"v"`, "Expires", "Fri, 02 Jan 2026 03:04:10 GMT", "Vary", "Accept",
	}
	h := etag(ETagConfig{})(replying("body", append([]string{"Content-Type", "text/x", "Content-Length", "4", "Content-Encoding", "x"}, kept...)...))
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(h)
		r, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL, nil)
		r.Header.Set("If-None-Match", `"v"`)
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		equal(t, "status", resp.StatusCode, 304)
		for i := 0; i < len(kept); i += 2 {
			equal(t, kept[i], resp.Header.Get(kept[i]), kept[i+1])
		}
		for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding"} {
			equal(t, name, resp.Header.Get(name), "")
		}
	})
}

// TestETagLeavesAlone what is not its business: no tag, and the response as it was.
func TestETagLeavesAlone(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"too long": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 33)) },
		"flushed":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "x"); w.(http.Flusher).Flush() },
		"event stream": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: x\n\n")
		},
		"other status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); fmt.Fprint(w, "x") },
		"206":          func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(206); fmt.Fprint(w, "x") },
		"broken promise": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			fmt.Fprint(w, "x")
		},
	} {
		t.Run(name, func(t *testing.T) {
			bare, got := do(h, ask("GET", "/")), do(etag(ETagConfig{MaxBody: 32})(h), ask("GET", "/"))
			equal(t, "tag", got.Header().Get("Etag"), "")
			equal(t, "status", got.Code, bare.Code)
			equal(t, "body", got.Body.String(), bare.Body.String())
		})
	}
}

func TestETagKeepsTheHandlersTag(t *testing.T) {
	h := etag(ETagConfig{MaxBody: 1})(replying("long body", "Etag", `W/"mine"`))
	equal(t, "tag", do(h, ask("GET", "/")).Header().Get("Etag"), `W/"mine"`)
	equal(t, "not modified", do(h, ask("GET", "/", "If-None-Match", `"mine"`)).Code, 304)
}

func TestETagOfHead(t *testing.T) {
	h := etag(ETagConfig{})(replying("body"))
	equal(t, "the same tag", do(h, ask("HEAD", "/")).Header().Get("Etag"), do(h, ask("GET", "/")).Header().Get("Etag"))
	silent := etag(ETagConfig{})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	equal(t, "no body, no tag", do(silent, ask("HEAD", "/")).Header().Get("Etag"), "")
}

func TestETagByDateAlone(t *testing.T) {
	h := etag(ETagConfig{MaxBody: 1})(replying("long body", "Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT"))
	got := do(h, ask("GET", "/", "If-Modified-Since", "Fri, 02 Jan 2026 03:04:05 GMT"))
	equal(t, "status", got.Code, 304)
	equal(t, "body", got.Body.String(), "")
	equal(t, "Last-Modified", got.Header().Get("Last-Modified"), "Fri, 02 Jan 2026 03:04:05 GMT")
}

func TestETagFailedPreconditionOfGet(t *testing.T) {
	got := do(etag(ETagConfig{})(replying("body")), ask("GET", "/", "If-Match", `"x"`))
	equal(t, "status", got.Code, 412)
	equal(t, "type", got.Header().Get("Content-Type"), "application/problem+json")
	equal(t, "tag", got.Header().Get("Etag"), "")
}

// Ranges and their conditions are http.ServeContent's, through the layer.
func TestETagLeavesRangesToServeContent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f.txt")
	if err := os.WriteFile(file, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"v"`)
		http.ServeFile(w, r, file)
	})
	for _, fields := range [][]string{
		{"Range", "bytes=2-4"},
		{"Range", "bytes=2-4", "If-Range", `"v"`},
		{"Range", "bytes=2-4", "If-Range", `"old"`},
		{"Range", "bytes=20-"},
		{"Range", "bytes=2-4", "If-None-Match", `"v"`},
		{"If-Match", `"x"`},
	} {
		bare, got := do(h, ask("GET", "/", fields...)), do(etag(ETagConfig{})(h), ask("GET", "/", fields...))
		equal(t, fmt.Sprint(fields), fmt.Sprint(got.Code, got.Header(), got.Body), fmt.Sprint(bare.Code, bare.Header(), bare.Body))
	}
}

func TestETagJudgesUnsafeRequestsByCurrent(t *testing.T) {
	runs := 0
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runs++ })
	current := func(*http.Request) (string, time.Time, bool) {
		return `"v2"`, time.Date(2026, 1, 2, 3, 4, 5, 999, time.UTC), true
	}
	for _, tc := range []struct {
		fields []string
		want   int
	}{
		{nil, 200},
		{[]string{"If-Match", `"v2"`}, 200},
		{[]string{"If-Match", `"v1"`}, 412},
		{[]string{"If-None-Match", `*`}, 412},
		{[]string{"If-Unmodified-Since", "Fri, 02 Jan 2026 03:04:05 GMT"}, 200},
	} {
		runs = 0
		sink := newLogSink()
		h := mw.Chain(fullChain(t, sink), etag(ETagConfig{Current: current}))(handler)
		r := ask("PUT", "/", tc.fields...)
		body := &countReader{}
		r.Body = body
		got := do(h, r)
		equal(t, fmt.Sprint(tc.fields), got.Code, tc.want)
		equal(t, "handler ran", runs == 1, tc.want == 200)
		if tc.want == 412 {
			equal(t, "error.type", sink.next(t, "request")["error.type"], any(errorPrecondition))
			equal(t, "read of the body", body.reads, 0)
		}
		runs = 0
		h = etag(ETagConfig{Current: current, Mode: core.Shadow})(handler)
		equal(t, "in shadow", do(h, ask("PUT", "/", tc.fields...)).Code, 200)
		equal(t, "handler ran", runs, 1)
	}
}

type countReader struct{ reads int }

func (c *countReader) Read([]byte) (int, error) { c.reads++; return 0, io.EOF }
func (c *countReader) Close() error             { return nil }

func TestETagModes(t *testing.T) {
	for mode, want := range map[core.Mode]int{core.Enforce: 304, core.Shadow: 200, core.Disabled: 200} {
		h := etag(ETagConfig{Mode: mode})(replying("body", "Etag", `"v"`))
		equal(t, mode.String(), do(h, ask("GET", "/", "If-None-Match", `"v"`)).Code, want)
		h = etag(ETagConfig{Mode: mode})(replying("body"))
		equal(t, mode.String(), do(h, ask("GET", "/")).Header().Get("Etag") != "", mode == core.Enforce)
	}
}

// A panic while the body is held leaves the answer to Recover outside.
func TestETagPanicIsAnsweredOutside(t *testing.T) {
	h := mw.Chain(Recover(RecoverConfig{Logger: quiet}), etag(ETagConfig{}))(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "held")
			panic("oops")
		}))
	got := do(h, ask("GET", "/"))
	equal(t, "status", got.Code, 500)
	equal(t, "held", strings.Contains(got.Body.String(), "held"), false)
}

// Layers inside find the record of the request, and what the log says is what went over the wire.
func TestETagLetsInnerLayersFindTheRecord(t *testing.T) {
	sink := newLogSink()
	id := ""
	h := mw.Chain(fullChain(t, sink), etag(ETagConfig{}), Recover())(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			id = RequestIDFrom(r.Context())
			fmt.Fprint(w, "body")
		}))
	tag := do(h, ask("GET", "/")).Header().Get("Etag")
	entry := sink.next(t, "request")
	equal(t, "id", entry["request.id"], any(id))
	do(h, ask("GET", "/", "If-None-Match", tag))
	entry = sink.next(t, "request")
	equal(t, "status", entry["http.response.status_code"], any(int64(304)))
	equal(t, "bytes", entry["http.response.body.size"], any(int64(0)))
}

func TestETagConfigIsJudged(t *testing.T) {
	if _, err := ETag(ETagConfig{MaxBody: -1}); err == nil || !strings.Contains(err.Error(), "max_body") {
		t.Errorf("error %v", err)
	}
}
