package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestStandardLibrary pins what net/http does by itself and the documentation of httpmw relies on or warns of. When one of
// these changes with a release of Go, the text beside it has to change.
func TestStandardLibrary(t *testing.T) {
	for _, fact := range facts {
		t.Run(fact.name, func(t *testing.T) {
			if got := fact.is(t); got != fact.want {
				t.Errorf("%s: %s, and it was %s", fact.reliesOnIt, got, fact.want)
			}
		})
	}
}

// facts are what is pinned, and where it matters.
var facts = []struct {
	name, reliesOnIt string
	is               func(t *testing.T) string
	want             string
}{
	{"TimeoutHandler takes 103 for the final status", "Timeout, enforced", func(t *testing.T) string {
		return summary(t, http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(201)
		}), time.Hour, ""), nil)
	}, "200"},
	{"TimeoutHandler can nothing", "Timeout, enforced", func(t *testing.T) string {
		said := make(chan string, 1)
		summary(t, http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { said <- able(w) }), time.Hour, ""), nil)
		return <-said
	}, "flush: no, hijack: no, read deadline: no, write deadline: no, full duplex: no, flusher: false, hijacker: false"},
	{"TimeoutHandler holds all", "Timeout, enforced", func(t *testing.T) string {
		rec := httptest.NewRecorder()
		seen := -1
		http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, 1<<20))
			seen = rec.Body.Len()
		}), time.Hour, "").ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
		return fmt.Sprint(seen, " then ", rec.Body.Len())
	}, "0 then 1048576"},
	{"TimeoutHandler answers 503 in HTML or as it was told", "Timeout", func(t *testing.T) string {
		return summary(t, http.TimeoutHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), time.Millisecond, "late"), nil)
	}, "503 late"},
	{"a write after TimeoutHandler's time fails", "Timeout, enforced", func(t *testing.T) string {
		said := make(chan string, 1)
		summary(t, http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			for { // the context is done a moment before the handler is left
				if _, err := w.Write(nil); err != nil {
					said <- told(err)
					return
				}
			}
		}), time.Millisecond, ""), nil)
		return <-said
	}, "handler timeout"},
	{"the server's writer can all", "doc.go: one record a request", func(t *testing.T) string {
		said := make(chan string, 1) // the connection is gone before the handler is done
		summary(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { said <- able(w) }), nil)
		return <-said
	}, "flush: yes, hijack: yes, read deadline: yes, write deadline: yes, full duplex: yes, flusher: true, hijacker: true"},
	{"ResponseController unwraps", "exchange.Unwrap", func(t *testing.T) string {
		said := make(chan string, 1)
		summary(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { said <- able(full{plain2{w}}) }), nil)
		return <-said
	}, "flush: yes, hijack: yes, read deadline: yes, write deadline: yes, full duplex: yes, flusher: true, hijacker: false"},
	{"ResponseController asks the nearest that can", "intercept.FlushError", func(*testing.T) string {
		n := 0
		_ = http.NewResponseController(full{flushCounter{httptest.NewRecorder(), &n}}).Flush()
		return fmt.Sprint(n)
	}, "1"},
	{"a copy of a file goes on beyond the declared length", "allowed_test.go: holding layers send what was declared", func(t *testing.T) string {
		var n int64
		var err error
		summary(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			n, err = w.(io.ReaderFrom).ReadFrom(onlyReader{bytes.NewReader(text(0, 5000))})
		}), nil)
		return fmt.Sprint(n, " ", told(err))
	}, "5000 ok"},
	{"a write beyond the declared length fails", "intercept.hold", func(t *testing.T) string {
		var err error
		summary(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, err = w.Write(text(0, 5000))
		}), nil)
		return told(err)
	}, "longer than declared"},
	{"an empty write after 204 is no fault on HTTP/1.1", "intercept.hold", func(t *testing.T) string {
		var err error
		summary(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
			_, err = w.Write(nil)
		}), nil)
		return told(err)
	}, "ok"},
	{"a status of 1xx is passed on, and decides nothing", "exchange.WriteHeader", func(t *testing.T) string {
		return summary(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(201)
		}), nil)
	}, "201"},
	{"CrossOriginProtection believes Sec-Fetch-Site", "CSRF", func(t *testing.T) string {
		return crossOrigin("POST", "Sec-Fetch-Site", "same-origin") + crossOrigin("POST", "Sec-Fetch-Site", "cross-site") +
			crossOrigin("POST", "Sec-Fetch-Site", "same-site") + crossOrigin("POST", "Sec-Fetch-Site", "none")
	}, "yes no no yes "},
	{"CrossOriginProtection compares Origin with Host, scheme or not", "CSRF: Origins", func(t *testing.T) string {
		return crossOrigin("POST", "Origin", "https://example.com") + crossOrigin("POST", "Origin", "http://example.com") +
			crossOrigin("POST", "Origin", "https://other.example") + crossOrigin("POST", "Origin", "null")
	}, "yes yes no no "},
	{"CrossOriginProtection lets pass what has neither field", "CSRF: Strict", func(*testing.T) string { return crossOrigin("POST") }, "yes "},
	{"CrossOriginProtection lets safe methods pass", "CSRF: Isolate", func(*testing.T) string {
		return crossOrigin("GET", "Sec-Fetch-Site", "cross-site") + crossOrigin("HEAD", "Sec-Fetch-Site", "cross-site") +
			crossOrigin("OPTIONS", "Sec-Fetch-Site", "cross-site") + crossOrigin("DELETE", "Sec-Fetch-Site", "cross-site")
	}, "yes yes yes no "},
	{"CrossOriginProtection takes user information for no part of the host", "CSRF (golang/go #78563)", func(*testing.T) string {
		return crossOrigin("POST", "Origin", "https://user@example.com")
	}, "yes "},
	{"ServeContent sends parts", "Compress, Cache: 206 is left alone", func(t *testing.T) string {
		return content(t, "Range", "bytes=2-4") + content(t, "Range", "bytes=900-") + content(t, "Range", "bytes=2-4", "If-Range", `"other"`)
	}, "206 234 bytes 2-4/10; 416 invalid range: failed to overlap bytes */10; 200 0123456789 ; "},
	{"ServeContent answers preconditions", "ETag", func(t *testing.T) string {
		return content(t, "If-None-Match", `"tag"`) + content(t, "If-None-Match", `W/"tag"`) + content(t, "If-Match", `"other"`) +
			content(t, "If-Modified-Since", "Sun, 09 Sep 2001 01:46:40 GMT") + content(t, "If-Unmodified-Since", "Sat, 08 Sep 2001 01:46:40 GMT")
	}, "304  ; 304  ; 412  ; 304  ; 412  ; "},
	{"ServeContent compares If-Match strongly", "ETag", func(t *testing.T) string { return content(t, "If-Match", `W/"tag"`) }, "412  ; "},
	{"ServeContent declares no length of what is coded", "Compress", func(t *testing.T) string {
		rec := httptest.NewRecorder()
		rec.Header().Set("Content-Encoding", "gzip")
		http.ServeContent(rec, httptest.NewRequest("GET", "/", nil), "a.txt", time.Time{}, strings.NewReader("0123456789"))
		return fmt.Sprintf("%q", rec.Header()["Content-Length"])
	}, `[]`},
}

