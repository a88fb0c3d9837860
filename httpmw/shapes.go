package httpmw

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// Handlers ask a ResponseWriter what it can do by type assertion, so the wrapped writer must have exactly the optional
// methods that the inner one has: 16 types for four interfaces. Each is a struct of one pointer, which an interface
// holds without an allocation; each step adds one interface to all shapes before it.
type (
	shape0 struct{ *exchange }

	shapeF struct{ shape0 } // http.Flusher

	shapeH  struct{ shape0 } // http.Hijacker
	shapeFH struct{ shapeF }

	shapeR   struct{ shape0 } // io.ReaderFrom
	shapeFR  struct{ shapeF }
	shapeHR  struct{ shapeH }
	shapeFHR struct{ shapeFH }

	shapeP    struct{ shape0 } // http.Pusher
	shapeFP   struct{ shapeF }
	shapeHP   struct{ shapeH }
	shapeFHP  struct{ shapeFH }
	shapeRP   struct{ shapeR }
	shapeFRP  struct{ shapeFR }
	shapeHRP  struct{ shapeHR }
	shapeFHRP struct{ shapeFHR }
)

var _ recorded = shapeFHRP{} // the method, not the embedded field

func (s shapeF) Flush() { s.flush() }

func (s shapeH) Hijack() (net.Conn, *bufio.ReadWriter, error)  { return s.hijack() }
func (s shapeFH) Hijack() (net.Conn, *bufio.ReadWriter, error) { return s.hijack() }

func (s shapeR) ReadFrom(src io.Reader) (int64, error)   { return s.readFrom(src) }
func (s shapeFR) ReadFrom(src io.Reader) (int64, error)  { return s.readFrom(src) }
func (s shapeHR) ReadFrom(src io.Reader) (int64, error)  { return s.readFrom(src) }
func (s shapeFHR) ReadFrom(src io.Reader) (int64, error) { return s.readFrom(src) }

func (s shapeP) Push(target string, o *http.PushOptions) error    { return s.push(target, o) }
func (s shapeFP) Push(target string, o *http.PushOptions) error   { return s.push(target, o) }
func (s shapeHP) Push(target string, o *http.PushOptions) error   { return s.push(target, o) }
func (s shapeFHP) Push(target string, o *http.PushOptions) error  { return s.push(target, o) }
func (s shapeRP) Push(target string, o *http.PushOptions) error   { return s.push(target, o) }
func (s shapeFRP) Push(target string, o *http.PushOptions) error  { return s.push(target, o) }
func (s shapeHRP) Push(target string, o *http.PushOptions) error  { return s.push(target, o) }
func (s shapeFHRP) Push(target string, o *http.PushOptions) error { return s.push(target, o) }

// The bits of the table below.
const (
	canFlush = 1 << iota
	canHijack
	canReadFrom
	canPush
)

// shape returns the exchange as a ResponseWriter with the optional interfaces of the inner writer.
func (x *exchange) shape() http.ResponseWriter {
	can := 0
	if _, ok := x.inner.(http.Flusher); ok {
		can |= canFlush
	}
	if _, ok := x.inner.(http.Hijacker); ok {
		can |= canHijack
	}
	if _, ok := x.inner.(io.ReaderFrom); ok {
		can |= canReadFrom
	}
	if _, ok := x.inner.(http.Pusher); ok {
		can |= canPush
	}
	return x.shapeOf(can)
}

// shapeOf is a switch and not a table built on each call: all of these are the same pointer.
func (x *exchange) shapeOf(can int) http.ResponseWriter {
	none := shape0{x}
	f, h, r := shapeF{none}, shapeH{none}, shapeR{none}
	fh, fr, hr := shapeFH{f}, shapeFR{f}, shapeHR{h}
	fhr := shapeFHR{fh}
	switch can {
	case canFlush:
		return f
	case canHijack:
		return h
	case canFlush | canHijack:
		return fh
	case canReadFrom:
		return r
	case canFlush | canReadFrom:
		return fr
	case canHijack | canReadFrom:
		return hr
	case canFlush | canHijack | canReadFrom:
		return fhr
	case canPush:
		return shapeP{none}
	case canFlush | canPush:
		return shapeFP{f}
	case canHijack | canPush:
		return shapeHP{h}
	case canFlush | canHijack | canPush:
		return shapeFHP{fh}
	case canReadFrom | canPush:
		return shapeRP{r}
	case canFlush | canReadFrom | canPush:
		return shapeFRP{fr}
	case canHijack | canReadFrom | canPush:
		return shapeHRP{hr}
	case canFlush | canHijack | canReadFrom | canPush:
		return shapeFHRP{fhr}
	default:
		return none
	}
}

func (x *exchange) flush() {
	x.imply()
	x.flushed = true
	x.inner.(http.Flusher).Flush()
}

func (x *exchange) hijack() (net.Conn, *bufio.ReadWriter, error) {
	return x.hijackFrom(x.inner.(http.Hijacker))
}

// firstBytes are written and not copied by a careful exchange, as many as net/http looks at for the type.
const firstBytes = 512

// readFrom lets the inner writer copy, which is how a file reaches sendfile. net/http leaves the status open while src
// yields nothing, so that a handler can still answer an error of the first read: so do we. A careful exchange writes the
// first bytes itself, so that its hooks hear of a status when there is one.
func (x *exchange) readFrom(src io.Reader) (int64, error) {
	to := x.inner.(io.ReaderFrom)
	if x.careful && !x.sent() {
		n, err := io.Copy(x, io.LimitReader(src, firstBytes))
		if err != nil || n < firstBytes {
			return n, err
		}
		rest, err := x.readFrom(src)
		return n + rest, err
	}
	if x.sent() {
		n, err := to.ReadFrom(src)
		x.count(n)
		return n, err
	}
	x.runHooks(http.StatusOK)
	x.copying = true // and stays so if src panics
	n, err := to.ReadFrom(src)
	x.copying = false
	if n > 0 {
		x.commit(http.StatusOK)
		x.count(n)
	}
	return n, err
}

func (x *exchange) push(target string, o *http.PushOptions) error {
	return x.inner.(http.Pusher).Push(target, o)
}
