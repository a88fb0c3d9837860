package conformance

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// run is one request: what handler and client tell each other beside the wire.
type run struct {
	s     *scenario
	h2    bool
	bound time.Duration // of waits

	infos   atomic.Int64 // that the client has seen
	seen    atomic.Int64 // bytes of body that it has seen, and one for the header
	wake    chan struct{}
	written atomic.Int64 // paced: bytes of the body the client has seen back
	over    chan struct{}

	done chan struct{} // the handler has ended
	log  []string      // what it was told, one line a step; to be read when done
}

func newRun(s *scenario, h2 bool, bound time.Duration) *run {
	return &run{s: s, h2: h2, bound: bound, wake: make(chan struct{}, 1), over: make(chan struct{}), done: make(chan struct{})}
}

// note tells the handler that the client has made progress.
func (r *run) note() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// await waits until the client has seen so much, and reports whether it has.
func (r *run) await(infos, body int64) bool {
	timer := time.NewTimer(r.bound)
	defer timer.Stop()
	for r.infos.Load() < infos || r.seen.Load() < body {
		select {
		case <-r.wake:
		case <-r.over:
			return r.infos.Load() >= infos && r.seen.Load() >= body
		case <-timer.C:
			return false
		}
	}
	return true
}

// player is a handler at work.
type player struct {
	*run
	w      http.ResponseWriter
	r      *http.Request
	offset int   // in the text
	sent   int64 // what the client should see of it
	infos  int64
	closed bool // the header is decided, as far as the handler knows
	silent bool // no body reaches the client
	lost   bool // the connection is gone
}

func (r *run) play(w http.ResponseWriter, req *http.Request) {
	p := &player{run: r, w: w, r: req, silent: req.Method == http.MethodHead}
	defer close(r.done)
	p.logRequest()
	for _, st := range r.s.steps {
		p.do(st)
	}
}

func (p *player) say(st step, format string, args ...any) {
	if reads := st.op == opRead || st.op == opReadAll; p.h2 && !reads && (p.r.Method == http.MethodHead || declares(p.s)) {
		return // the client is done with the header of a HEAD, or with more than was declared; what comes before that is chance
	}
	p.log = append(p.log, string(st.op)+": "+fmt.Sprintf(format, args...))
}

// logRequest notes what the handler is given.
func (p *player) logRequest() {
	var b strings.Builder
	fmt.Fprintf(&b, "request: %s %s %s host=%v length=%d coded=%v nobody=%v", p.r.Method, p.r.RequestURI, p.r.Proto, p.r.Host != "",
		p.r.ContentLength, p.r.TransferEncoding, p.r.Body == http.NoBody)
	for _, name := range slices.Sorted(maps.Keys(p.r.Header)) {
		if name != "X-Run" {
			fmt.Fprintf(&b, " %s=%q", name, p.r.Header[name])
		}
	}
	p.log = append(p.log, b.String())
	b.Reset()
	b.WriteString("writer:")
	if _, ok := p.w.(http.Flusher); ok {
		b.WriteString(" flusher")
	}
	if _, ok := p.w.(http.Hijacker); ok {
		b.WriteString(" hijacker")
	}
	if _, ok := p.w.(http.Pusher); ok {
		b.WriteString(" pusher")
	}
	p.log = append(p.log, b.String())
}

type onlyReader struct{ io.Reader }

// told makes an error one of few words, the same in every run.
func told(err error) string {
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, http.ErrNotSupported):
		return "not supported"
	case errors.Is(err, http.ErrBodyNotAllowed):
		return "no body allowed"
	case errors.Is(err, http.ErrContentLength), strings.Contains(err.Error(), "more than declared"):
		return "longer than declared"
	case errors.Is(err, http.ErrHijacked):
		return "hijacked"
	case errors.Is(err, http.ErrBodyReadAfterClose):
		return "body is closed"
	case errors.Is(err, http.ErrHandlerTimeout):
		return "handler timeout"
	case errors.As(err, &large):
		return "too large"
	case errors.Is(err, io.EOF):
		return "end"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "deadline"
	default:
		return err.Error()
	}
}

// wrote accounts for n bytes that the writer has taken.
func (p *player) wrote(st step, n int64, err error) {
	p.closed = p.closed || n > 0 || st.n > 0
	p.offset += int(n)
	if !p.silent {
		p.sent += n
	}
	p.say(st, "%d %s", n, told(err))
}

// reach waits until the client has all.
func (p *player) reach(st step) {
	if !st.wait || p.lost {
		return
	}
	if !p.await(p.infos, 1+p.sent) {
		p.say(st, "the client has seen %d infos, %d bytes; not %d, %d", p.run.infos.Load(), p.seen.Load()-1, p.infos, p.sent)
		p.lost = true
	}
}

