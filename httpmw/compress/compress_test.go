package compress

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw"
)

// TestCompress mirrors the first table of the package's documentation, and the rules on length and type.
func TestCompress(t *testing.T) {
	size := strconv.Itoa(len(prose))
	for _, tc := range []struct {
		name   string
		c      Config
		h      http.Handler
		coding string
		vary   string
	}{
		{"type said", Config{}, answer(0, prose, "Content-Type", "text/plain"), "gzip", "Accept-Encoding"},
		{"type guessed", Config{}, answer(0, prose), "gzip", "Accept-Encoding"},
		{"length said", Config{}, answer(0, prose, "Content-Type", "application/json", "Content-Length", size), "gzip", "Accept-Encoding"},
		{"a suffix", Config{}, answer(0, prose, "Content-Type", "application/problem+JSON; charset=utf-8"), "gzip", "Accept-Encoding"},
		{"an error's page", Config{}, answer(404, prose, "Content-Type", "text/html"), "gzip", "Accept-Encoding"},
		{"exactly Min", Config{}, answer(0, prose[:1024]), "gzip", "Accept-Encoding"},
		{"Vary there", Config{}, answer(0, prose, "Vary", "Origin, accept-encoding"), "gzip", "Origin, accept-encoding"},
		{"Vary star", Config{}, answer(0, prose, "Vary", "*"), "gzip", "*"},
		{"Vary of others", Config{}, answer(0, prose, "Vary", "Origin"), "gzip", "Origin|Accept-Encoding"},

		{"short", Config{}, answer(0, prose[:1023]), "", "Accept-Encoding"},
		{"short, length said", Config{}, answer(0, "x", "Content-Type", "text/plain", "Content-Length", "1"), "", "Accept-Encoding"},
		{"empty", Config{}, answer(0, "", "Content-Type", "text/plain"), "", "Accept-Encoding"},
		{"image", Config{}, answer(0, prose, "Content-Type", "image/png"), "", ""},
		{"image guessed", Config{}, answer(0, "\x89PNG\x0d\x0a\x1a\x0a"+prose), "", ""},
		{"type refused", Config{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, prose)
		}), "", ""},
		{"encoded already", Config{}, answer(0, prose, "Content-Type", "text/plain", "Content-Encoding", "br"), "br", ""},
		{"an own list", Config{Types: []string{"image/*", "+json", "text/csv"}}, answer(0, prose, "Content-Type", "image/bmp"), "gzip", "Accept-Encoding"},
		{"an own list, suffix", Config{Types: []string{"image/*", "+json", "text/csv"}}, answer(0, prose, "Content-Type", "a/b+json"), "gzip", "Accept-Encoding"},
		{"an own list, exact", Config{Types: []string{"image/*", "+json", "text/csv"}}, answer(0, prose, "Content-Type", "text/csv"), "gzip", "Accept-Encoding"},
		{"not on an own list", Config{Types: []string{"image/*", "+json", "text/csv"}}, answer(0, prose, "Content-Type", "text/plain"), "", ""},
		{"skipped", Config{Skip: func(*http.Request) bool { return true }}, answer(0, prose), "", ""},
		{"min", Config{Min: 1}, answer(0, "x"), "gzip", "Accept-Encoding"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Accept-Encoding", "gzip")
			w := httptest.NewRecorder()
			mw.Must(Compress(tc.c))(tc.h).ServeHTTP(w, r)
			bare := httptest.NewRecorder()
			tc.h.ServeHTTP(bare, r)
			equal(t, "coding", w.Header().Get("Content-Encoding"), tc.coding)
			equal(t, "vary", strings.Join(w.Header()["Vary"], "|"), tc.vary)
			equal(t, "status", w.Code, bare.Code)
			if tc.coding == "br" {
				return
			}
			text, err := plainText(tc.coding, w.Body.Bytes())
			if text != bare.Body.String() || err != nil {
				t.Errorf("%d bytes, want %d; %v", len(text), bare.Body.Len(), err)
			}
			if tc.coding != "" {
				equal(t, "type", w.Header().Get("Content-Type"), bare.Result().Header.Get("Content-Type"))
				equal(t, "length", w.Header().Get("Content-Length"), "")
			}
		})
	}
}

