package feed

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mw-go/mw/core"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func event(n int) core.Event { return core.Event{Era: uint32(n)} }

// pushAll pushes events from to to-1.
func pushAll(f *Feed, from, to int) {
	for n := from; n < to; n++ {
		f.Push(event(n))
	}
}

func upTo(n int) (list []uint32) {
	for i := range n {
		list = append(list, uint32(i))
	}
	return list
}

func TestInOrderAndOnce(t *testing.T) {
	var f Feed
	var seen []uint32
	f.Listen(func(e core.Event) { seen = append(seen, e.Era) })
	pushAll(&f, 0, 3)
	f.Deliver()
	f.Deliver()
	pushAll(&f, 3, 5)
	f.Deliver()
	if !slices.Equal(seen, upTo(5)) {
		t.Errorf("seen %v", seen)
	}
}

func TestNobodyListens(t *testing.T) {
	var zero, none Feed
	none.Listen(nil)
	for _, f := range []*Feed{&zero, &none} {
		pushAll(f, 0, 2*Limit)
		f.Deliver()
		if dropped, panics := f.Faults(); dropped != 0 || panics != 0 || len(f.queue) != 0 {
			t.Errorf("%d dropped, %d panics, %d queued", dropped, panics, len(f.queue))
		}
	}
}

// A listener that pushes and delivers, as one does that trips a breaker, is not called within itself.
func TestReentrant(t *testing.T) {
	var f Feed
	var seen []uint32
	inside := false
	f.Listen(func(e core.Event) {
		if inside {
			t.Error("called within itself")
		}
		inside = true
		seen = append(seen, e.Era)
		if e.Era < 5 {
			f.Push(event(int(e.Era) + 1))
			f.Deliver()
		}
		inside = false
	})
	f.Push(event(0))
	f.Deliver()
	if !slices.Equal(seen, upTo(6)) {
		t.Errorf("seen %v", seen)
	}
}

func TestPanicIsCountedAndTheRestDelivered(t *testing.T) {
	var f Feed
	var seen []uint32
	f.Listen(func(e core.Event) {
		seen = append(seen, e.Era)
		if e.Era%2 == 0 {
			panic("listener")
		}
	})
	pushAll(&f, 0, 5)
	f.Deliver()
	if _, panics := f.Faults(); panics != 3 || !slices.Equal(seen, upTo(5)) {
		t.Errorf("%d panics, seen %v", panics, seen)
	}
}

// A Goexit ends the goroutine, but only after the rest has been delivered: nobody else may come to do it.
func TestGoexitLeavesNothingBehind(t *testing.T) {
	var f Feed
	var seen []uint32
	f.Listen(func(e core.Event) { seen = append(seen, e.Era); runtime.Goexit() })
	pushAll(&f, 0, 5)
	ended := make(chan bool, 1)
	go func() {
		returned := false
		defer func() { ended <- returned }()
		f.Deliver()
		returned = true
	}()
	if <-ended {
		t.Error("the Goexit was swallowed")
	}
	f.Push(event(5))
	go func() { defer close(ended); f.Deliver() }()
	<-ended
	if _, panics := f.Faults(); panics != 6 || !slices.Equal(seen, upTo(6)) {
		t.Errorf("%d faults, seen %v", panics, seen)
	}
}

// While the listener hangs, pushing goes on, the queue stays bounded, and the news it will see are the latest.
func TestHangingListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Feed
		var seen []uint32
		hang := make(chan struct{})
		f.Listen(func(e core.Event) { <-hang; seen = append(seen, e.Era) })
		f.Push(event(0))
		go f.Deliver()
		synctest.Wait()
		pushAll(&f, 1, 1+Limit+10)
		f.Deliver() // returns at once: somebody else is at it
		if dropped, _ := f.Faults(); dropped != 10 || len(seen) != 0 {
			t.Errorf("%d dropped, want 10; seen %v", dropped, seen)
		}
		close(hang)
		synctest.Wait()
		if len(seen) != 1+Limit || seen[0] != 0 || seen[1] != 11 || seen[Limit] != Limit+10 || !slices.IsSorted(seen) {
			t.Errorf("%d seen, from %v", len(seen), seen[:2])
		}
	})
}

// Pushed by many and delivered by many, each event is seen once, those of one pusher in its order, one at a time.
func TestConcurrently(t *testing.T) {
	var f Feed
	const pushers, each = 8, 100 // fewer than Limit in all
	last := make([]uint32, pushers)
	seen, inside := 0, false
	f.Listen(func(e core.Event) {
		if inside {
			t.Error("two at a time")
		}
		inside = true
		who := e.Era / 1000
		if n := e.Era % 1000; n != last[who]+1 {
			t.Errorf("pusher %d: %d after %d", who, n, last[who])
		}
		last[who]++
		seen++
		inside = false
	})
	var wg sync.WaitGroup
	for p := range pushers {
		wg.Go(func() {
			for n := range each {
				f.Push(event(1000*p + n + 1))
				f.Deliver()
			}
		})
	}
	wg.Wait()
	if seen != pushers*each {
		t.Errorf("%d seen of %d", seen, pushers*each)
	}
}
