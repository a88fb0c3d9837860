package httpmw

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/mw-go/mw"
)

// net/http removes the files of a multipart form when the request is over, from the request that it made: a form that was
// parsed on a copy left its files on the disk for ever, one request after the other.
func TestMultipartFilesAreRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	chain := mw.Chain(Recover(), mw.Must(Timeout(TimeoutConfig{Timeout: time.Hour})), RequestID())
	forEachProtocol(t, func(t *testing.T, start func(http.Handler) *httptest.Server) {
		stored := make(chan string, 1)
		s := start(chain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := r.ParseMultipartForm(1); err != nil {
				t.Error(err)
				return
			}
			f, err := r.MultipartForm.File["f"][0].Open()
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			if file, ok := f.(*os.File); ok {
				stored <- file.Name()
			} else {
				stored <- ""
			}
		})))
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		part, _ := form.CreateFormFile("f", "f.bin")
		_, _ = part.Write(make([]byte, 11<<20)) // beyond the 10 MB that a form may keep in memory for its fields
		_ = form.Close()
		resp, err := s.Client().Post(s.URL, form.FormDataContentType(), &body)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		name := <-stored
		if name == "" {
			t.Fatal("the file was kept in memory: the test tests nothing")
		}
		s.Close() // waits for the request to be over
		if _, err := os.Stat(name); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", name, err)
		}
	})
}
