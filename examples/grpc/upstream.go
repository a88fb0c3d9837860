package main

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/examples/grpc/shop"
)

// upstream plays the payment provider: a service that somebody else runs, and that fails in the ways such services do.
type upstream struct {
	shop.UnimplementedPaymentsServer

	mu      sync.Mutex
	mode    string
	changed chan struct{}     // closed when the mode changes
	calls   map[string]int    // by key: how often it was called
	charged map[string]string // by key: the receipt
}

// The modes of the provider.
const (
	healthy    = "healthy"
	failing    = "failing"
	hanging    = "hanging"
	busy       = "busy"       // the first attempt is told when to come again
	refusing   = "refusing"   // all are told not to
	straggling = "straggling" // the first call with a key takes much longer than the second
)

var modes = []string{healthy, failing, hanging, busy, refusing, straggling}

// remembered is how many keys the provider knows before it forgets them all.
const remembered = 100_000

// What the modes take.
const (
	usual = 3 * time.Millisecond
	later = 300 * time.Millisecond
	late  = 200 * time.Millisecond
)

func newUpstream() *upstream {
	return &upstream{mode: healthy, changed: make(chan struct{}), calls: map[string]int{}, charged: map[string]string{}}
}

// set switches the mode; false if there is none of that name.
func (u *upstream) set(mode string) bool {
	if !slices.Contains(modes, mode) {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mode = mode
	close(u.changed)
	u.changed = make(chan struct{})
	return true
}

// asked returns how many calls there were, with a key or with any if it is empty.
func (u *upstream) asked(key string) (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if key != "" {
		return u.calls[key]
	}
	for _, calls := range u.calls {
		n += calls
	}
	return n
}

// Charge takes the money of a key once.
func (u *upstream) Charge(ctx context.Context, in *shop.ChargeRequest) (*shop.Receipt, error) {
	if err := u.work(ctx, in.GetKey()); err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.charged[in.GetKey()] == "" {
		u.charged[in.GetKey()] = "receipt-" + strconv.Itoa(len(u.charged)+1)
	}
	return &shop.Receipt{Id: u.charged[in.GetKey()]}, nil
}

// Fee is two per cent.
func (u *upstream) Fee(ctx context.Context, in *shop.FeeRequest) (*shop.FeeReply, error) {
	if err := u.work(ctx, in.GetKey()); err != nil {
		return nil, err
	}
	return &shop.FeeReply{Cents: in.GetCents() / 50}, nil
}

// work takes some milliseconds or many, or fails, or never ends.
func (u *upstream) work(ctx context.Context, key string) error {
	u.mu.Lock()
	if len(u.calls) > remembered {
		clear(u.calls)
		clear(u.charged)
	}
	u.calls[key]++
	mode, changed, again := u.mode, u.changed, u.calls[key] > 1
	u.mu.Unlock()
	takes := usual
	switch mode {
	case failing:
		return status.Error(codes.Unavailable, "database is down")
	case hanging:
		select {
		case <-changed:
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	case busy:
		if len(metadata.ValueFromIncomingContext(ctx, "grpc-previous-rpc-attempts")) == 0 {
			return pushBack(ctx, later)
		}
	case refusing:
		return pushBack(ctx, -1)
	case straggling:
		if !again {
			takes = late
		}
	}
	select {
	case <-time.After(takes):
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// pushBack refuses a call and says when to come again; below zero means not to.
func pushBack(ctx context.Context, after time.Duration) error {
	ms := int64(-1)
	if after >= 0 {
		ms = after.Milliseconds()
	}
	if err := grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", strconv.FormatInt(ms, 10))); err != nil {
		return err
	}
	return status.Error(codes.Unavailable, "too busy")
}
