package httpmw

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/mw-go/mw/core"
)

// codedBody decodes a body as it is read. The lock is for handlers that read in a goroutine they leave behind: decoders are
// used again, and one that served two requests at once would give one the bytes of the other.
type codedBody struct {
	m       *decompress
	codings []Decoder
	wire    wireReader

	mu      sync.Mutex // of what is below
	stages  []*stage   // the first reads from the wire
	err     error      // what every further Read returns
	over    atomic.Bool
	verdict atomic.Int32
}

// The verdicts on a body, for the goroutine that serves the request.
const (
	verdictTooLarge = iota + 1
	verdictBroken
)

// errBroken is the error of a body that cannot be decoded. What the decoder says of it stays here.
var errBroken = errors.New("httpmw: the body cannot be decoded")

// wireReader counts what comes over the wire, and keeps its error apart from those of the decoders.
type wireReader struct {
	io.ReadCloser
	n   int64
	err error
}

func (r *wireReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.n += int64(n)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// stage is one decoder, and the bounds on what comes out of it.
type stage struct {
	io.ReadCloser
	wire *wireReader
	m    *decompress
	n    int64
	err  error // the bound that was exceeded
}

// grace is what may come out before the ratio counts: a short body of a repeated word is no bomb.
const grace = 1 << 16

func (s *stage) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.n += int64(n)
	if limit := s.limit(); s.n > limit {
		if s.m.Mode == core.Shadow {
			s.err = &http.MaxBytesError{Limit: limit}
			return n, err
		}
		n -= int(s.n - limit)
		s.err = &http.MaxBytesError{Limit: limit}
		return max(n, 0), s.err
	}
	return n, err
}

// limit is how many bytes may have come out by now.
func (s *stage) limit() int64 {
	limit := s.m.Max
	if ratio := int64(s.m.Ratio); ratio > 0 && s.wire.n < limit/ratio {
		limit = min(limit, max(grace, s.wire.n*ratio))
	}
	return limit
}

// Read reads what the body says.
func (b *codedBody) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over.Load() && b.err == nil {
		b.err = http.ErrBodyReadAfterClose
	}
	if b.err == nil && b.stages == nil {
		b.err = b.start()
	}
	if b.err != nil {
		return 0, b.err
	}
	if n, err = b.stages[len(b.stages)-1].Read(p); err != nil {
		b.err = b.judge(err)
	} else if b.over.Load() {
		b.err = http.ErrBodyReadAfterClose
	}
	if b.exceeded() != nil {
		b.verdict.Store(verdictTooLarge)
	}
	if b.err != nil {
		b.release()
	}
	return n, b.err
}

// start makes the decoders: not before the handler reads, for making them may read from the wire.
func (b *codedBody) start() error {
	src := bufio.NewReader(&b.wire)
	if _, err := src.Peek(1); err != nil {
		return b.judge(err) // an empty body is empty in every coding
	}
	for i := len(b.codings) - 1; i >= 0; i-- {
		dec, err := b.codings[i].New(src)
		if err != nil {
			err = b.judge(err)
			b.release()
			return err
		}
		s := &stage{ReadCloser: dec, wire: &b.wire, m: b.m}
		b.stages = append(b.stages, s)
		src = bufio.NewReader(s)
	}
	return nil
}

// judge tells what an error of the last decoder means. The cause may lie further down: decoders wrap or replace it.
func (b *codedBody) judge(err error) error {
	switch exceeded := b.exceeded(); {
	case b.m.Mode != core.Shadow && exceeded != nil:
		b.verdict.Store(verdictTooLarge)
		return exceeded
	case b.wire.err != nil:
		if isTooLarge(b.wire.err) {
			return b.wire.err // its own limit answers for it
		}
		b.verdict.Store(verdictBroken)
		return b.wire.err
	case err == io.EOF:
		return err
	default:
		b.verdict.Store(verdictBroken)
		return errBroken
	}
}

func (b *codedBody) exceeded() error {
	for _, s := range b.stages {
		if s.err != nil {
			return s.err
		}
	}
	return nil
}

// release gives the decoders back, the last first.
func (b *codedBody) release() {
	for i := len(b.stages) - 1; i >= 0; i-- {
		_ = b.stages[i].Close() // its errors were those of Read
	}
	b.stages = nil
}

// Close closes the body that came.
func (b *codedBody) Close() error {
	b.end()
	return b.wire.Close()
}

// end stops the decoding. A Read that is under way in another goroutine, which may wait for the client for long, gives
// the decoders back itself.
func (b *codedBody) end() {
	b.over.Store(true)
	if b.mu.TryLock() {
		b.release()
		b.mu.Unlock()
	}
}