// Both codings at every level, over the wire, with encoders that are used again.
func TestCompressDecodes(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		long := strings.Repeat(prose, 300)
		for _, c := range []Config{{}, {Gzip: 1, Zstd: 1}, {Gzip: 9, Zstd: 4}} {
			s := serve(mw.Must(Compress(c))(answer(0, long)))
			for _, coding := range []string{"gzip", "zstd", "gzip", "zstd"} {
				resp, body, err := fetch(t, s, "GET", "Accept-Encoding", coding)
				equal(t, "coding", resp.Header.Get("Content-Encoding"), coding)
				text, decodeErr := plainText(coding, body)
				if err != nil || decodeErr != nil || text != long || len(body) > len(long)/20 {
					t.Errorf("%s: %d of %d bytes as %d; %v, %v", coding, len(text), len(long), len(body), err, decodeErr)
				}
			}
		}
	})
}

// Row "compress: strong ETag": peers keep "v1" on the encoded body, so that two representations have one strong tag.
func TestCompressMarksStrongETag(t *testing.T) {
	for tag, want := range map[string]string{`"v1"`: `"v1-gzip"`, `W/"v1"`: `W/"v1"`, `""`: `"-gzip"`, `v1`: `v1`} {
		s := serve(t, compressed(answer(0, prose, "Etag", tag)), false)
		resp, _, _ := fetch(t, s, "GET", "Accept-Encoding", "gzip")
		equal(t, "encoded", resp.Header.Get("Etag"), want)
		resp, _, _ = fetch(t, s, "GET")
		equal(t, "plain", resp.Header.Get("Etag"), tag)
	}
}

// versioned serves prose as http.ServeContent does, and takes a PUT that knows the version.
var versioned = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Etag", `"v,1"`)
	w.Header().Set("Content-Type", "text/plain")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(prose))
})

// A tag that we made is understood when it comes back, in the coding it belongs to.
func TestCompressUnderstandsItsOwnETag(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(compressed(versioned))
		for _, tc := range []struct {
			none, match, accept string
			status              int
			tag                 string
		}{
			{`"v,1-gzip"`, "", "gzip", 304, `"v,1-gzip"`},
			{`W/"v,1-gzip"`, "", "gzip", 304, `"v,1-gzip"`},
			{`"other", "v,1-gzip"`, "", "gzip", 304, `"v,1-gzip"`},
			{`"v,1-zstd"`, "", "gzip, zstd", 304, `"v,1-zstd"`},
			{`"v,1"`, "", "gzip", 304, `"v,1"`},
			{`"v,1-gzip"`, "", "", 200, `"v,1"`},          // the client takes gzip no longer
			{`"v,1-gzip"`, "", "zstd", 200, `"v,1-zstd"`}, // nor here
			{`"v,2-gzip"`, "", "gzip", 200, `"v,1-gzip"`}, // another version
			{`"v,1-br"`, "", "gzip", 200, `"v,1-gzip"`},   // not ours
			{`garbage "v,1-gzip"`, "", "gzip", 200, `"v,1-gzip"`},
			{`*`, "", "gzip", 304, `"v,1"`},
			{"", `"v,1-gzip"`, "", 200, `"v,1"`},
			{"", `"v,1-zstd"`, "gzip", 200, `"v,1-gzip"`},
			{"", `"v,2-gzip"`, "gzip", 412, `"v,1"`},
		} {
			fields := []string{}
			for _, f := range [][2]string{{"If-None-Match", tc.none}, {"If-Match", tc.match}, {"Accept-Encoding", tc.accept}} {
				if f[1] != "" {
					fields = append(fields, f[0], f[1])
				}
			}
			resp, _, _ := fetch(t, s, "GET", fields...)
			if resp.StatusCode != tc.status || tc.status != 412 && resp.Header.Get("Etag") != tc.tag {
				t.Errorf("%v: %d %s, want %d %s", fields, resp.StatusCode, resp.Header.Get("Etag"), tc.status, tc.tag)
			}
		}
	})
}

// Row "compress: Vary on identity reply": chi omits it, and a cache serves the plain form, or the encoded, to everybody.
func TestCompressVariesOnIdentityReplies(t *testing.T) {
	s := serve(t, compressed(answer(0, prose)), false)
	for _, accept := range []string{"", "identity", "br", "gzip;q=0", "gzip"} {
		resp, _, _ := fetch(t, s, "GET", "Accept-Encoding", accept)
		equal(t, accept, resp.Header.Get("Vary"), "Accept-Encoding")
	}
}

