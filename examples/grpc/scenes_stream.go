package main

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/examples/grpc/shop"
)

// fill puts things into a basket, reads each total, and leaves it. It returns how many were in it.
func (st *story) fill(ctx context.Context, n int) (items int32, err error) {
	s, err := st.client.Basket(ctx)
	if err != nil {
		return 0, err
	}
	for range n {
		if err := s.Send(&shop.BasketChange{Product: "pear", Add: 1}); err != nil {
			return items, err
		}
		total, err := s.Recv()
		if err != nil {
			return items, err
		}
		items = total.GetItems()
	}
	if err := s.CloseSend(); err != nil {
		return items, err
	}
	if _, err = s.Recv(); errors.Is(err, io.EOF) {
		err = nil
	}
	return items, err
}

// follow reads a stream to its end.
func follow[M any](s grpc.ServerStreamingClient[M], each func(*M)) error {
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		each(m)
	}
}

// streamTimes: how long a stream may take to begin, to say nothing, and to live.
func (st *story) streamTimes() {
	defer st.upstream.set(healthy)
	const age, idle, first = 1900 * time.Millisecond, 400 * time.Millisecond, 500 * time.Millisecond
	_, ok := st.reload("limit: 30m\n", "limit: 1900ms\n", "limit: 1m\n", "limit: 400ms\n")
	st.expect(ok, "the file is edited: a watch lasts %v, a basket may rest for %v", age, idle)

	n, took, err := st.lasts(st.watch)
	st.expect(timedOut(err) && took >= age && n == 1, "a watch ends after %v and %d message (%v, %s)",
		took.Round(time.Millisecond), n, status.Code(err), why(err))
	n, took, err = st.lasts(st.rest)
	st.expect(timedOut(err) && took >= idle && took < age && n == 1, "a forgotten basket ends after %v and %d message (%v, %s)",
		took.Round(time.Millisecond), n, status.Code(err), why(err))
	st.upstream.set(hanging)
	n, took, err = st.lasts(st.watch)
	st.expect(timedOut(err) && took >= first && took < age && n == 0,
		"the payment provider hangs: a watch that cannot begin ends after %v (%v, %s)", took.Round(time.Millisecond), status.Code(err), why(err))
	st.upstream.set(healthy)
	st.dropped()
}

func timedOut(err error) bool {
	return status.Code(err) == codes.DeadlineExceeded && why(err) == "SERVER_TIMEOUT"
}

// lasts returns how many messages a stream brought, how long it took and how it ended, at the latest after the patience.
func (st *story) lasts(run func(context.Context) (int, error)) (n int, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(st.ctx, patience)
	defer cancel()
	start := time.Now()
	n, err = run(ctx)
	return n, time.Since(start), err
}

func (st *story) watch(ctx context.Context) (n int, err error) {
	s, err := st.client.Watch(ctx, &shop.WatchRequest{})
	if err != nil {
		return 0, err
	}
	err = follow(s, func(*shop.Event) { n++ })
	return n, err
}

// rest puts one thing into a basket, and forgets it.
func (st *story) rest(ctx context.Context) (n int, err error) {
	s, err := st.client.Basket(ctx)
	if err != nil {
		return 0, err
	}
	if err := s.Send(&shop.BasketChange{Product: "plum", Add: 1}); err != nil {
		return 0, err
	}
	err = follow[shop.BasketTotal](s, func(*shop.BasketTotal) { n++ })
	return n, err
}

// dropped opens many streams and leaves without reading any of them to its end.
func (st *story) dropped() {
	const n = 100
	ctx, leave := context.WithTimeout(st.ctx, patience)
	defer leave()
	opened := 0
	for range n {
		if s, err := st.client.Basket(ctx); err == nil && s.Send(&shop.BasketChange{Product: "plum", Add: 1}) == nil {
			opened++
		}
	}
	held := st.until(func() bool { return st.streams.Snapshot().Running == n })
	leave()
	back := st.until(func() bool { return st.streams.Snapshot().Running == 0 })
	st.expect(held && back && opened == n, "of %d streams that were opened and dropped every place is free again", opened)
}
