package httpmw

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core/breaker"
)

// metered is a body that counts what is read of it.
type metered struct {
	io.Reader
	read   int
	closed int
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.read += n
	return n, err
}

func (m *metered) Close() error { m.closed++; return nil }

// http.md section 2, draining: a few KiB and a few ms, then Close.
func TestDiscardReadsALittle(t *testing.T) {
	for _, c := range []struct {
		name         string
		size, length int64
		status, most int
		least        int
	}{
		{"small", 100, 100, 503, 100, 100},
		{"unknown and small", 100, -1, 503, 100, 100},
		{"the bound", drainBytes, drainBytes, 503, drainBytes, drainBytes},
		{"unknown and large", 1 << 20, -1, 503, drainBytes + 1, drainBytes + 1},
		{"large", 1 << 20, 1 << 20, 503, 0, 0},
		{"a connection", 100, -1, 101, 0, 0},
	} {
		body := &metered{Reader: io.LimitReader(strings.NewReader(strings.Repeat("x", 1<<20)), c.size)}
		discard(&http.Response{StatusCode: c.status, ContentLength: c.length, Body: body})
		if body.read < c.least || body.read > c.most {
			t.Errorf("%s: read %d, want %d to %d", c.name, body.read, c.least, c.most)
		}
		equal(t, c.name+": closed", body.closed, 1)
	}
	discard(nil)
	discard(&http.Response{})
	discard(&http.Response{Body: http.NoBody})
}

// A server that begins an answer and stalls must not hold the next attempt up.
func TestDiscardWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, in := io.Pipe()
		defer in.Close()
		start := time.Now()
		discard(&http.Response{StatusCode: 503, ContentLength: -1, Body: pipeBody{out}})
		equal(t, "took", time.Since(start), drainTime)
	})
}

func TestClientLayersHaveNames(t *testing.T) {
	rt := ClientBreaker(newBreaker(breaker.Config{}))(http.DefaultTransport)
	if named, ok := rt.(interface {
		Layer() string
		Unwrap() http.RoundTripper
	}); !ok || named.Layer() != "ClientBreaker" || named.Unwrap() != http.DefaultTransport {
		t.Errorf("%T", rt)
	}
	equal(t, "nil RoundTripper", apart(func() { ClientBreaker(newBreaker(breaker.Config{}))(nil) }), any("httpmw: ClientBreaker: nil RoundTripper"))
}