// Row "compress: Accept-Encoding: gzip;q=0": chi compresses.
func TestCompressHonoursZeroWeight(t *testing.T) {
	s := serve(t, compressed(answer(0, prose)), false)
	for _, accept := range []string{"gzip;q=0", "gzip;q=0.000, zstd; q=0", "*;q=0"} {
		resp, body, _ := fetch(t, s, "GET", "Accept-Encoding", accept)
		equal(t, "coding", resp.Header.Get("Content-Encoding"), "")
		equal(t, "body", string(body), prose)
	}
}

// A client that does not take the plain form gets an encoded one where one may be sent, short or not.
func TestCompressForClientsThatRefuseIdentity(t *testing.T) {
	for name, tc := range map[string]struct {
		h      http.Handler
		coding string
	}{
		"short":        {answer(0, "x", "Content-Type", "text/plain"), "gzip"},
		"image":        {answer(0, prose, "Content-Type", "image/png"), "gzip"},
		"guessed":      {answer(0, "\x89PNG\x0d\x0a\x1a\x0a"+prose), "gzip"},
		"empty":        {answer(0, ""), ""},
		"no-transform": {answer(0, prose, "Cache-Control", "no-transform"), ""},
		"stream":       {answer(0, prose, "Content-Type", "text/event-stream"), ""},
	} {
		s := serve(t, compressed(tc.h), false)
		resp, body, err := fetch(t, s, "GET", "Accept-Encoding", "gzip, identity;q=0")
		equal(t, name, resp.Header.Get("Content-Encoding"), tc.coding)
		if _, decodeErr := plainText(tc.coding, body); err != nil || decodeErr != nil {
			t.Errorf("%s: %v, %v", name, err, decodeErr)
		}
	}
}

// Row "compress: 206 + Content-Range": chi and gorilla compress a part, which then is a part of nothing.
func TestCompressKeepsRange(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(compressed(versioned))
		resp, body, _ := fetch(t, s, "GET", "Accept-Encoding", "gzip", "Range", "bytes=100-1999")
		equal(t, "status", resp.StatusCode, 206)
		equal(t, "coding", resp.Header.Get("Content-Encoding"), "")
		equal(t, "range", resp.Header.Get("Content-Range"), fmt.Sprintf("bytes 100-1999/%d", len(prose)))
		equal(t, "length", resp.Header.Get("Content-Length"), "1900")
		equal(t, "accept", resp.Header.Get("Accept-Ranges"), "bytes")
		equal(t, "tag", resp.Header.Get("Etag"), `"v,1"`)
		equal(t, "vary", resp.Header.Get("Vary"), "Accept-Encoding")
		equal(t, "body", string(body), prose[100:2000])
		// A part of the plain form does not belong to what the client has of the encoded one.
		resp, _, _ = fetch(t, s, "GET", "Accept-Encoding", "gzip", "Range", "bytes=100-1999", "If-Range", `"v,1-gzip"`)
		equal(t, "status with If-Range of the encoded form", resp.StatusCode, 200)
		s = serve(compressed(answer(200, prose, "Content-Range", "bytes 0-9/10")))
		resp, _, _ = fetch(t, s, "GET", "Accept-Encoding", "gzip")
		equal(t, "Content-Range without 206", resp.Header.Get("Content-Encoding"), "")
	})
}

// Row "compress: 304": chi and gorilla add Content-Encoding to it.
func TestCompress304HasNoContentEncoding(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(compressed(answer(304, "", "Etag", `"v1"`)))
		resp, body, _ := fetch(t, s, "GET", "Accept-Encoding", "gzip", "If-None-Match", `"v1-gzip"`)
		equal(t, "status", resp.StatusCode, 304)
		equal(t, "coding", resp.Header.Get("Content-Encoding"), "")
		equal(t, "vary", resp.Header.Get("Vary"), "Accept-Encoding")
		equal(t, "tag", resp.Header.Get("Etag"), `"v1-gzip"`)
		equal(t, "body", len(body), 0)
		for _, status := range []int{204, 205} {
			s := serve(compressed(answer(status, "")))
			resp, _, _ := fetch(t, s, "GET", "Accept-Encoding", "gzip")
			equal(t, "status", resp.StatusCode, status)
			equal(t, "coding", resp.Header.Get("Content-Encoding"), "")
		}
	})
}

