package intercept

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
)

// The optional methods, each a type of its own, so that shape can put together those that the inner writer has:
// handlers ask by type assertion.
type (
	flusher    struct{ w *Writer }
	hijacker   struct{ w *Writer }
	readerFrom struct{ w *Writer }
	pusher     struct{ w *Writer }
)

const (
	canFlush = 1 << iota
	canHijack
	canReadFrom
	canPush
)

func (w *Writer) shape() http.ResponseWriter {
	can := 0
	if _, ok := w.inner.(http.Flusher); ok {
		can |= canFlush
	}
	if _, ok := w.inner.(http.Hijacker); ok {
		can |= canHijack
	}
	if _, ok := w.inner.(io.ReaderFrom); ok {
		can |= canReadFrom
	}
	if _, ok := w.inner.(http.Pusher); ok {
		can |= canPush
	}
	f, h, r, p := flusher{w}, hijacker{w}, readerFrom{w}, pusher{w}
	switch can {
	case canFlush:
		return struct {
			*Writer
			http.Flusher
		}{w, f}
	case canHijack:
		return struct {
			*Writer
			http.Hijacker
		}{w, h}
	case canFlush | canHijack:
		return struct {
			*Writer
			http.Flusher
			http.Hijacker
		}{w, f, h}
	case canReadFrom:
		return struct {
			*Writer
			io.ReaderFrom
		}{w, r}
	case canFlush | canReadFrom:
		return struct {
			*Writer
			http.Flusher
			io.ReaderFrom
		}{w, f, r}
	case canHijack | canReadFrom:
		return struct {
			*Writer
			http.Hijacker
			io.ReaderFrom
		}{w, h, r}
	case canFlush | canHijack | canReadFrom:
		return struct {
			*Writer
			http.Flusher
			http.Hijacker
			io.ReaderFrom
		}{w, f, h, r}
	case canPush:
		return struct {
			*Writer
			http.Pusher
		}{w, p}
	case canFlush | canPush:
		return struct {
			*Writer
			http.Flusher
			http.Pusher
		}{w, f, p}
	case canHijack | canPush:
		return struct {
			*Writer
			http.Hijacker
			http.Pusher
		}{w, h, p}
	case canFlush | canHijack | canPush:
		return struct {
			*Writer
			http.Flusher
			http.Hijacker
			http.Pusher
		}{w, f, h, p}
	case canReadFrom | canPush:
		return struct {
			*Writer
			io.ReaderFrom
			http.Pusher
		}{w, r, p}
	case canFlush | canReadFrom | canPush:
		return struct {
			*Writer
			http.Flusher
			io.ReaderFrom
			http.Pusher
		}{w, f, r, p}
	case canHijack | canReadFrom | canPush:
		return struct {
			*Writer
			http.Hijacker
			io.ReaderFrom
			http.Pusher
		}{w, h, r, p}
	case canFlush | canHijack | canReadFrom | canPush:
		return struct {
			*Writer
			http.Flusher
			http.Hijacker
			io.ReaderFrom
			http.Pusher
		}{w, f, h, r, p}
	default:
		return w
	}
}

// Flush is FlushError for handlers that do not want to know.
func (f flusher) Flush() { _ = f.w.FlushError() }

// Hijack ends the interception.
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.w.hijackFrom(h.w.inner.(http.Hijacker))
}

// Push is the inner writer's.
func (p pusher) Push(target string, o *http.PushOptions) error {
	return p.w.inner.(http.Pusher).Push(target, o)
}

// ReadFrom lets the inner writer copy, which is how a file reaches sendfile, as soon as the layer has let the response
// pass. The status stays open while src yields nothing, as in net/http.
func (r readerFrom) ReadFrom(src io.Reader) (n int64, err error) {
	w := r.w
	if w.action == undecided && !w.hijacked {
		n, err = io.CopyBuffer(onlyWriter{w}, onlyReader{io.LimitReader(src, firstBytes)}, make([]byte, firstBytes))
		if err != nil || n < firstBytes {
			return n, err
		}
	}
	var rest int64
	if w.action == Pass || w.hijacked {
		rest, err = w.inner.(io.ReaderFrom).ReadFrom(src)
	} else {
		rest, err = io.Copy(onlyWriter{w}, onlyReader{src})
	}
	return n + rest, err
}

// firstBytes are what net/http looks at for the type of a body.
const firstBytes = 512

type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

// FlushError does what http.ResponseController.Flush does with the inner writer. A response that is held is a stream from
// here on.
func (w *Writer) FlushError() error {
	for to := w.inner; ; {
		switch t := to.(type) {
		case interface{ FlushError() error }:
			return w.flush(t.FlushError)
		case http.Flusher:
			return w.flush(func() error { t.Flush(); return nil })
		case unwrapper:
			to = t.Unwrap()
		default:
			return fmt.Errorf("httpmw: flush: %w", http.ErrNotSupported)
		}
	}
}

func (w *Writer) flush(inner func() error) error {
	w.imply()
	if w.action == Hold {
		if err := w.release(Stream); err != nil {
			return err
		}
	}
	if w.action == Transform {
		if err := w.layer.(Transformer).Flush(); err != nil {
			return err
		}
	}
	return inner()
}

// unwrapper is what http.ResponseController looks for.
type unwrapper interface{ Unwrap() http.ResponseWriter }

// Unwrap returns the inner writer. http.ResponseController finds deadlines and full duplex there.
func (w *Writer) Unwrap() http.ResponseWriter {
	if _, ok := w.inner.(http.Hijacker); !ok {
		if _, ok := w.inner.(unwrapper); ok {
			return hijackTap{w}
		}
	}
	return w.inner
}

// hijackTap stands behind a shape that is no Hijacker while a writer further in may be one: it sees the Hijack that
// http.ResponseController finds by unwrapping.
type hijackTap struct{ *Writer }

// Unwrap returns the inner writer itself.
func (t hijackTap) Unwrap() http.ResponseWriter { return t.inner }

// Hijack does what http.ResponseController.Hijack does with the inner writer.
func (t hijackTap) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	for w := t.inner; ; {
		switch h := w.(type) {
		case http.Hijacker:
			return t.hijackFrom(h)
		case unwrapper:
			w = h.Unwrap()
		default:
			return nil, nil, fmt.Errorf("httpmw: hijack: %w", http.ErrNotSupported)
		}
	}
}

// hijackFrom sends what is held, as the server would have by now, and leaves the connection to the handler.
func (w *Writer) hijackFrom(h http.Hijacker) (net.Conn, *bufio.ReadWriter, error) {
	if w.action == Hold {
		if err := w.release(Stream); err != nil {
			return nil, nil, err
		}
	}
	conn, buf, err := h.Hijack()
	w.hijacked = w.hijacked || err == nil
	return conn, buf, err
}
