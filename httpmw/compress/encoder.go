package compress

import (
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// encoder is what both codings have.
type encoder interface {
	io.Writer
	Flush() error
	Close() error
	Reset(w io.Writer)
}

// encoders are those of one coding and level that are not in use.
type encoders struct {
	pool sync.Pool
	make func() encoder
}

func newEncoders(coding string, c *Config) *encoders {
	if coding == "gzip" {
		level := c.Gzip
		return &encoders{make: func() encoder {
			return must(gzip.NewWriterLevel(io.Discard, level))
		}}
	}
	level := zstd.EncoderLevel(c.Zstd)
	return &encoders{make: func() encoder {
		return must(zstd.NewWriter(io.Discard, zstd.WithEncoderLevel(level), zstd.WithWindowSize(window),
			zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true)))
	}}
}

// window is how far back zstd looks: the memory of an encoder, and of the client, against a little of the ratio. Clients
// take up to 8 MiB (RFC 9659).
const window = 1 << 19

func (e *encoders) get(w io.Writer) encoder {
	enc, ok := e.pool.Get().(encoder)
	if !ok {
		enc = e.make()
	}
	enc.Reset(w)
	return enc
}

// put takes an encoder back in whatever state, and lets go of the response.
func (e *encoders) put(enc encoder) {
	enc.Reset(io.Discard)
	e.pool.Put(enc)
}

// must is for options that Config.Validate has checked.
func must[E encoder](enc E, err error) E {
	if err != nil {
		panic("compress: " + err.Error())
	}
	return enc
}
