package compress

import (
	"errors"
	"net/http"
)

// errShort is the error of a body that ends before the length that the handler promised.
var errShort = errors.New("compress: the body is shorter than its Content-Length")

// Write encodes a part of the body.
func (r *response) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.enc == nil {
		return 0, http.ErrHandlerTimeout
	}
	if r.declared >= 0 && r.written+int64(len(p)) > r.declared {
		return 0, http.ErrContentLength // as the server would have said
	}
	n, err := r.enc.Write(p)
	r.written += int64(n)
	return n, err
}

// Flush passes on what the encoder has kept.
func (r *response) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.enc == nil {
		return http.ErrHandlerTimeout
	}
	return r.enc.Flush()
}

// Close writes the end of the encoded body. A client whose Content-Length was removed could not see that something is
// missing: then the end is missing too.
func (r *response) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.enc == nil:
		return http.ErrHandlerTimeout
	case r.declared >= 0 && r.written != r.declared:
		return errShort
	}
	err := r.enc.Close()
	r.take() // at once: an encoder that was closed panics when written to
	return err
}

// finish is for a handler that has returned normally. What the client did not take is nobody's error any more.
//
// A handler that says nothing has said 200 only if no Timeout or BodyLimit outside answers for it.
func (r *response) finish() {
	if r.w.Status() == 0 {
		return
	}
	if errors.Is(r.w.Finish(), errShort) {
		panic(http.ErrAbortHandler)
	}
}

// abandon takes the encoder from whoever still writes to it, whichever way the handler ended.
func (r *response) abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.enc != nil {
		r.take()
	}
}

func (r *response) take() {
	r.m.encoders[r.choice.coding].put(r.enc)
	r.enc = nil
}