func (p *player) do(st step) {
	h, rc := p.w.Header(), http.NewResponseController(p.w)
	if p.h2 && st.name == "Connection" {
		return // the server would say goodbye to all who share the connection
	}
	switch st.op {
	case opSet:
		h.Set(st.name, st.value)
	case opAdd:
		h.Add(st.name, st.value)
	case opDelete:
		h.Del(st.name)
	case opNil:
		h[st.name] = nil
	case opTrailerSoon:
		h.Add("Trailer", st.name)
	case opTrailer:
		h.Set(st.name, st.value)
	case opTrailerLate:
		h.Add(http.TrailerPrefix+st.name, st.value)
	case opStatus:
		p.status(st.n)
	case opInfo:
		p.info(st)
	case opWrite:
		n, err := p.w.Write(text(p.offset, st.n))
		p.wrote(st, int64(n), err)
	case opWriteString:
		part := string(text(p.offset, st.n))
		n, err := io.WriteString(p.w, part)
		p.wrote(st, int64(n), err)
	case opCopy:
		n, err := io.Copy(p.w, onlyReader{bytes.NewReader(text(p.offset, st.n))})
		p.wrote(st, n, err)
	case opReadFrom:
		if to, ok := p.w.(io.ReaderFrom); ok {
			n, err := to.ReadFrom(onlyReader{bytes.NewReader(text(p.offset, st.n))})
			p.wrote(st, n, err)
		} else {
			n, err := io.Copy(onlyWriter{p.w}, onlyReader{bytes.NewReader(text(p.offset, st.n))})
			p.wrote(st, n, err)
		}
	case opCopyFile:
		p.copyFile(st)
	case opFlush:
		if f, ok := p.w.(http.Flusher); ok {
			f.Flush()
			p.closed = true
			p.reach(st)
		} else {
			p.say(st, "not supported")
		}
	case opFlushRC:
		err := rc.Flush()
		p.closed = true
		p.say(st, "%s", told(err))
		if err == nil {
			p.reach(st)
		}
	case opRead:
		b := make([]byte, st.n)
		n, err := io.ReadFull(p.r.Body, b)
		p.say(st, "%d %s %t", n, told(err), bytes.HasPrefix(p.s.payload(), b[:n]))
	case opReadAll:
		b, err := io.ReadAll(p.r.Body)
		p.say(st, "%d %s %t %v", len(b), told(err), bytes.HasSuffix(p.s.payload(), b), p.r.Trailer)
	case opClose:
		p.say(st, "%s", told(p.r.Body.Close()))
	case opEcho:
		p.echo(st, rc)
	case opReadDeadline:
		p.say(st, "%s", told(rc.SetReadDeadline(later(st.n))))
	case opDeadline:
		p.say(st, "%s", told(rc.SetWriteDeadline(later(st.n))))
	case opExpired:
		if p.h2 { // there a timer resets the stream, sooner or later
			return
		}
		p.say(st, "%s", told(rc.SetWriteDeadline(time.Unix(1, 0))))
	case opPanic:
		panic(st.value)
	case opAbort:
		panic(http.ErrAbortHandler)
	case opGoexit:
		runtime.Goexit()
	case opHijack:
		p.hijack(st, rc)
	case opServeContent:
		p.closed = true
		http.ServeContent(p.w, p.r, "x.txt", time.Unix(1e9, 0), bytes.NewReader(text(0, st.n)))
	case opServeFile:
		p.closed = true
		http.ServeFile(p.w, p.r, sample)
	case opError:
		p.closed = true
		http.Error(p.w, st.value, st.n)
	case opRedirect:
		p.closed = true
		http.Redirect(p.w, p.r, st.value, st.n)
	default:
		panic("no such step: " + st.op)
	}
}

func later(hours int) time.Time {
	if hours == 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(hours) * time.Hour)
}

func (p *player) status(n int) {
	if !p.closed && (n < 200 || n == 204 || n == 304) {
		p.silent = true
	}
	p.closed = true
	p.w.WriteHeader(n)
}

func (p *player) info(st step) {
	p.w.WriteHeader(st.n)
	if p.closed {
		return
	}
	p.infos++
	if st.wait && !p.await(p.infos, 0) {
		p.say(st, "the client has seen %d infos, not %d", p.run.infos.Load(), p.infos)
	}
}

func (p *player) copyFile(st step) {
	f, err := os.Open(sample)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := f.Seek(int64(p.offset), io.SeekStart); err != nil {
		panic(err)
	}
	n, err := io.Copy(p.w, io.LimitReader(f, int64(st.n)))
	p.wrote(st, n, err)
}

// echo sends back what it reads, piece by piece; the client sends the next when it has the last.
func (p *player) echo(st step, rc *http.ResponseController) {
	p.say(st, "full duplex: %s", told(rc.EnableFullDuplex()))
	b, total := make([]byte, piece), 0
	for {
		n, err := io.ReadFull(p.r.Body, b[:max(1, min(piece, p.s.length-total))])
		if err != nil {
			p.say(st, "%d %s", total, told(err))
			return
		}
		m, err := p.w.Write(b[:n])
		flushed := rc.Flush()
		total += n
		p.closed = true
		if !p.silent {
			p.sent += int64(m)
		}
		if err != nil || flushed != nil {
			p.say(st, "%d %s %s", total, told(err), told(flushed))
			return
		}
	}
}

// hijack takes the connection, by assertion or by controller, and answers by itself; on HTTP/2 that cannot be.
func (p *player) hijack(st step, rc *http.ResponseController) {
	var (
		conn net.Conn
		buf  *bufio.ReadWriter
		err  error
	)
	if hj, ok := p.w.(http.Hijacker); ok && st.n%2 == 0 {
		conn, buf, err = hj.Hijack()
	} else {
		conn, buf, err = rc.Hijack()
	}
	p.say(st, "%s", told(err))
	if err != nil {
		p.do(step{op: opStatus, n: 501})
		p.do(step{op: opWrite, n: 5})
		return
	}
	p.lost = true
	defer conn.Close()
	_, _ = buf.WriteString(st.value)
	_ = buf.Flush()
	n, err := p.w.Write([]byte("late"))
	p.say(st, "write afterwards: %d %s", n, told(err))
}
