package httpmw

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
)

// readBody reads the body of r, at most limit bytes, and puts what it read in its place, so that whoever comes next reads
// the same. The error is an *http.MaxBytesError for a longer body, and what the body said otherwise; the Body then gives
// what was read and goes on with the rest, for a middleware in shadow mode.
//
// A body whose Content-Length is too much is not read at all. Memory grows with what has come, not with what was
// announced: a client that promises a megabyte and sends nothing costs some bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	first := int64(512)
	if 0 <= r.ContentLength && r.ContentLength < 16*first {
		first = r.ContentLength + 1 // the end is found without growing
	}
	body, data := r.Body, make([]byte, 0, min(first, limit+1))
	for {
		n, err := body.Read(data[len(data):min(int64(cap(data)), limit+1)])
		data = data[:len(data)+n]
		switch {
		case int64(len(data)) > limit:
			tellServer(w)
			err = &http.MaxBytesError{Limit: limit}
		case err == io.EOF:
			_ = body.Close() // it was read to its end
			r.Body, r.ContentLength = &heldBody{rest: *bytes.NewReader(data)}, int64(len(data))
			return data, nil
		}
		if err != nil {
			r.Body = &heldBody{rest: *bytes.NewReader(data), then: body}
			return nil, err
		}
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
	}
}

// tellServer makes the server close the connection after the response instead of reading a body of unknown length to its
// end. net/http offers that through MaxBytesReader alone.
func tellServer(w http.ResponseWriter) {
	_, _ = http.MaxBytesReader(innermost(w), io.NopCloser(bytes.NewReader([]byte{0})), 0).Read(make([]byte, 1))
}

// heldBody is a body of which a part was read.
type heldBody struct {
	rest   bytes.Reader
	then   io.ReadCloser // nil if there is no more
	closed bool
}

// Read reads what was read before, and then the rest.
func (b *heldBody) Read(p []byte) (int, error) {
	switch {
	case b.closed:
		return 0, http.ErrBodyReadAfterClose
	case b.rest.Len() > 0 || b.then == nil:
		return b.rest.Read(p)
	default:
		return b.then.Read(p)
	}
}

// Close closes the rest.
func (b *heldBody) Close() error {
	b.closed = true
	if b.then == nil {
		return nil
	}
	return b.then.Close()
}

// bodyProblem is the answer to an error of a body.
func bodyProblem(err error) (p *problem, errorType string) {
	switch {
	case isTooLarge(err):
		return problemTooLarge, errorTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problemBodySlow, errorBodySlow
	default:
		return problemBodyBroken, errorBodyBroken
	}
}
