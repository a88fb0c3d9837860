package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/mw-go/mw/core/lifecycle"
	"github.com/mw-go/mw/httpmw"
)

// shop is the service: it sells fruit, looks up in the stock what is left, and asks the payment provider for each order.
type shop struct {
	upstream string // URL
	payments *http.Client
	stock    *http.Client
	life     *lifecycle.Lifecycle
	admin    string       // URL for operators
	blind    atomic.Int64 // lists of products without what is left of them
}

// product is what the shop sells.
type product struct {
	Name  string `json:"name"`
	Price int    `json:"price"`
	Left  *int   `json:"left,omitempty"` // absent if the stock does not say
}

var catalogue = []product{
	{Name: "apple", Price: 30}, {Name: "pear", Price: 40}, {Name: "plum", Price: 20}, {Name: "quince", Price: 70},
	{Name: "cherry", Price: 5}, {Name: "peach", Price: 60}, {Name: "apricot", Price: 45}, {Name: "medlar", Price: 80},
	{Name: "grape", Price: 3}, {Name: "melon", Price: 350}, {Name: "lemon", Price: 50}, {Name: "fig", Price: 90},
}

// order is the body of POST /orders.
type order struct {
	Product  string `json:"product"`
	Quantity int    `json:"quantity"`
}

// Validate says what of the order cannot be; the client gets to read it.
func (o order) Validate() error {
	var faults []error
	if !slices.ContainsFunc(catalogue, func(p product) bool { return p.Name == o.Product }) {
		faults = append(faults, &httpmw.FieldError{Names: []string{"product"}, Detail: "must be one of GET /products"})
	}
	if o.Quantity < 1 || o.Quantity > 100 {
		faults = append(faults, &httpmw.FieldError{Names: []string{"quantity"}, Detail: "must be from 1 to 100"})
	}
	return errors.Join(faults...)
}

func (s *shop) routes() (http.Handler, error) {
	orders, err := httpmw.ValidHandler(httpmw.ValidateConfig{}, s.order)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, tryThis("http://"+r.Host, s.admin)) })
	mux.HandleFunc("GET /products", s.products)
	mux.Handle("POST /orders", orders)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.HandleFunc("GET /readyz", s.ready)
	return mux, err
}

// ready is what load balancers ask. It goes on answering when the shop leaves.
func (s *shop) ready(w http.ResponseWriter, _ *http.Request) {
	state := s.life.State()
	if state != lifecycle.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprintln(w, state)
}

// products lists what there is. A shop that cannot look into its stock still shows what it sells.
func (s *shop) products(w http.ResponseWriter, r *http.Request) {
	left, err := s.left(r.Context())
	if err != nil {
		s.blind.Add(1)
	}
	list := slices.Clone(catalogue)
	for i := range list {
		if n, known := left[list[i].Name]; known {
			list[i].Left = &n
		}
	}
	w.Header().Set("Cache-Control", "no-cache") // ask each time; a 304 is short
	writeJSON(w, http.StatusOK, list)
}

// left asks the stock.
func (s *shop) left(ctx context.Context) (left map[string]int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.upstream+"/stock", http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := s.stock.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("stock: %s", resp.Status)
	}
	return left, json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&left)
}

// order pays and answers 201; when the provider cannot be asked or does not answer, it says so at once.
func (s *shop) order(w http.ResponseWriter, r *http.Request, o order) {
	if err := s.pay(r, o); err != nil {
		httpmw.WriteError(w, r, err)
		return
	}
	writeJSON(w, http.StatusCreated, o)
}

// pay asks the provider, with the key of the customer, so that nobody pays twice.
func (s *shop) pay(r *http.Request, o order) error {
	body := fmt.Sprintf("%d %s", o.Quantity, o.Product)
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, s.upstream+"/payments", strings.NewReader(body))
	if err != nil {
		return err
	}
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := s.payments.Do(req)
	if err != nil {
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

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}
