package main

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/examples/grpc/shop"
	"github.com/mw-go/mw/grpcmw"
)

// orders is the service: it sells three things and asks the payment provider for each order.
type orders struct {
	shop.UnimplementedOrdersServer
	payments shop.PaymentsClient // guarded
	last     atomic.Int64        // number given to an order or a quote

	mu       sync.Mutex
	watchers map[chan *shop.Order]bool
}

var prices = map[string]int64{"apple": 30, "pear": 40, "plum": 20}

// unread is how many orders a watcher may lag behind.
const unread = 256

func newOrders(payments shop.PaymentsClient) *orders {
	return &orders{payments: payments, watchers: map[chan *shop.Order]bool{}}
}

func priceOf(product string) (int64, error) {
	if cents, ok := prices[product]; ok {
		return cents, nil
	}
	return 0, status.Error(codes.NotFound, "no such product")
}

// key returns a name that was not there before: what makes a call to the provider safe to repeat.
func (o *orders) key(what string) string { return what + "-" + strconv.FormatInt(o.last.Add(1), 10) }

// Quote asks the provider for its fee.
func (o *orders) Quote(ctx context.Context, in *shop.QuoteRequest) (*shop.QuoteReply, error) {
	cents, err := priceOf(in.GetProduct())
	if err != nil {
		return nil, err
	}
	fee, err := o.payments.Fee(ctx, &shop.FeeRequest{Key: o.key("quote"), Cents: cents})
	if err != nil {
		return nil, grpcmw.StatusError(err)
	}
	return &shop.QuoteReply{Cents: cents, FeeCents: fee.GetCents()}, nil
}

// Place pays, and tells whoever watches.
func (o *orders) Place(ctx context.Context, in *shop.PlaceRequest) (*shop.Order, error) {
	cents, err := priceOf(in.GetProduct())
	if err != nil {
		return nil, err
	}
	order := &shop.Order{Id: o.key("order"), Product: in.GetProduct(), Cents: cents}
	if _, err := o.payments.Charge(ctx, &shop.ChargeRequest{Key: order.GetId(), Cents: cents}); err != nil {
		return nil, grpcmw.StatusError(err)
	}
	o.publish(order)
	return order, nil
}

func (o *orders) publish(order *shop.Order) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for w := range o.watchers {
		select {
		case w <- order:
		default: // it does not read: the orders do not wait for it
			delete(o.watchers, w)
			close(w)
		}
	}
}

func (o *orders) watch() (news chan *shop.Order, leave func()) {
	news = make(chan *shop.Order, unread)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.watchers[news] = true
	return news, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.watchers, news)
	}
}

// Watch has no end of its own, so it looks for the one of the server.
func (o *orders) Watch(_ *shop.WatchRequest, s grpc.ServerStreamingServer[shop.Event]) error {
	ctx := s.Context()
	news, leave := o.watch()
	defer leave()
	fee, err := o.payments.Fee(ctx, &shop.FeeRequest{Key: o.key("watch"), Cents: 100})
	if err != nil {
		return grpcmw.StatusError(err)
	}
	next := &shop.Event{What: &shop.Event_FeeCents{FeeCents: fee.GetCents()}}
	for {
		if err := s.Send(next); err != nil {
			return err
		}
		select {
		case order, ok := <-news:
			if !ok {
				return status.Error(codes.ResourceExhausted, "the watcher does not keep up")
			}
			next = &shop.Event{What: &shop.Event_Order{Order: order}}
		case <-grpcmw.DrainSignal(ctx):
			return s.Send(&shop.Event{What: &shop.Event_Closing{Closing: true}})
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

// Import does not look for the end of the server: what is under way has the grace to end.
func (o *orders) Import(s grpc.ClientStreamingServer[shop.PlaceRequest, shop.ImportReply]) error {
	reply := &shop.ImportReply{}
	for {
		in, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return s.SendAndClose(reply)
		}
		if err != nil {
			return err
		}
		if _, err := o.Place(s.Context(), in); err != nil {
			reply.Failed++
			continue
		}
		reply.Placed++
	}
}

// Basket lives as long as its client wants, or until the server drains.
func (o *orders) Basket(s grpc.BidiStreamingServer[shop.BasketChange, shop.BasketTotal]) error {
	ctx := s.Context()
	type received struct {
		change *shop.BasketChange
		err    error
	}
	changes := make(chan received)
	go func() { // ends with the stream, which is over when the handler has returned
		for {
			change, err := s.Recv()
			select {
			case changes <- received{change, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	total := &shop.BasketTotal{}
	for {
		select {
		case r := <-changes:
			if errors.Is(r.err, io.EOF) {
				return nil
			}
			if r.err != nil {
				return r.err
			}
			cents, err := priceOf(r.change.GetProduct())
			if err != nil {
				return err
			}
			total.Items += r.change.GetAdd()
			total.Cents += cents * int64(r.change.GetAdd())
			if err := s.Send(total); err != nil {
				return err
			}
		case <-grpcmw.DrainSignal(ctx):
			return status.Error(codes.Unavailable, "the shop closes")
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}
