package httpmw

import (
	"bufio"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"sync"
)

// gzipDecoder is the gzip of RFC 1952: any number of members, one after the other.
func gzipDecoder() Decoder {
	pool := new(sync.Pool)
	return Decoder{Coding: "gzip", New: func(src io.Reader) (io.ReadCloser, error) {
		r, ok := pool.Get().(*gzip.Reader)
		if !ok {
			r = new(gzip.Reader)
		}
		if err := r.Reset(src); err != nil {
			pool.Put(r)
			return nil, whole(err)
		}
		return &pooledGzip{r, pool}, nil
	}}
}

type pooledGzip struct {
	*gzip.Reader
	pool *sync.Pool
}

// Close gives the reader back. It holds on to its source until it is used again or collected.
func (p *pooledGzip) Close() error {
	if p.Reader != nil {
		p.pool.Put(p.Reader)
		p.Reader = nil
	}
	return nil
}

// deflateDecoder is what HTTP calls deflate: the zlib format of RFC 1950. Raw deflate, which some clients send, is refused.
func deflateDecoder() Decoder {
	pool := new(sync.Pool)
	return Decoder{Coding: "deflate", New: func(src io.Reader) (io.ReadCloser, error) {
		bytes, ok := src.(*bufio.Reader) // so that nothing beyond the end is taken
		if !ok {
			bytes = bufio.NewReader(src)
		}
		r, ok := pool.Get().(io.ReadCloser)
		var err error
		if ok {
			err = r.(zlib.Resetter).Reset(bytes, nil)
		} else {
			r, err = zlib.NewReader(bytes)
		}
		if err != nil {
			return nil, whole(err)
		}
		return &pooledZlib{r, bytes, pool}, nil
	}}
}

type pooledZlib struct {
	io.Reader
	src  *bufio.Reader
	pool *sync.Pool
}

var errTrailing = errors.New("httpmw: the body goes on after its end")

// Read ends with io.EOF only if the source has ended, too.
func (p *pooledZlib) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if err == io.EOF {
		if _, err := p.src.ReadByte(); err == nil {
			return n, errTrailing
		} else if err != io.EOF {
			return n, err
		}
	}
	return n, err
}

// Close gives the reader back.
func (p *pooledZlib) Close() error {
	if p.Reader != nil {
		p.pool.Put(p.Reader)
		p.Reader = nil
	}
	return nil
}

// whole makes the end of the source within a header an error: io.EOF means that all is well.
func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
