package compress

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/httpmw"
)

func zstded(t *testing.T, text string, o ...zstd.EOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, append(o, zstd.WithEncoderConcurrency(1))...)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.Bytes()
}

func TestZstdBodies(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			httpmw.WriteError(w, r, err)
			return
		}
		_, _ = w.Write(body)
	})
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(mw.Must(httpmw.Decompress(httpmw.DecompressConfig{Max: 1 << 20, Decoders: []httpmw.Decoder{Zstd()}}))(echo))
		whole := zstded(t, prose)
		for range 2 { // decoders are used again, also after what they could not decode
			for name, tc := range map[string]struct {
				body   []byte
				status int
				text   string
			}{
				"one frame":     {whole, 200, prose},
				"two frames":    {append(bytes.Clone(whole), whole...), 200, prose + prose},
				"cut off":       {whole[:len(whole)-5], 400, ""},
				"no zstd":       {[]byte("text"), 400, ""},
				"rubbish after": {append(bytes.Clone(whole), "rubbish"...), 400, ""},
				"bomb":          {zstded(t, strings.Repeat("\x00", 1<<23)), 413, ""},
				"huge window":   {zstded(t, strings.Repeat(prose, 10_000), zstd.WithWindowSize(64<<20)), 400, ""},
			} {
				r, _ := http.NewRequest("POST", s.URL, bytes.NewReader(tc.body))
				r.Header.Set("Content-Encoding", "zstd")
				resp, err := s.Client().Do(r)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != tc.status || tc.status == 200 && string(body) != tc.text {
					t.Errorf("%s: %d, %d bytes", name, resp.StatusCode, len(body))
				}
			}
		}
		r, _ := http.NewRequest("POST", s.URL, strings.NewReader("text"))
		r.Header.Set("Content-Encoding", "br")
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		equal(t, "unknown", fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Accept-Encoding")), "415 gzip, deflate, zstd")
	})
}
