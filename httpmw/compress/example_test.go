package compress_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/httpmw"
	"github.com/mw-go/mw/httpmw/compress"
)

func ExampleCompress() {
	h := mw.Must(compress.Compress(compress.Config{}))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("ETag", `"v1"`)
		fmt.Fprint(w, strings.Repeat("hello ", 1000))
	}))
	for _, accept := range []string{"gzip, br, zstd", "gzip", "gzip;q=0"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Encoding", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Printf("%q %s %s\n", w.Header().Get("Content-Encoding"), w.Header().Get("ETag"), w.Header().Get("Vary"))
	}
	// Output:
	// "zstd" "v1-zstd" Accept-Encoding
	// "gzip" "v1-gzip" Accept-Encoding
	// "" "v1" Accept-Encoding
}

func ExampleZstd() {
	h := mw.Must(httpmw.Decompress(httpmw.DecompressConfig{Decoders: []httpmw.Decoder{compress.Zstd()}}))(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	var body bytes.Buffer
	enc, _ := zstd.NewWriter(&body)
	fmt.Fprint(enc, "hello")
	_ = enc.Close()
	r := httptest.NewRequest("POST", "/", &body)
	r.Header.Set("Content-Encoding", "zstd")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Body)
	// Output: hello
}
