package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// operators is what the admin address serves: what the shop counts, and the switch that makes its payment provider fail.
func (s *service) operators() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /status", s.status)
	mux.HandleFunc("POST /upstream/{mode}", s.setUpstream)
	return mux
}

// status tells what every policy counts.
func (s *service) status(w http.ResponseWriter, _ *http.Request) {
	policies := map[string]any{}
	for _, m := range s.set.All() {
		st := m.Status()
		policies[string(st.Policy.Kind)+"/"+st.Policy.Name] = map[string]any{
			"mode": st.Policy.Mode.String(), "admitted": st.Admitted, "rejected": st.Rejected,
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"config_version":         s.live.Version().Number,
		"state":                  s.life.State().String(),
		"provider":               modeNames[s.upstream.mode.Load()],
		"products_without_stock": s.shop.blind.Load(),
		"transport":              s.transport.Snapshot(),
		"policies":               policies,
	})
}

func (s *service) setUpstream(w http.ResponseWriter, r *http.Request) {
	if !s.upstream.set(r.PathValue("mode")) {
		http.Error(w, "modes: "+strings.Join(modeNames[:], ", "), http.StatusBadRequest)
		return
	}
	fmt.Fprintln(w, "the payment provider is", r.PathValue("mode"))
}

// tryThis is what a new user can do.
func tryThis(shop, admin string) string {
	order := `-H 'Content-Type: application/json' -d '{"product":"pear","quantity":2}' ` + shop + "/orders"
	lines := []string{
		"curl -i --compressed " + shop + "/products    # asks the stock, which is flaky; see the RateLimit fields and the ETag",
		"curl -i " + order + "    # calls the payment provider",
		"curl -i -H 'Idempotency-Key: \"k1\"' " + order + "    # twice: the second gets the reply of the first",
		"curl -X POST " + admin + "/upstream/failing    # or hanging, slow, healthy: what the provider does",
		"for i in $(seq 40); do curl -s -o /dev/null -w '%{http_code} ' " + order + "; done    # the breaker opens",
		"curl " + admin + "/status    # what every policy counts",
		"curl " + admin + "/metrics    # the same and more, for Prometheus",
		"curl -i " + shop + "/readyz    # what a load balancer asks; the shop leaves on SIGTERM",
	}
	return strings.Join(lines, "\n") + "\n"
}
