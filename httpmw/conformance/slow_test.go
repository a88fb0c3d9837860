package conformance

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/policy"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/timeout"
	"github.com/mw-go/mw/httpmw"
	"github.com/mw-go/mw/httpmw/compress"
	"github.com/mw-go/mw/httpmw/metrics"
	"github.com/mw-go/mw/httpmw/trace"
)

// TestSlowClientsDoNotStopTheOthers: 500 clients that send a byte a second, of the header or of a body, three seconds and
// more, and quick ones that want to be served meanwhile by the full stack. Nothing is said of how long that takes.
func TestSlowClientsDoNotStopTheOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const (
		slow     = 500
		requests = 3200 // at least; in fourths that eight connections share
	)
	set := mw.Must(policy.New(policy.Config{
		Timeouts:       map[string]timeout.Config{"http": {Limit: time.Hour}},
		RateLimits:     map[string]ratelimit.Config{"http": {Limit: 1e9}},
		AdaptiveLimits: map[string]adaptive.Config{"http": {InitialLimit: 2 * slow, MinLimit: 2 * slow, MaxLimit: 4 * slow}},
		Bulkheads:      map[string]bulkhead.Config{"http": {Limit: 2 * slow}},
		Breakers:       map[string]breaker.Config{"http": {}},
	}, nil))
	var reading atomic.Int64
	h := mw.Chain(mw.Must(httpmw.Server(set, httpmw.ServerConfig{
		Logger: slog.New(slog.DiscardHandler), LogJSON: io.Discard, Trace: trace.Server(),
		Metrics:  mw.Must(metrics.Server(metrics.Config{Registerer: prometheus.NewRegistry()})),
		Compress: mw.Must(compress.Compress(compress.Config{})),
	}))...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			reading.Add(1)
			defer reading.Add(-1)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "served")
	}))
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = quietLog
	srv.Start()
	defer srv.Close()

	stop := make(chan struct{})
	var crowd sync.WaitGroup
	var trickled atomic.Int64
	before := heap()
	for i := range slow {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		crowd.Go(func() { trickle(conn, i%2 == 0, &trickled, stop) })
	}
	for deadline := time.Now().Add(hang); reading.Load() < slow/2; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d slow handlers run", reading.Load(), slow/2)
		}
	}
	asked, served := 0, 0
	for deadline := time.Now().Add(hang); asked < requests || trickled.Load() < 3*slow; {
		if time.Now().After(deadline) {
			t.Fatalf("the slow clients have sent %d bytes", trickled.Load())
		}
		asked += requests / 4
		served += serveAll(srv, requests/4)
	}
	cost := heap() - before
	held := reading.Load()
	close(stop)
	crowd.Wait()
	if served < asked*99/100 {
		t.Errorf("%d of %d quick requests were served", served, asked)
	}
	if held != slow/2 {
		t.Errorf("%d slow handlers were still running, not %d: they were no burden", held, slow/2)
	}
	if limit := int64(slow * 64 << 10); cost > limit {
		t.Errorf("%d bytes are held, more than %d", cost, limit)
	}
	t.Logf("%d of %d served while %d slow clients sent %d bytes; %d bytes for each of these", served, asked, slow, trickled.Load(), cost/slow)
}

// heap is what lives.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// trickle sends a byte a second, of a body or of a header that does not end.
func trickle(conn net.Conn, body bool, sent *atomic.Int64, stop chan struct{}) {
	defer conn.Close()
	head := "GET / HTTP/1.1\r\nHost: test\r\nX-Slow: "
	if body {
		head = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n"
	}
	if _, err := io.WriteString(conn, head); err != nil {
		return
	}
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-stop:
			return
		case <-second.C:
			if _, err := conn.Write([]byte("x")); err != nil {
				return
			}
			sent.Add(1)
		}
	}
}

// serveAll sends requests over a few connections and counts those that are served.
func serveAll(srv *httptest.Server, n int) int {
	var served atomic.Int64
	var quick sync.WaitGroup
	for range 8 {
		quick.Go(func() {
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				return
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(hang))
			br := bufio.NewReader(conn)
			for range n / 8 {
				if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
					return
				}
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					return
				}
				b, err := io.ReadAll(resp.Body)
				if err == nil && resp.StatusCode == http.StatusOK && string(b) == "served" {
					served.Add(1)
				}
			}
		})
	}
	quick.Wait()
	return int(served.Load())
}
