package httpmw

import (
	"io"
	"net/http"
	"sync/atomic"
)

// bodyCount is the request's body, counting what is read of it. It is part of the record, so that it costs no
// allocation. The count is atomic: a proxy's transport may still read while the handler returns.
type bodyCount struct {
	io.ReadCloser
	read atomic.Int64
}

// Read counts.
func (b *bodyCount) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Add(int64(n))
	return n, err
}

// countBody puts the count in front of r's body; only the first call for a record does. r is the copy that the first layer
// has made, or one of that, and so may be changed. A body that is known to be empty stays what it is, for others compare
// it with http.NoBody.
func (rec *record) countBody(r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || rec.incoming.ReadCloser != nil {
		return
	}
	rec.incoming.ReadCloser = r.Body
	r.Body = &rec.incoming
}
