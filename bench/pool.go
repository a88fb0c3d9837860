package main

import (
	"context"
	"sync"

	"github.com/jackc/puddle/v2"
	"github.com/valyala/bytebufferpool"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/pool"
)

// conn stands for a resource.
type conn struct{ uses int }

func poolRows() []Row {
	return []Row{{
		Name: "Pool", About: "take an idle resource and give it back",
		Contestants: []Contestant{{Ours, oursPool}, {"puddle", puddlePool}},
	}, {
		Name: "Buffers", About: "take a buffer, append 1 KiB, give it back",
		Contestants: []Contestant{
			{Ours, oursBuffers}, {"bytebufferpool", byteBufferPool}, {"sync.Pool", syncPool}, {"make", makeBuffer},
		},
	}}
}

func oursPool() Subject {
	ctx := context.Background()
	p := mw.Must(pool.New("bench", pool.Config{Max: slots}, pool.Hooks[*conn]{
		Create: func(context.Context) (*conn, error) { return &conn{}, nil },
		Close:  func(*conn) error { return nil },
	}))
	return Subject{
		Loop: func(_, n int) (admitted int) {
			for range n {
				l, err := p.Acquire(ctx)
				if err != nil {
					continue
				}
				l.Value().uses++
				admitted++
				l.Release()
			}
			return admitted
		},
		Check: func(calls int) error {
			if s := p.Snapshot(); s.Out != 0 || s.Admitted != uint64(calls) {
				return errHeld
			}
			return nil
		},
		Close: func() { _ = p.Close(ctx) },
	}
}

func puddlePool() Subject {
	ctx := context.Background()
	p := mw.Must(puddle.NewPool(&puddle.Config[*conn]{
		MaxSize:     slots,
		Constructor: func(context.Context) (*conn, error) { return &conn{}, nil },
		Destructor:  func(*conn) {},
	}))
	return Subject{
		Loop: func(_, n int) (admitted int) {
			for range n {
				r, err := p.Acquire(ctx)
				if err != nil {
					continue
				}
				r.Value().uses++
				admitted++
				r.Release()
			}
			return admitted
		},
		Check: func(calls int) error {
			if s := p.Stat(); s.AcquiredResources() != 0 || s.AcquireCount() != int64(calls) {
				return errHeld
			}
			return nil
		},
		Close: p.Close,
	}
}

// kib is what is written into every buffer.
var kib = make([]byte, 1024)

func oursBuffers() Subject {
	p := mw.Must(pool.NewBuffers(0))
	return Subject{Loop: func(_, n int) (written int) {
		for range n {
			b := p.Get(len(kib))
			b.Append(kib...)
			written += len(b.B) / len(kib)
			p.Put(b)
		}
		return written
	}}
}

func byteBufferPool() Subject {
	return Subject{Loop: func(_, n int) (written int) {
		for range n {
			b := bytebufferpool.Get()
			b.B = append(b.B, kib...)
			written += len(b.B) / len(kib)
			bytebufferpool.Put(b)
		}
		return written
	}}
}

func syncPool() Subject {
	p := sync.Pool{New: func() any { return new([]byte) }}
	return Subject{Loop: func(_, n int) (written int) {
		for range n {
			b := p.Get().(*[]byte)
			*b = append((*b)[:0], kib...)
			written += len(*b) / len(kib)
			p.Put(b)
		}
		return written
	}}
}

// fresh is written, so that no buffer lives on a stack.
var fresh sync.Map

func makeBuffer() Subject {
	return Subject{Loop: func(_, n int) (written int) {
		for i := range n {
			b := append(make([]byte, 0, len(kib)), kib...)
			written += len(b) / len(kib)
			if i < 0 {
				fresh.Store(0, b)
			}
		}
		return written
	}}
}
