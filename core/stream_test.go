package core_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
)

// stream is a sketch of a client stream as an RPC library has it: messages arrive by Recv, and finish is called exactly
// once, from another goroutine, whether or not Recv was ever called to the end.
type stream struct {
	recv   chan error // nil: a message; io.EOF: the end
	finish func(error)
}

// guardedStream is the third adapter that the contract was tried against, beside httpmw's handler and RoundTripper: the
// permits outlive the call that acquired them, Progress comes with the first message, and Done with finish, which
// races it.
type guardedStream struct {
	stream
	permits [2]core.Permit
	first   sync.Once
}

func open(ctx context.Context, s stream, guards [2]core.Guard) (*guardedStream, error) {
	g := &guardedStream{stream: s}
	now := core.Now()
	for i, guard := range guards {
		var d core.Decision
		g.permits[i], d = guard.Acquire(ctx, core.Call{Now: now})
		if !d.Admitted() {
			for j := range i {
				g.permits[j].Done(now, core.Ignored)
			}
			return nil, d.Err()
		}
	}
	g.finish = func(err error) {
		o := core.Classify(ctx, err)
		for i := len(g.permits) - 1; i >= 0; i-- {
			g.permits[i].Done(0, o)
		}
	}
	return g, nil
}

func (g *guardedStream) Recv() error {
	err := <-g.recv
	if err == nil {
		g.first.Do(func() {
			for i := range g.permits {
				g.permits[i].Progress(0)
			}
		})
	}
	return err
}

func TestContractCarriesAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := breaker.New("b", breaker.Config{Probes: 1, OpenFor: time.Second, Jitter: core.None}, core.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		room, err := bulkhead.New("r", bulkhead.Config{Limit: 1}, core.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		b.Trip(time.Second)
		time.Sleep(time.Second)
		recv := make(chan error, 2)
		g, err := open(t.Context(), stream{recv: recv}, [2]core.Guard{b, room})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := open(t.Context(), stream{}, [2]core.Guard{b, room}); !errors.Is(err, core.ErrProbing) {
			t.Fatalf("second stream while the first is the only probe: %v", err)
		}
		recv <- nil
		if err := g.Recv(); err != nil || b.State() != breaker.Closed {
			t.Fatalf("after the first message: %v, breaker %v", err, b.State())
		}
		if got := room.Snapshot().Running; got != 1 {
			t.Errorf("the stream runs and holds %d slots, want 1", got)
		}
		time.Sleep(time.Hour) // longer than any lease
		recv <- io.EOF
		_ = g.Recv()
		g.finish(errors.New("reset by peer"))
		if snap := b.Snapshot(); snap.Bad != 1 || snap.Good != 0 || snap.State != breaker.Closed {
			t.Errorf("the final status counts once: %d good, %d bad, %v", snap.Good, snap.Bad, snap.State)
		}
		if got := room.Snapshot().Running; got != 0 {
			t.Errorf("%d slots still taken", got)
		}
	})
}

func TestContractStreamProgressRacesFinish(t *testing.T) {
	for range 200 {
		b, err := breaker.New("b", breaker.Config{Probes: 1, OpenFor: time.Millisecond}, core.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		room, err := bulkhead.New("r", bulkhead.Config{Limit: 1}, core.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		b.Trip(time.Millisecond)
		var g *guardedStream
		recv := make(chan error, 1)
		for g == nil { // until the open time is over
			g, _ = open(t.Context(), stream{recv: recv}, [2]core.Guard{b, room})
		}
		recv <- nil
		var wg sync.WaitGroup
		wg.Go(func() { _ = g.Recv() })
		wg.Go(func() { g.finish(nil) })
		wg.Wait()
		snap := b.Snapshot()
		if snap.State != breaker.Closed || snap.Probing != 0 || snap.Outcomes[core.Success] != 1 || room.Snapshot().Running != 0 {
			t.Fatalf("%+v", snap)
		}
	}
}