// plain2 is a writer that a ResponseController can look into.
type plain2 struct{ http.ResponseWriter }

func (p plain2) Unwrap() http.ResponseWriter { return p.ResponseWriter }

type flushCounter struct {
	http.ResponseWriter
	n *int
}

func (f flushCounter) Flush() { *f.n++ }

// able tells what a writer can do.
func able(w http.ResponseWriter) string {
	rc := http.NewResponseController(w)
	_, flusher := w.(http.Flusher)
	_, hijacker := w.(http.Hijacker)
	word := func(err error) string {
		if errors.Is(err, http.ErrNotSupported) {
			return "no"
		}
		return "yes"
	}
	read, write, duplex := word(rc.SetReadDeadline(time.Time{})), word(rc.SetWriteDeadline(time.Time{})), word(rc.EnableFullDuplex())
	flush := word(rc.Flush())
	conn, _, err := rc.Hijack()
	if err == nil {
		_ = conn.Close()
	}
	return fmt.Sprintf("flush: %s, hijack: %s, read deadline: %s, write deadline: %s, full duplex: %s, flusher: %t, hijacker: %t",
		flush, word(err), read, write, duplex, flusher, hijacker)
}

// summary is the status and the body that a client of the handler gets, "" if it gets none.
func summary(t *testing.T, h http.Handler, header http.Header) string {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	srv.Config.ErrorLog = quietLog
	r, err := http.NewRequestWithContext(context.Background(), "GET", srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	resp, err := srv.Client().Do(r)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return strings.TrimSpace(fmt.Sprint(resp.StatusCode, " ", string(b)))
}

// crossOrigin is whether http.CrossOriginProtection lets a request to example.com pass.
func crossOrigin(method string, field ...string) string {
	r := httptest.NewRequest(method, "https://example.com/", nil)
	for i := 0; i < len(field); i += 2 {
		r.Header.Set(field[i], field[i+1])
	}
	if http.NewCrossOriginProtection().Check(r) != nil {
		return "no "
	}
	return "yes "
}

// content is what http.ServeContent answers.
func content(t *testing.T, field ...string) string {
	t.Helper()
	r, rec := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
	for i := 0; i < len(field); i += 2 {
		r.Header.Set(field[i], field[i+1])
	}
	rec.Header().Set("Etag", `"tag"`)
	http.ServeContent(rec, r, "a.txt", time.Unix(1e9, 0), strings.NewReader("0123456789"))
	return fmt.Sprint(rec.Code, " ", strings.TrimSpace(rec.Body.String()), " ", rec.Header().Get("Content-Range"), "; ")
}
