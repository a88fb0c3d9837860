package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/examples/grpc/shop"
)

// ending is how something ended, and when.
type ending struct {
	err error
	at  time.Time
}

// lasting is what is under way when the shop leaves.
type lasting struct {
	health   chan healthpb.HealthCheckResponse_ServingStatus
	began    chan bool // the watch
	closing  bool      // the last message of the watch; to be read once it has ended
	watched  chan ending
	imported chan ending
}

// open opens a watch of the health, a watch of orders and an import that does not go on.
func (st *story) open(ctx context.Context) (*lasting, error) {
	l := &lasting{
		health: make(chan healthpb.HealthCheckResponse_ServingStatus, 8), began: make(chan bool, 1),
		watched: make(chan ending, 1), imported: make(chan ending, 1),
	}
	probe, err1 := healthpb.NewHealthClient(st.conn).Watch(ctx, &healthpb.HealthCheckRequest{Service: "shop.v1.Orders"})
	watch, err2 := st.client.Watch(ctx, &shop.WatchRequest{})
	upload, err3 := st.client.Import(ctx)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	if err := upload.Send(&shop.PlaceRequest{Product: "apple"}); err != nil {
		return nil, err
	}
	go func() { _ = follow(probe, func(m *healthpb.HealthCheckResponse) { l.health <- m.GetStatus() }) }()
	go func() {
		err := follow(watch, func(e *shop.Event) {
			if _, ok := e.GetWhat().(*shop.Event_FeeCents); ok {
				l.began <- true
			}
			l.closing = e.GetClosing()
		})
		l.watched <- ending{err, time.Now()}
	}()
	go func() {
		err := upload.RecvMsg(&shop.ImportReply{})
		l.imported <- ending{err, time.Now()}
	}()
	select {
	case <-l.began:
	case <-ctx.Done():
		return nil, errors.New("the watch does not begin")
	}
	return l, nil
}

// next is what the health service tells next.
func (l *lasting) next() healthpb.HealthCheckResponse_ServingStatus {
	select {
	case s := <-l.health:
		return s
	case <-time.After(patience):
		return healthpb.HealthCheckResponse_UNKNOWN
	}
}

// leave: the shop leaves, with streams open.
func (st *story) leave() {
	_, ok := st.reload("wait: 1s", "wait: 500ms", "grace: 10s", "grace: 1s", "limit: 1900ms\n", "limit: 30m\n", "limit: 400ms\n", "limit: 1m\n")
	st.expect(ok, "the file is edited: the shop leaves within 1.5 s")
	ctx, cancel := context.WithTimeout(st.ctx, 2*patience)
	defer cancel()
	l, err := st.open(ctx)
	if err != nil {
		st.expect(false, "streams open: %v", err)
		return
	}
	st.expect(l.next() == healthpb.HealthCheckResponse_SERVING, "the health service says SERVING")
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
	now := l.next()
	web := &http.Client{Timeout: patience}
	code := get(st.ctx, web, "GET", st.url+"/healthz")
	web.CloseIdleConnections()
	st.expect(now == healthpb.HealthCheckResponse_NOT_SERVING && code == http.StatusServiceUnavailable,
		"at once the health service says %v, and /healthz %d", now, code)
	st.left(l, told, orders)
	d := <-done
	st.stopped = true
	st.expect(d.err != nil, "after %v the shop has stopped (%v)", d.at.Sub(told).Round(10*time.Millisecond), d.err)
	stop()
	late := orders.between(told.Add(st.life.Config().Wait+100*time.Millisecond), time.Now()) // what was under way is over
	st.expect(len(late) > 0 && late.count(codes.Unavailable) == len(late), "orders that came too late were answered %s", late.kinds())
	room, streams := st.room.Snapshot().Running, st.streams.Snapshot().Running
	st.expect(room == 0 && streams == 0, "%d calls and %d streams still hold a place", room, streams)
}

// left looks at what becomes of calls and streams once the shop is told to leave.
func (st *story) left(l *lasting, told time.Time, orders *load) {
	c := st.life.Config()
	w := <-l.watched
	served := orders.between(told, told.Add(c.Wait*9/10))
	st.expect(mostly(served), "for %v the shop serves on: %d of %d orders went through", c.Wait, served.count(codes.OK), len(served))
	st.expect(w.err == nil && l.closing && w.at.Sub(told) >= c.Wait,
		"after %v the watch gets its goodbye, and ends well (%v)", w.at.Sub(told).Round(10*time.Millisecond), status.Code(w.err))
	i := <-l.imported
	st.expect(status.Code(i.err) == codes.Unavailable && i.at.Sub(told) >= c.Wait+c.Grace,
		"the import has the grace to end; after %v it is ended (%v)", i.at.Sub(told).Round(10*time.Millisecond), status.Code(i.err))
}
