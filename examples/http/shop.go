package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/hotconfig"
	"github.com/mw-go/mw/httpmw"
)

// shop is the service: it sells three things and asks the payment provider for each order.
type shop struct {
	live     *hotconfig.Live[Config]
	payments *http.Client // guarded
	provider string       // URL
	upstream *upstream
	status   func() any
}

func (s *shop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.help)
	mux.HandleFunc("GET /products", s.products)
	mux.HandleFunc("POST /orders", s.order)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /status", s.showStatus)
	mux.HandleFunc("POST /upstream/{mode}", s.setUpstream)
	return mux
}

func (s *shop) help(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, tryThis("http://"+r.Host))
}

// tryThis is what a new user can do.
func tryThis(url string) string {
	lines := []string{
		"curl -i " + url + "/products                 # rate limited: see the RateLimit fields",
		"curl -i -X POST " + url + "/orders           # calls the payment provider",
		"curl -X POST " + url + "/upstream/failing    # or hanging, slow, healthy: what the provider does",
		"for i in $(seq 40); do curl -s -o /dev/null -w '%{http_code} ' -X POST " + url + "/orders; done   # the breaker opens",
		"curl " + url + "/status                      # what every guard counts",
	}
	return strings.Join(lines, "\n") + "\n"
}

func (s *shop) products(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]int{"apple": 30, "pear": 40, "plum": 20})
}

// order pays and answers 201; when the provider cannot be asked or does not answer, it says so at once.
func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	if err := s.pay(r.Context()); err != nil {
		httpmw.WriteError(w, r, err)
		return
	}
	writeJSON(w, http.StatusCreated, map[string]string{"order": "accepted"})
}

func (s *shop) pay(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.live.Get().PaymentsTimeout, core.ErrTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.provider, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := s.payments.Do(req)
	if err != nil {
		if errors.Is(context.Cause(ctx), core.ErrTimeout) {
			return core.ErrTimeout
		}
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("payment provider: %s", resp.Status)
	}
	return nil
}

func (s *shop) showStatus(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.status())
}

func (s *shop) setUpstream(w http.ResponseWriter, r *http.Request) {
	if !s.upstream.set(r.PathValue("mode")) {
		http.Error(w, "modes: "+strings.Join(modeNames[:], ", "), http.StatusBadRequest)
		return
	}
	fmt.Fprintln(w, "the payment provider is", r.PathValue("mode"))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}
