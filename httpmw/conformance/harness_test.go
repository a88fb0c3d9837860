package conformance

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// harness serves the scenarios: the innermost handler of every server of the test.
type harness struct {
	runs sync.Map // id to *run
	last atomic.Int64
}

// ServeHTTP plays the scenario that the request names.
func (h *harness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Run")
	if id == "" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	known, ok := h.runs.Load(id)
	if !ok {
		panic("no such run: " + id)
	}
	known.(*run).play(w, r)
}

// begin makes a run of the scenario known.
func (h *harness) begin(s *scenario, h2 bool, bound time.Duration) (id string, r *run) {
	id, r = strconv.FormatInt(h.last.Add(1), 10), newRun(s, h2, bound)
	h.runs.Store(id, r)
	return id, r
}

// station is one middleware's pair of servers.
type station struct {
	*harness
	name   string
	bound  time.Duration
	h1, h2 *httptest.Server
}

// serve puts the middleware in front of the harness, over both protocols.
func (h *harness) serve(t testing.TB, name string, bound time.Duration, wrap middleware) *station {
	t.Helper()
	s := &station{harness: h, name: name, bound: bound}
	handler := wrap(h)
	s.h1 = httptest.NewUnstartedServer(handler)
	s.h2 = httptest.NewUnstartedServer(handler)
	s.h2.EnableHTTP2 = true
	for _, srv := range []*httptest.Server{s.h1, s.h2} {
		srv.Config.ErrorLog = quietLog
		t.Cleanup(srv.Close)
	}
	s.h1.Start()
	s.h2.StartTLS()
	s.h2.Client().Transport.(*http.Transport).DisableCompression = true
	return s
}

// visitor is a client of one station with connections of its own.
type visitor struct {
	*station
	wire      wire
	transport *http.Transport
}

func (s *station) visitor() *visitor {
	return &visitor{
		station: s, wire: wire{addr: s.h1.Listener.Addr().String()},
		transport: s.h2.Client().Transport.(*http.Transport).Clone(),
	}
}

// view runs the scenario once.
func (v *visitor) view(s *scenario, h2 bool) view {
	id, r := v.begin(s, h2, v.bound)
	defer v.runs.Delete(id)
	if h2 {
		return doH2(v.transport, v.h2.URL, id, r)
	}
	return v.wire.do(id, r)
}

func (v *visitor) close() {
	v.wire.close()
	v.transport.CloseIdleConnections()
}
