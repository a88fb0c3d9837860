package conformance

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"time"
)

// view is all that a client has seen of one exchange, and what the handler was told, by name:
//
//	answer             "none" if there was no final status
//	info               the informational answers in order
//	hint 0 Name        their fields
//	status, framing, field:Name, trailer:Name
//	body               its bytes
//	end                clean, or how it broke
//	reuse              whether the connection serves another request
//	did 01 write: ...  what the handler was told, step by step
type view map[string]string

// keys are the names of both, in order.
func keys(a, b view) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func (v view) fields(prefix string, h http.Header) {
	for name, values := range h {
		if name == "Date" && len(values) == 1 {
			if _, err := http.ParseTime(values[0]); err == nil {
				values = []string{"a date"}
			}
		}
		v[prefix+name] = fmt.Sprintf("%q", values)
	}
}

// response notes status, framing and fields, and reads the body.
func (v view) response(run *run, resp *http.Response) {
	run.seen.Add(1)
	run.note()
	v["status"] = fmt.Sprint(resp.StatusCode)
	v["framing"] = fmt.Sprintf("length=%d coded=%v close=%v", resp.ContentLength, resp.TransferEncoding, resp.Close)
	v.fields("field:", resp.Header)
	var body bytes.Buffer
	err := run.drain(&body, resp.Body)
	if err != nil {
		v["~error"] = err.Error()
	}
	v["body"] = body.String()
	v["end"] = ending(err)
	if run.s.old && resp.ContentLength < 0 && v["end"] == "broken" {
		v["end"] = "clean" // HTTP/1.0: a reset is as good an end as any
	}
	v.fields("trailer:", resp.Trailer)
	v.unify(resp.Header.Get("Content-Type"))
}

// unify puts a word in the place of the boundary that http.ServeContent takes from chance.
func (v view) unify(contentType string) {
	if kind, boundary, ok := strings.Cut(contentType, "boundary="); ok && strings.HasPrefix(kind, "multipart/") {
		for _, name := range []string{"body", "field:Content-Type"} {
			v[name] = strings.ReplaceAll(v[name], boundary, "boundary")
		}
	}
}

// informed notes an informational answer.
func (v view) informed(r *run, status int, h http.Header) {
	n := r.infos.Load()
	v["info"] += fmt.Sprint(status, " ")
	v.fields(fmt.Sprintf("hint %d ", n), h)
	if status != http.StatusContinue {
		r.infos.Add(1)
		r.note()
	}
}

// drain reads all, and says how far it is.
func (r *run) drain(to *bytes.Buffer, from io.Reader) error {
	b := make([]byte, 8192)
	for {
		n, err := from.Read(b)
		to.Write(b[:n])
		r.seen.Add(int64(n))
		r.written.Add(int64(n))
		r.note()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// ending makes the error of a body one of few words. What broke an HTTP/1.1 message is chance: the end or a reset.
func ending(err error) string {
	var timeout net.Error
	switch {
	case err == nil:
		return "clean"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "hangs"
	case strings.Contains(err.Error(), "stream error"):
		_, code, _ := strings.Cut(err.Error(), "; ")
		return "broken: " + code
	default:
		return "broken"
	}
}

// told waits for the handler and notes what it was told.
func (v view) told(r *run) {
	timer := time.NewTimer(r.bound)
	defer timer.Stop()
	select {
	case <-r.done:
		for i, line := range r.log {
			v[fmt.Sprintf("did %02d", i)] = line
		}
	case <-timer.C:
		v["did"] = "the handler has not ended"
	}
}

// paced is a body of which each piece is read once the client has got the one before back.
type paced struct {
	*run
	rest []byte
	sent int64
}

func (p *paced) Read(b []byte) (int, error) {
	timer := time.NewTimer(p.bound)
	defer timer.Stop()
	for p.written.Load() < p.sent {
		select {
		case <-p.over:
			return 0, io.ErrUnexpectedEOF
		case <-timer.C:
			return 0, io.ErrUnexpectedEOF
		case <-time.After(50 * time.Microsecond): // wake belongs to the handler
		}
	}
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.rest[:min(piece, len(p.rest))])
	p.rest = p.rest[n:]
	p.sent += int64(n)
	return n, nil
}

// wire is a client of HTTP/1.1 that hides nothing: it writes and parses messages on a connection of its own, which it keeps
// as long as the server does.
type wire struct {
	addr string
	conn net.Conn
	br   *bufio.Reader
}

func (c *wire) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *wire) dial(bound time.Duration) error {
	if c.conn == nil {
		conn, err := net.Dial("tcp", c.addr)
		if err != nil {
			return err
		}
		c.conn, c.br = conn, bufio.NewReader(conn)
	}
	return c.conn.SetDeadline(time.Now().Add(bound))
}

// do sends the request of a run and returns what came back.
func (c *wire) do(id string, r *run) view {
	v := view{}
	if err := c.dial(r.bound + hang/4); err != nil {
		v["answer"] = "no connection: " + err.Error()
		return v
	}
	release := make(chan struct{})
	uploaded := c.upload(id, r, release)
	c.receive(v, r, release)
	close(r.over)
	v.told(r)
	c.reuse(v, uploaded)
	if c.conn == nil || v["end"] != "clean" { // the upload has nobody to write to
		c.close()
	}
	<-uploaded
	return v
}

