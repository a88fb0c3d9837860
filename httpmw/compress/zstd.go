package compress

import (
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/mw-go/mw/httpmw"
)

// Zstd is the coding zstd (RFC 8878) for httpmw.Decompress: any number of frames, one after the other, with windows of up
// to 8 MiB, which is what RFC 9659 lets a sender expect.
func Zstd() httpmw.Decoder {
	pool := new(sync.Pool)
	return httpmw.Decoder{Coding: "zstd", New: func(src io.Reader) (io.ReadCloser, error) {
		d, ok := pool.Get().(*zstd.Decoder)
		if !ok {
			var err error
			// One at a time decodes in the goroutine that reads, and starts none.
			d, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
			if err != nil {
				return nil, err
			}
		}
		if err := d.Reset(src); err != nil {
			return nil, err
		}
		return &pooledZstd{d, pool}, nil
	}}
}

type pooledZstd struct {
	*zstd.Decoder
	pool *sync.Pool
}

// Close gives the decoder back.
func (p *pooledZstd) Close() error {
	d := p.Decoder
	p.Decoder = nil
	if d != nil && d.Reset(nil) == nil {
		p.pool.Put(d)
	}
	return nil
}
