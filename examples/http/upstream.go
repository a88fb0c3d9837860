package main

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// upstream plays the payment provider: a service that somebody else runs, and that fails in the ways such services do.
type upstream struct {
	mode  atomic.Int32
	calls atomic.Int64
}

// The modes, in the order of their names.
const (
	healthy = iota
	failing
	hanging
	slow
)

var modeNames = [...]string{"healthy", "failing", "hanging", "slow"}

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

// ServeHTTP answers a payment after some milliseconds or many, with an error, or not at all.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.calls.Add(1)
	switch u.mode.Load() {
	case failing:
		http.Error(w, "database is down", http.StatusInternalServerError)
	case hanging:
		<-r.Context().Done() // until the caller gives up
	case slow:
		pay(w, r, 150*time.Millisecond)
	default:
		pay(w, r, 3*time.Millisecond)
	}
}

// pay answers after a while.
func pay(w http.ResponseWriter, r *http.Request, takes time.Duration) {
	select {
	case <-time.After(takes):
	case <-r.Context().Done():
	}
	fmt.Fprintln(w, "paid")
}