// upload writes the request; a body that has to wait is written by a goroutine.
func (c *wire) upload(id string, r *run, release chan struct{}) (done chan struct{}) {
	s, conn := r.s, c.conn
	var b bytes.Buffer
	version := "HTTP/1.1"
	if s.old {
		version = "HTTP/1.0"
	}
	fmt.Fprintf(&b, "%s %s %s\r\nHost: test\r\nX-Run: %s\r\n", s.method, s.path(false), version, id)
	_ = s.header(false).Write(&b)
	body := s.payload()
	switch s.upload {
	case plainUpload, expectUpload:
		fmt.Fprintf(&b, "Content-Length: %d\r\n", s.length)
	case chunkedUpload, pacedUpload:
		b.WriteString("Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n")
	}
	if s.upload == expectUpload {
		b.WriteString("Expect: 100-continue\r\n")
	}
	b.WriteString("\r\n")
	done = make(chan struct{})
	if s.upload == plainUpload && len(body) < 4096 {
		b.Write(body)
		body = nil
	}
	_, _ = conn.Write(b.Bytes())
	if s.upload == noUpload || body == nil {
		close(done)
		return done
	}
	go func() {
		defer close(done)
		switch s.upload {
		case expectUpload:
			select {
			case <-release:
			case <-r.over:
			}
			_, _ = conn.Write(body)
		case chunkedUpload, pacedUpload:
			var from io.Reader = bytes.NewReader(body)
			if s.upload == pacedUpload {
				from = &paced{run: r, rest: body}
			}
			w := httputil.NewChunkedWriter(conn)
			if _, err := io.CopyBuffer(onlyWriter{w}, from, make([]byte, 4096)); err == nil {
				_ = w.Close()
				_, _ = io.WriteString(conn, "X-Sum: 1\r\n\r\n")
			}
		default:
			_, _ = conn.Write(body)
		}
	}()
	return done
}

type onlyWriter struct{ io.Writer }

// receive reads the answers.
func (c *wire) receive(v view, r *run, release chan struct{}) {
	for {
		resp, err := http.ReadResponse(c.br, &http.Request{Method: r.s.method})
		if err != nil {
			v["answer"], v["end"] = "none", ending(err)
			return
		}
		if resp.StatusCode == http.StatusContinue {
			close(release)
		}
		if resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
			v.informed(r, resp.StatusCode, resp.Header)
			continue
		}
		if r.s.upload == expectUpload && !strings.Contains(v["info"], "100") {
			close(release) // nobody asked; a handler that reads now would wait for ever, and so would a server that discards it
		}
		v.response(r, resp)
		if resp.StatusCode == http.StatusSwitchingProtocols { // what comes now is another protocol's
			var body bytes.Buffer
			_ = r.drain(&body, c.br) // it ends by a reset if a part of the request was not read
			v["body"], v["end"] = body.String(), "switched"
		}
		return
	}
}

// reuse asks for something else on the same connection.
func (c *wire) reuse(v view, uploaded chan struct{}) {
	if v["end"] != "clean" {
		v["reuse"] = "no"
		c.close()
		return
	}
	if strings.Contains(v["framing"], "close=true") {
		if _, err := c.br.ReadByte(); err == nil {
			v["reuse"] = "more bytes than there should be"
		} else {
			v["reuse"] = "closed"
		}
		c.close()
		return
	}
	<-uploaded // the server reads it to the end
	_, err := io.WriteString(c.conn, "GET /ping HTTP/1.1\r\nHost: test\r\n\r\n")
	if err == nil {
		var resp *http.Response
		if resp, err = http.ReadResponse(c.br, nil); err == nil && resp.StatusCode == http.StatusNoContent {
			v["reuse"] = "yes"
			return
		}
	}
	v["reuse"] = "no"
	c.close()
}

// doH2 sends the request of a run through an HTTP/2 transport.
func doH2(t http.RoundTripper, url, id string, r *run) view {
	v := view{}
	ctx, cancel := context.WithTimeout(context.Background(), r.bound+hang/4)
	defer cancel()
	var (
		mu    sync.Mutex // guards early
		early = view{}
	)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			mu.Lock()
			defer mu.Unlock()
			early.informed(r, code, http.Header(h))
			return nil
		},
	})
	req := r.request(ctx, url)
	req.Header.Set("X-Run", id)
	resp, err := t.RoundTrip(req)
	if err != nil {
		v["answer"], v["end"], v["~error"] = "none", ending(err), err.Error()
	} else {
		v.response(r, resp)
		_ = resp.Body.Close()
	}
	close(r.over)
	mu.Lock()
	maps.Copy(v, early)
	mu.Unlock()
	if strings.Contains(v["~error"], "GOAWAY") { // of the whole connection, for a stream before: this one may never have arrived
		v["did"] = "the connection was lost"
		return v
	}
	v.told(r)
	return v
}

// request is the scenario's for a transport.
func (r *run) request(ctx context.Context, url string) *http.Request {
	s := r.s
	req, err := http.NewRequestWithContext(ctx, s.method, url+s.path(true), nil)
	if err != nil {
		panic(err)
	}
	maps.Copy(req.Header, s.header(true))
	body := s.payload()
	switch s.upload {
	case plainUpload, expectUpload:
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(s.length)
	case chunkedUpload:
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), -1
		req.Trailer = http.Header{"X-Sum": {"1"}}
	case pacedUpload:
		req.Body, req.ContentLength = io.NopCloser(&paced{run: r, rest: body}), -1
	}
	return req
}
