package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
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
	bounded, cancel := context.WithTimeout(st.ctx, patience)
	defer cancel()
	const age, idle, first = 800 * time.Millisecond, 400 * time.Millisecond, 500 * time.Millisecond
	_, ok := st.reload("limit: 30m\n", "limit: 800ms\n", "limit: 1m\n", "limit: 400ms\n")
	st.expect(ok, "the file is edited: a watch lasts %v, a basket may rest for %v", age, idle)
	end := func(err error, least, took time.Duration) bool {
		return status.Code(err) == codes.DeadlineExceeded && why(err) == "SERVER_TIMEOUT" && took >= least
	}

	began, events := time.Now(), 0
	watch, err := st.client.Watch(bounded, &shop.WatchRequest{})
	if err == nil {
		err = follow(watch, func(*shop.Event) { events++ })
	}
	took := time.Since(began)
	st.expect(end(err, age, took) && events == 1, "a watch ends after %v and %d message (%v, %s)", took.Round(time.Millisecond),
		events, status.Code(err), why(err))

	basket, err := st.client.Basket(bounded)
	if err == nil {
		err = basket.Send(&shop.BasketChange{Product: "plum", Add: 1})
	}
	totals := 0
	began = time.Now()
	if err == nil {
		err = follow[shop.BasketTotal](basket, func(*shop.BasketTotal) { totals++ })
	}
	took = time.Since(began)
	st.expect(end(err, idle, took) && took < 2*age && totals == 1, "a forgotten basket ends after %v and %d message (%v, %s)",
		took.Round(time.Millisecond), totals, status.Code(err), why(err))

	st.upstream.set(hanging)
	began, events = time.Now(), 0
	if watch, err = st.client.Watch(bounded, &shop.WatchRequest{}); err == nil {
		err = follow(watch, func(*shop.Event) { events++ })
	}
	took = time.Since(began)
	st.expect(end(err, first, took) && events == 0, "the payment provider hangs: a watch that cannot begin ends after %v (%v, %s)",
		took.Round(time.Millisecond), status.Code(err), why(err))
	st.upstream.set(healthy)

	const n = 100
	ctx, leave := context.WithCancel(bounded)
	opened := 0
	for range n {
		if s, err := st.client.Basket(ctx); err == nil && s.Send(&shop.BasketChange{Product: "plum", Add: 1}) == nil {
			opened++
		}
	}
	held := st.until(func() bool { return st.streams.Snapshot().Running == n })
	leave() // without reading any of them to its end
	back := st.until(func() bool { return st.streams.Snapshot().Running == 0 })
	st.expect(held && back && opened == n, "of %d streams that were opened and dropped every place is free again", opened)
}

// ending is how a stream ended, and when.
type ending struct {
	err error
	at  time.Time
}

// shutdown: the shop leaves, with streams open.
func (st *story) shutdown() {
	_, ok := st.reload("wait: 1s", "wait: 500ms", "grace: 10s", "grace: 1s", "limit: 800ms\n", "limit: 30m\n", "limit: 400ms\n", "limit: 1m\n")
	st.expect(ok, "the file is edited: the shop leaves within 1.5 s")
	config := st.life.Config()
	bounded, cancel := context.WithTimeout(st.ctx, patience)
	defer cancel()

	health := make(chan healthpb.HealthCheckResponse_ServingStatus, 8)
	probe, err := healthpb.NewHealthClient(st.conn).Watch(bounded, &healthpb.HealthCheckRequest{Service: "shop.v1.Orders"})
	if err == nil {
		go func() { _ = follow(probe, func(m *healthpb.HealthCheckResponse) { health <- m.GetStatus() }) }()
		st.expect(st.next(health) == healthpb.HealthCheckResponse_SERVING, "the health service says SERVING")
	}
	began := make(chan bool, 1)
	var closing bool
	watched := make(chan ending, 1)
	watch, err := st.client.Watch(bounded, &shop.WatchRequest{})
	if err == nil {
		go func() {
			err := follow(watch, func(e *shop.Event) {
				if e.GetFeeCents() > 0 {
					began <- true
				}
				closing = e.GetClosing()
			})
			watched <- ending{err, time.Now()}
		}()
	}
	imported := make(chan ending, 1)
	upload, err2 := st.client.Import(bounded)
	if err2 == nil {
		err2 = upload.Send(&shop.PlaceRequest{Product: "apple"})
		go func() {
			err := upload.RecvMsg(&shop.ImportReply{})
			imported <- ending{err, time.Now()}
		}()
	}
	if err := errors.Join(err, err2); err != nil {
		st.expect(false, "the streams do not open: %v", err)
		return
	}
	select {
	case <-began:
	case <-time.After(patience):
		st.expect(false, "the watch does not begin")
	}
	st.until(func() bool { return st.streams.Snapshot().Running == 2 })
	orders := &load{call: st.place}
	stop := orders.start(st.ctx, 50)
	defer stop()
	st.pause(200 * time.Millisecond)

	st.say("the shop is told to leave while somebody watches, somebody imports, and 50 orders a second come in")
	told := time.Now()
	done := make(chan ending, 1)
	go func() {
		err := st.stop(st.ctx)
		done <- ending{err, time.Now()}
	}()
	now := st.next(health)
	web := &http.Client{Timeout: patience}
	code := get(st.ctx, web, "GET", st.url+"/healthz")
	web.CloseIdleConnections()
	st.expect(now == healthpb.HealthCheckResponse_NOT_SERVING && code == http.StatusServiceUnavailable,
		"at once the health service says %v, and /healthz %d", now, code)
	w := <-watched
	served := orders.between(told, told.Add(config.Wait*9/10))
	st.expect(mostly(served), "for %v the shop serves on: %d of %d orders went through", config.Wait, served.count(codes.OK), len(served))
	st.expect(w.err == nil && closing && w.at.Sub(told) >= config.Wait,
		"after %v the watch gets its goodbye, and ends well (%v)", w.at.Sub(told).Round(10*time.Millisecond), status.Code(w.err))
	i := <-imported
	st.expect(status.Code(i.err) == codes.Unavailable && i.at.Sub(told) >= config.Wait+config.Grace,
		"the import has the grace to end; after %v it is ended (%v)", i.at.Sub(told).Round(10*time.Millisecond), status.Code(i.err))
	d := <-done
	st.stopped = true
	st.expect(d.err != nil && d.at.Sub(told) < patience, "after %v the shop has stopped (%v)", d.at.Sub(told).Round(10*time.Millisecond), d.err)
	stop()
	refused := orders.between(told.Add(config.Wait), time.Now())
	st.expect(refused.count(codes.OK, codes.Unavailable) == len(refused), "orders since then were answered %s", refused.kinds())
	room, streams := st.room.Snapshot().Running, st.streams.Snapshot().Running
	st.expect(room == 0 && streams == 0, "%d calls and %d streams still hold a place", room, streams)
}

// next is what the health service tells next.
func (st *story) next(health <-chan healthpb.HealthCheckResponse_ServingStatus) healthpb.HealthCheckResponse_ServingStatus {
	select {
	case s := <-health:
		return s
	case <-time.After(patience):
		return healthpb.HealthCheckResponse_UNKNOWN
	}
}
