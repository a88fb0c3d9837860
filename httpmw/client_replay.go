package httpmw

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

var errNoReplay = errors.New("httpmw: ClientRetry: the body is longer than MaxReplay")

// replay sends a body again that can be read once: it keeps what has been read, up to a limit, and goes on with the rest.
// Nothing is read that no attempt has asked for, so a body that waits for the response does not wait for ever.
type replay struct {
	limit int

	reading sync.Mutex // held while src is read, which may take long

	mu     sync.Mutex // guards what follows
	src    io.ReadCloser
	kept   []byte
	lost   bool        // more was read than is kept
	end    error       // what src ended with
	body   *replayBody // of the attempt under way
	over   bool        // there will be no other attempt
	closed bool        // src is
}

// possible reports whether the body can be sent once more.
func (r *replay) possible() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.lost && (r.end == nil || r.end == io.EOF)
}

// next returns the body of the next attempt, nil if it cannot be sent once more. From now on the last one reads nothing.
func (r *replay) next() io.ReadCloser {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost {
		return nil
	}
	r.body = &replayBody{r: r}
	return r.body
}

// finish says that there will be no other attempt. The source is closed when the last one has closed its body.
func (r *replay) finish() {
	r.mu.Lock()
	r.over = true
	last := r.body == nil || r.body.closed
	r.mu.Unlock()
	if last {
		_ = r.close()
	}
}

// close closes the source, which may unblock a Read of it.
func (r *replay) close() error {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	r.mu.Unlock()
	if closed {
		return nil
	}
	return r.src.Close()
}

// replayBody is the body of one attempt.
type replayBody struct {
	r      *replay
	at     int
	closed bool // guarded by r.mu, as is at
}

// Read reads what is kept, and then the source.
func (b *replayBody) Read(p []byte) (int, error) {
	r := b.r
	r.reading.Lock()
	defer r.reading.Unlock()
	n, err, done := b.again(p)
	if done {
		return n, err
	}
	n, err = r.src.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(p[:n])
	b.at += n
	if err != nil {
		r.end = err
	}
	return n, err
}

// again serves a Read without the source, if that can be.
func (b *replayBody) again(p []byte) (n int, err error, done bool) {
	r := b.r
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.body != b || b.closed:
		return 0, http.ErrBodyReadAfterClose, true
	case b.at < len(r.kept):
		n = copy(p, r.kept[b.at:])
		b.at += n
		return n, nil, true
	default:
		return 0, r.end, r.end != nil
	}
}

func (r *replay) keep(p []byte) {
	switch {
	case r.over || r.lost || len(p) == 0:
	case len(r.kept)+len(p) > r.limit:
		r.lost, r.kept = true, nil
	default:
		r.kept = append(r.kept, p...)
	}
}

// Close closes the source if no other attempt can need it.
func (b *replayBody) Close() error {
	b.r.mu.Lock()
	b.closed = true
	last := b.r.over && b.r.body == b
	b.r.mu.Unlock()
	if last {
		return b.r.close()
	}
	return nil
}
