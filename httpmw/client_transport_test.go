package httpmw

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

func newTransport(t testing.TB, c TransportConfig, h ...TransportHooks) *Transport {
	t.Helper()
	tr, err := NewTransport(c, atMostOne("hooks", h))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func TestTransportConfig(t *testing.T) {
	for _, c := range []any{TransportConfig{}, PacerConfig{}} {
		if _, err := schema.Describe(reflect.TypeOf(c)); err != nil {
			t.Errorf("%T: %v", c, err)
		}
	}
	_, err := NewTransport(TransportConfig{DialTimeout: time.Hour, MaxIdle: -1, MaxPerHost: -2, PingAfter: time.Millisecond}, TransportHooks{})
	for _, field := range []string{"dial_timeout", "max_idle", "max_per_host", "ping_after"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	tr := newTransport(t, TransportConfig{})
	h := tr.current.Load().http
	if h.MaxConnsPerHost != 0 || h.ResponseHeaderTimeout != 30*time.Second || h.HTTP2.SendPingTimeout != 30*time.Second || h.MaxIdleConnsPerHost != 100 {
		t.Errorf("defaults: %+v", h)
	}
	none := TransportConfig{HeaderTimeout: core.None, PingAfter: core.None, KeepAlive: core.None, MaxPerHost: core.None, NoHTTP2: true, NoCompression: true}
	h = newTransport(t, none).current.Load().http
	if h.MaxConnsPerHost != 0 || h.ResponseHeaderTimeout != 0 || h.HTTP2.SendPingTimeout != 0 || h.Protocols.HTTP2() || !h.DisableCompression {
		t.Errorf("none: %+v", h)
	}
}

// A Tune in the middle of a download leaves it alone, and the next request gets a connection by the new settings.
func TestTransportTuneLeavesRequestsAlone(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		proceed := make(chan struct{})
		s := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", 64<<10))
			if r.URL.Path == "/slow" {
				_ = http.NewResponseController(w).Flush()
				<-proceed
				_, _ = io.WriteString(w, strings.Repeat("x", 64<<10))
			}
		}))
		tr := newTransport(t, TransportConfig{}, TransportHooks{TLS: serverTLS(s)})
		client := &http.Client{Transport: tr}
		slow, err := client.Get(s.URL + "/slow")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "protocol", slow.ProtoMajor == 2, strings.HasPrefix(s.URL, "https"))
		if err := tr.Tune(TransportConfig{MaxPerHost: 1, MaxIdlePerHost: 1}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			resp, err := client.Get(s.URL + "/")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		close(proceed)
		n, err := io.Copy(io.Discard, slow.Body)
		slow.Body.Close()
		equal(t, "bytes", n, 128<<10)
		if err != nil {
			t.Error(err)
		}
		equal(t, "connections", tr.Snapshot().Dials, 2)
		if err := tr.Tune(tr.Config()); err != nil {
			t.Fatal(err)
		}
		equal(t, "tunes", tr.Snapshot().Tunes, 1)
		if err := tr.Tune(TransportConfig{MaxIdle: -1}); err == nil || tr.Config().MaxIdlePerHost != 1 {
			t.Errorf("%v, %+v", err, tr.Config())
		}
	})
}

func serverTLS(s *httptest.Server) *tls.Config {
	return s.Client().Transport.(*http.Transport).TLSClientConfig
}

// The limit of connections holds from the Tune on, and no request fails for it.
func TestTransportTuneUnderLoad(t *testing.T) {
	var running, most atomic.Int64
	s := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := running.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(time.Millisecond)
		running.Add(-1)
	}), false)
	tr := newTransport(t, TransportConfig{})
	client := &http.Client{Transport: tr}
	load := func() {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					resp, err := client.Get(s.URL)
					if err != nil {
						t.Error(err)
						return
					}
					resp.Body.Close()
				}
			})
		}
		wg.Wait()
	}
	done := make(chan struct{})
	go func() { defer close(done); load() }()
	for i := range 50 {
		if err := tr.Tune(TransportConfig{MaxIdlePerHost: 1 + i%5}); err != nil {
			t.Error(err)
		}
	}
	<-done
	if err := tr.Tune(TransportConfig{MaxPerHost: 2}); err != nil {
		t.Fatal(err)
	}
	most.Store(0)
	load()
	if n := most.Load(); n > 2 {
		t.Errorf("%d requests at once over 2 connections", n)
	}
}

// A connection that a Tune finds in use is closed when it is done; that of HTTP/2, which may stay for the IdleTimeout, by
// CloseIdleConnections at the latest.
func TestTransportClosesWhatATuneLeftBehind(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		closed := make(chan struct{}, 10)
		s := httptest.NewUnstartedServer(okHandler)
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				closed <- struct{}{}
			}
		}
		s.EnableHTTP2 = h2
		s.StartTLS()
		tr := newTransport(t, TransportConfig{}, TransportHooks{TLS: serverTLS(s)})
		resp, err := tr.RoundTrip(to(t.Context(), s.URL))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "protocol", resp.ProtoMajor == 2, h2)
		if err := tr.Tune(TransportConfig{MaxIdle: 7}); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if h2 {
			tr.CloseIdleConnections()
		}
		select {
		case <-closed:
		case <-time.After(hang):
			t.Errorf("h2 %v: the connection is open", h2)
		}
		s.Close()
	}
}

func TestTransportForgetsItsPredecessors(t *testing.T) {
	tr := newTransport(t, TransportConfig{IdleTimeout: time.Second})
	for i := range 3 {
		if err := tr.Tune(TransportConfig{IdleTimeout: time.Second, MaxIdle: i + 1}); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "retired", len(tr.retired), 3)
	tr.prune(time.Now().Add(3 * time.Second))
	equal(t, "retired", len(tr.retired), 0)
}

func TestTransportHooks(t *testing.T) {
	s := serve(t, okHandler, false)
	asked := ""
	hooks := TransportHooks{
		Proxy: func(r *http.Request) (*url.URL, error) { return nil, nil },
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			asked = address
			if _, ok := ctx.Deadline(); !ok {
				t.Error("no deadline")
			}
			return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
		},
	}
	resp, err := newTransport(t, TransportConfig{}, hooks).RoundTrip(to(t.Context(), "http://payments.example/"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	equal(t, "dialled", asked, "payments.example:80")

	hooks.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	_, err = newTransport(t, TransportConfig{DialTimeout: time.Millisecond}, hooks).RoundTrip(to(t.Context(), "http://payments.example/"))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a dial that hangs: %v", err)
	}
	stuck := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), false)
	_, err = newTransport(t, TransportConfig{HeaderTimeout: 5 * time.Millisecond}).RoundTrip(to(t.Context(), stuck.URL))
	if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() {
		t.Errorf("a server that hangs: %v", err)
	}
}
