package httpmw

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mw-go/mw/core/retry"
)

// faultyServer does to each request what its X-Fault says, the next word of it for each attempt (the last word stays), and keeps
// a ledger of what it was sent.
//
//	ok      200 and a body
//	503     that status, any; a body
//	reset   the connection is reset before an answer
//	cut     200, half of the body, and then a reset
//	stall   no answer until the client gives up
//	early   103 and then 503
type faultyServer struct {
	*httptest.Server
	mu     sync.Mutex
	seen   map[string]int      // executions by X-Id
	bodies map[string][]string // received, by X-Id
	keys   map[string][]string // Idempotency-Keys, by X-Id
	conns  atomic.Int64        // accepted

	statuses map[string][]string // faults done, by X-Id
}

const faultyBody = "all is well"

func newFaultyServer(t testing.TB, h2 bool) *faultyServer {
	s := &faultyServer{seen: map[string]int{}, bodies: map[string][]string{}, keys: map[string][]string{}, statuses: map[string][]string{}}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = quietLog
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	if h2 {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP implements http.Handler.
func (s *faultyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	id := r.Header.Get("X-Id")
	s.mu.Lock()
	s.seen[id]++
	n := s.seen[id]
	s.bodies[id] = append(s.bodies[id], string(body))
	s.keys[id] = append(s.keys[id], r.Header.Get(fieldIdempotencyKey))
	faults := r.Header["X-Fault"]
	if len(faults) == 0 {
		faults = []string{"ok"}
	}
	fault := faults[min(n, len(faults))-1]
	s.statuses[id] = append(s.statuses[id], fault)
	s.mu.Unlock()
	switch fault {
	case "ok":
		_, _ = io.WriteString(w, faultyBody)
	case "reset":
		cut(w)
	case "cut":
		w.Header().Set("Content-Length", strconv.Itoa(2*len(faultyBody)))
		_, _ = io.WriteString(w, faultyBody)
		_ = http.NewResponseController(w).Flush()
		cut(w)
	case "stall":
		<-r.Context().Done()
	case "early":
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		status, _ := strconv.Atoi(fault)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "status "+fault)
	}
}

// cut resets the connection, or the stream.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func (s *faultyServer) executions(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[id]
}

// request makes a request with an id and faults.
func (s *faultyServer) request(ctx context.Context, method, id string, body io.Reader, faults ...string) *http.Request {
	r, err := http.NewRequestWithContext(ctx, method, s.URL, body)
	if err != nil {
		panic(err)
	}
	r.Header.Set("X-Id", id)
	r.Header["X-Fault"] = faults
	return r
}

// countingTransport counts what goes through it and which bodies are still open.
type countingTransport struct {
	next http.RoundTripper
	sent atomic.Int64
	open atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (c *countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	c.sent.Add(1)
	resp, err := c.next.RoundTrip(r)
	if err == nil && resp.Body != nil {
		c.open.Add(1)
		resp.Body = &countedBody{ReadCloser: resp.Body, open: &c.open}
	}
	return resp, err
}

// CloseIdleConnections passes it on.
func (c *countingTransport) CloseIdleConnections() {
	c.next.(interface{ CloseIdleConnections() }).CloseIdleConnections()
}

type countedBody struct {
	io.ReadCloser
	open *atomic.Int64
	once sync.Once
}

func (b *countedBody) Close() error {
	b.once.Do(func() { b.open.Add(-1) })
	return b.ReadCloser.Close()
}

// none checks that no body is open, waiting for those that goroutines of the transport are about to close.
func (c *countingTransport) none(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(hang); c.open.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bodies are open", c.open.Load())
		}
	}
}

// clientOf returns a client whose RoundTripper is mw over a counting transport.
func clientOf(t testing.TB, s *faultyServer, mw func(http.RoundTripper) http.RoundTripper) (*http.Client, *countingTransport) {
	tr := s.Client().Transport.(*http.Transport).Clone()
	counting := &countingTransport{next: tr}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: mw(counting)}, counting
}

func newRetry(t testing.TB, c retry.Config, h ...retry.Hooks) *retry.Retry {
	t.Helper()
	if c.Base == 0 {
		c.Base = time.Millisecond
	}
	r, err := retry.New("test", c, atMostOne("hooks", h))
	if err != nil {
		t.Fatal(err)
	}
	return r
}
