package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/examples/grpc/shop"
	"github.com/mw-go/mw/hotconfig"
)

// story is the demo: the shop under load, things that go wrong, and what was observed.
type story struct {
	*service
	ctx    context.Context
	file   string // the configuration that the demo edits
	began  time.Time
	conn   *grpc.ClientConn // of a client of the shop; nothing of mw is in it
	client shop.OrdersClient

	states chan observed[core.Event]
	loads  chan observed[hotconfig.Event]

	stopped bool // the shop, by the last scene
	wrong   int  // expectations that were not met
}

// observed is an event with the time at which it was seen.
type observed[E any] struct {
	event E
	at    time.Time
}

// patience bounds every wait of the story, so that it ends on a slow machine too.
const patience = 15 * time.Second

// scenes are the demo, in order. The last one takes the shop out of service.
var scenes = []func(*story){
	(*story).outage, (*story).retries, (*story).hedges, (*story).newLimit, (*story).brokenFile, (*story).bothPorts,
	(*story).streamTimes, (*story).leave,
}

// tell runs the demo; the error says how many expectations were not met.
func tell(ctx context.Context, o options) error { return play(ctx, o.dir, scenes...) }

// play runs scenes on a shop of its own with a copy of the configuration.
func play(ctx context.Context, dir string, scenes ...func(*story)) (err error) {
	st := &story{
		ctx: ctx, began: time.Now(),
		states: make(chan observed[core.Event], 64), loads: make(chan observed[hotconfig.Event], 64),
	}
	copied, err := st.copyConfig(dir)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(copied) }() // a temporary folder; the system clears it too
	st.service, err = start(options{
		dir: copied, listen: "127.0.0.1:0", listenHTTP: "127.0.0.1:0", log: slog.New(slog.DiscardHandler),
		onEvent: func(e core.Event) {
			if e.Type == core.StateChanged {
				st.states <- observed[core.Event]{e, time.Now()}
			}
		},
		onLoad: func(e hotconfig.Event) { st.loads <- observed[hotconfig.Event]{e, time.Now()} },
	})
	if err != nil {
		return err
	}
	defer func() {
		if !st.stopped {
			err = errors.Join(err, st.stop(ctx))
		}
	}()
	if st.conn, err = grpc.NewClient(st.addr, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.conn.Close()) }()
	st.client = shop.NewOrdersClient(st.conn)
	st.say("the shop is open at %s (gRPC) and %s (HTTP), its payment provider answers in %v; all of it is real, over loopback",
		st.addr, st.url, usual)
	for _, scene := range scenes {
		scene(st)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
	}
	if st.wrong > 0 {
		return fmt.Errorf("%d of the things above did not happen as they should", st.wrong)
	}
	st.say("all of it was observed")
	return nil
}

func (st *story) say(format string, args ...any) {
	fmt.Printf("%6.2fs  %s\n", time.Since(st.began).Seconds(), fmt.Sprintf(format, args...))
}

// expect tells what was observed and whether it is what should be.
func (st *story) expect(ok bool, format string, args ...any) {
	mark := "ok   "
	if !ok {
		mark = "WRONG"
		st.wrong++
	}
	st.say(mark+" "+format, args...)
}

func (st *story) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-st.ctx.Done():
	}
}

// until waits for a condition that nobody announces; false after the patience.
func (st *story) until(holds func() bool) bool {
	for end := time.Now().Add(patience); !holds(); {
		if st.ctx.Err() != nil || time.Now().After(end) {
			return false
		}
		st.pause(time.Millisecond)
	}
	return true
}

// await returns the first event that fits, or false after the patience.
func await[E any](ctx context.Context, events <-chan observed[E], fits func(E) bool) (o observed[E], ok bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		select {
		case o = <-events:
			if fits(o.event) {
				return o, true
			}
		case <-ctx.Done():
			return o, false
		}
	}
}

// why is what an error says of its reason: that in its ErrorInfo with the policy that it names.
func why(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return strings.TrimSpace(info.GetReason() + " " + info.GetMetadata()["policy"])
		}
	}
	return "nothing"
}
