package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// upstream plays the services that somebody else runs, and that fail in the ways such services do: the payment provider as
// its mode says, the stock now and then.
type upstream struct {
	mode     atomic.Int32 // of the payment provider
	payments atomic.Int64 // calls to it

	stock atomic.Int64 // calls to the stock
	busy  atomic.Int64 // of these, refused
	late  atomic.Int64 // of these, answered late
}

// The modes of the payment provider, in the order of their names.
const (
	healthy = iota
	failing
	hanging
	slow
)

var modeNames = [...]string{"healthy", "failing", "hanging", "slow"}

// The stock refuses one call in busyEvery, and takes lateBy for one in lateEvery.
const (
	busyEvery = 20
	lateEvery = 33
	lateBy    = 200 * time.Millisecond
)

// set switches the mode; false if there is none of that name.
func (u *upstream) set(name string) bool {
	for mode, n := range modeNames {
		if n == name {
			u.mode.Store(int32(mode))
			return true
		}
	}
	return false
}

func (u *upstream) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /payments", u.pay)
	mux.HandleFunc("GET /stock", u.count)
	return mux
}

// pay answers a payment after some milliseconds or many, with an error, or not at all.
func (u *upstream) pay(w http.ResponseWriter, r *http.Request) {
	u.payments.Add(1)
	_, _ = io.Copy(io.Discard, r.Body) // else net/http would not notice that the caller has given up
	switch u.mode.Load() {
	case failing:
		http.Error(w, "database is down", http.StatusInternalServerError)
		return
	case hanging:
		<-r.Context().Done() // until the caller gives up
		return
	case slow:
		work(r, 150*time.Millisecond)
	default:
		work(r, 3*time.Millisecond)
	}
	fmt.Fprintln(w, "paid")
}

// count answers how much there is of everything.
func (u *upstream) count(w http.ResponseWriter, r *http.Request) {
	n := u.stock.Add(1)
	switch {
	case n%busyEvery == 0:
		u.busy.Add(1)
		http.Error(w, "try again", http.StatusTooManyRequests)
		return
	case n%lateEvery == 0:
		u.late.Add(1)
		work(r, lateBy)
	default:
		work(r, 2*time.Millisecond)
	}
	left := make(map[string]int, len(catalogue))
	for i, p := range catalogue {
		left[p.Name] = 7 * (i + 1)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(left) // the client may be gone
}

// work takes a while, or ends with the request.
func work(r *http.Request, takes time.Duration) {
	select {
	case <-time.After(takes):
	case <-r.Context().Done():
	}
}
