package httpmw

import (
	"bytes"
	"io"
	"net/http"
	"time"
)

// cachedBody copies a body while its caller reads it, and keeps the response at the end.
type cachedBody struct {
	io.ReadCloser
	resp  *http.Response
	q     *question
	life  CacheLife
	said  http.Header
	began time.Time
	body  []byte
	over  bool // too long, or ended
}

// Read keeps the response at io.EOF, which is where a body is whole.
func (b *cachedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.over {
		return n, err
	}
	if len(b.body)+n > b.q.max {
		b.body, b.over = nil, true
		return n, err
	}
	b.body = append(b.body, p[:n]...)
	if err == io.EOF && len(b.resp.Trailer) == 0 {
		b.q.put(b.resp.StatusCode, b.said, b.body, b.life, "", b.began)
	}
	b.over = err != nil
	return n, err
}

// readAhead reads up to max bytes of a response's body. If that is the whole, the body is closed and returned; else the
// response has a body that begins with what was read.
func readAhead(resp *http.Response, max int) (body []byte, whole bool) {
	var buf bytes.Buffer
	if n := resp.ContentLength; n > 0 && n <= int64(max) {
		buf.Grow(int(n) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, int64(max)+1))
	if err == nil && n <= int64(max) {
		_ = resp.Body.Close()
		return buf.Bytes(), true
	}
	rest := io.Reader(resp.Body)
	if err != nil {
		rest = failingReader{err}
	}
	resp.Body = &joined{Reader: io.MultiReader(&buf, rest), Closer: resp.Body}
	return nil, false
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

type joined struct {
	io.Reader
	io.Closer
}
