package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/lifecycle"
	"github.com/mw-go/mw/core/timeout"
	"github.com/mw-go/mw/examples/grpc/shop"
	"github.com/mw-go/mw/httpmw"
)

// handler is the small HTTP port: orders for those who have no gRPC, and what operators look at. room is the bulkhead of the
// gRPC port, so that both together take no more than it allows.
func (s *service) handler(log *slog.Logger, room core.Guard) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, tryThis(s.addr, s.url)) })
	mux.HandleFunc("GET /stock", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, prices) })
	mux.HandleFunc("POST /orders", s.order)
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.status()) })
	mux.HandleFunc("POST /upstream/{mode}", s.setUpstream)
	operators := func(r *http.Request) bool { return r.URL.Path != "/orders" && r.URL.Path != "/stock" }
	patience := mw.Must(s.set.Timeout(ours+"/shop.v1.Orders/Place", timeout.Hooks{})) // the time of an order, over either port
	return mw.Chain(
		httpmw.Recover(httpmw.RecoverConfig{Logger: log}),
		httpmw.RequestID(),
		httpmw.AccessLog(httpmw.AccessLogConfig{Logger: log}),
		mw.Must(httpmw.Timeout(patience)),
		httpmw.Guard(httpmw.Guarded{Guard: room, GuardConfig: httpmw.GuardConfig{Skip: operators}}),
	)(mux)
}

// tryThis is what a new user can do.
func tryThis(addr, url string) string {
	lines := []string{
		"grpcurl -plaintext " + addr + " shop.v1.Orders/Watch    # the orders as they come, until the shop closes",
		"grpcurl -plaintext -d '{\"product\":\"plum\"}' " + addr + " shop.v1.Orders/Place",
		"grpcurl -plaintext " + addr + " grpc.health.v1.Health/Watch",
		"curl -i -X POST " + url + "/orders?product=pear    # the same over HTTP",
		"curl -X POST " + url + "/upstream/hanging    # or failing, busy, refusing, straggling, healthy: what the provider does",
		"for i in $(seq 40); do curl -s -o /dev/null -w '%{http_code} ' -X POST " + url + "/orders; done   # the breaker opens",
		"curl " + url + "/status    # what every guard counts",
	}
	return strings.Join(lines, "\n") + "\n"
}

func (s *service) order(w http.ResponseWriter, r *http.Request) {
	order, err := s.orders.Place(r.Context(), &shop.PlaceRequest{Product: cmp.Or(r.URL.Query().Get("product"), "apple")})
	if err != nil {
		httpmw.WriteError(w, r, err)
		return
	}
	writeJSON(w, http.StatusCreated, map[string]string{"order": order.GetId()})
}

// health is the state of the process, which the health service of gRPC tells as well.
func (s *service) health(w http.ResponseWriter, _ *http.Request) {
	state := s.life.State()
	if state != lifecycle.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprintln(w, state)
}

func (s *service) setUpstream(w http.ResponseWriter, r *http.Request) {
	if !s.upstream.set(r.PathValue("mode")) {
		http.Error(w, "modes: "+strings.Join(modes, ", "), http.StatusBadRequest)
		return
	}
	fmt.Fprintln(w, "the payment provider is", r.PathValue("mode"))
}

// status is what GET /status shows.
func (s *service) status() any {
	guards := map[string]any{}
	for _, m := range s.set.All() {
		st := m.Status()
		guards[string(st.Policy.Kind)+"/"+st.Policy.Name] = map[string]any{
			"mode": st.Policy.Mode.String(), "admitted": st.Admitted, "rejected": st.Rejected,
		}
	}
	return map[string]any{"config_version": s.live.Version().Number, "state": s.life.State().String(), "guards": guards}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}