// Row "compress: Cache-Control: no-transform": all three peers compress.
func TestCompressObeysNoTransform(t *testing.T) {
	for _, directives := range []string{"no-transform", "public, No-Transform", "max-age=3,no-transform"} {
		s := serve(t, compressed(answer(0, prose, "Cache-Control", directives, "Etag", `"v1"`, "Content-Md5", "x")), false)
		resp, body, _ := fetch(t, s, "GET", "Accept-Encoding", "gzip")
		equal(t, "coding", resp.Header.Get("Content-Encoding"), "")
		equal(t, "tag", resp.Header.Get("Etag"), `"v1"`)
		equal(t, "vary", resp.Header.Get("Vary"), "")
		equal(t, "body", string(body), prose)
	}
}

// Row "compress: HEAD": chi and gorilla report the length of an encoded nothing, gzhttp the plain length that its GET
// does not have.
func TestCompressHEADHasTheFieldsOfGET(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		long := strings.Repeat(prose, 10) // so that net/http knows no length of the encoded body
		size := strconv.Itoa(len(long))
		for name, h := range map[string]http.Handler{
			"length said":  answer(0, long, "Content-Type", "text/plain", "Content-Length", size, "Etag", `"v1"`, "Accept-Ranges", "bytes"),
			"body written": answer(0, long, "Content-Type", "text/plain", "Etag", `"v1"`),
			"type guessed": answer(0, long),
			"short":        answer(0, "short", "Content-Type", "text/plain", "Content-Length", "5", "Etag", `"v1"`),
			"ServeContent": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				http.ServeContent(w, r, "", time.Time{}, strings.NewReader(long))
			}),
		} {
			s := serve(compressed(h))
			get, _, _ := fetch(t, s, "GET", "Accept-Encoding", "gzip")
			head, body, err := fetch(t, s, "HEAD", "Accept-Encoding", "gzip")
			get.Header.Del("Date")
			head.Header.Del("Date")
			if get.ContentLength > 2048 || len(body) > 0 || err != nil {
				t.Errorf("%s: length %d, %d bytes for HEAD, %v", name, get.ContentLength, len(body), err)
			}
			if head.Header.Get("Content-Length") == "" {
				get.Header.Del("Content-Length") // omitted: it is known only once the body was made
			}
			equal(t, name, fmt.Sprint(head.Header), fmt.Sprint(get.Header))
		}
	})
}

// Row "compress: Accept-Ranges": chi and gorilla keep bytes, whose ranges would be those of another representation.
func TestCompressDropsWhatSpeaksOfThePlainBody(t *testing.T) {
	fields := []string{"Accept-Ranges", "bytes", "Content-MD5", "x", "Content-Digest", "x", "Repr-Digest", "x", "Digest", "x"}
	s := serve(t, compressed(answer(0, prose, append(fields, "Content-Type", "text/plain")...)), false)
	resp, _, _ := fetch(t, s, "GET", "Accept-Encoding", "gzip")
	for i := 0; i < len(fields); i += 2 {
		equal(t, fields[i], resp.Header.Get(fields[i]), "")
	}
	resp, _, _ = fetch(t, s, "GET")
	for i := 0; i < len(fields); i += 2 {
		equal(t, fields[i]+" of the plain form", resp.Header.Get(fields[i]), fields[i+1])
	}
}

func TestCompressRefusesItsConfig(t *testing.T) {
	for _, c := range []Config{
		{Codings: []string{"br"}}, {Codings: []string{"gzip", "gzip"}}, {Min: -1}, {Min: 1 << 21}, {Gzip: 10}, {Zstd: 5},
		{Types: []string{""}}, {Types: []string{"*"}}, {Types: []string{"*/*"}}, {Types: []string{"TEXT/plain"}},
		{Types: []string{"json"}}, {Types: []string{"text/plain; charset=utf-8"}}, {Types: []string{"+"}},
	} {
		if _, err := Compress(c); err == nil {
			t.Errorf("%+v: accepted", c)
		}
	}
	for _, h := range []http.Handler{nil, http.HandlerFunc(nil)} {
		func() {
			defer func() { _ = recover() }()
			compressed(h)
			t.Error("a nil handler was taken")
		}()
	}
}

func TestCompressNamesItsLayer(t *testing.T) {
	h := answer(0, "")
	l, ok := compressed(h).(interface {
		Layer() string
		Unwrap() http.Handler
	})
	if !ok || l.Layer() != "Compress" || l.Unwrap() == nil {
		t.Errorf("%v", l)
	}
}
