package pool

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

func iterations(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// TestNeverMoreThanMax: with waiting, cancelling, discarding and failing, a resource has one holder at a time, never
// more than Max are out, every caller comes back, and everything made is closed.
func TestNeverMoreThanMax(t *testing.T) {
	const most, workers = 5, 32
	m := &maker{create: func(_ context.Context, id int) error {
		if id%7 == 0 {
			return errDown
		}
		return nil
	}}
	var alive, peak atomic.Int64
	m.close = func(*conn) error { alive.Add(-1); return nil }
	h := m.hooks()
	inner := h.Create
	h.Create = func(ctx context.Context) (*conn, error) {
		c, err := inner(ctx)
		if err == nil {
			n := alive.Add(1)
			for old := peak.Load(); n > old && !peak.CompareAndSwap(old, n); old = peak.Load() {
			}
		}
		return c, err
	}
	p, err := New("test", Config{Max: most, Queue: 20, MaxWait: time.Minute}, h)
	if err != nil {
		t.Fatal(err)
	}
	var held sync.Map
	var got, refused atomic.Uint64
	var wg sync.WaitGroup
	for g := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 37))
			for i := range iterations(2000) {
				ctx, cancel := context.WithCancel(bg)
				if rng.IntN(4) == 0 {
					go cancel()
				}
				l, err := p.Acquire(ctx)
				if err != nil {
					refused.Add(1)
					cancel()
					continue
				}
				got.Add(1)
				c := l.Value()
				if _, taken := held.LoadOrStore(c.id, g); taken || c.closed.Load() {
					t.Errorf("resource %d: held by another %v, closed %v", c.id, taken, c.closed.Load())
				}
				if i%8 == 0 {
					runtime.Gosched()
				}
				held.Delete(c.id)
				if rng.IntN(10) == 0 {
					l.Discard()
				} else {
					l.Release()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	check(t, p)
	if s := p.Snapshot(); s.Admitted != got.Load() || s.Rejected+s.CreateFailures < refused.Load() || s.Out != 0 {
		t.Errorf("%d got and %d refused, counted %+v", got.Load(), refused.Load(), s)
	}
	if peak.Load() > most {
		t.Errorf("%d resources at once", peak.Load())
	}
	if err := p.Close(bg); err != nil {
		t.Error(err)
	}
	atEnd(t, p, m)
	if alive.Load() != 0 {
		t.Errorf("%d are still open", alive.Load())
	}
}

// spin takes a time that is too short for anything else.
func spin(n int) {
	var idle atomic.Int64
	for range n {
		idle.Add(1)
	}
}

// TestNoLostWakeUp: one gives the resource back at the very moment at which the other begins to wait for it, and nobody
// comes after them. If a wake-up were lost, it would wait for ever.
func TestNoLostWakeUp(t *testing.T) {
	m := &maker{}
	p := newPool(t, Config{Max: 1, MaxWait: core.None}, m)
	rounds := int64(iterations(50_000))
	var begun, ended atomic.Int64
	use := func(inside func()) {
		l, err := p.Acquire(bg)
		if err != nil {
			t.Error(err)
		}
		inside()
		l.Release()
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		rng := rand.New(rand.NewPCG(1, 61))
		for r := range rounds {
			use(func() { begun.Store(r + 1); spin(rng.IntN(200)) })
			for ended.Load() <= r {
				runtime.Gosched()
			}
		}
	})
	wg.Go(func() {
		for r := range rounds {
			for begun.Load() <= r {
				runtime.Gosched()
			}
			use(func() {})
			ended.Store(r + 1)
		}
	})
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Minute):
		t.Fatal("somebody waits for ever")
	}
	if err := p.Close(bg); err != nil {
		t.Error(err)
	}
	atEnd(t, p, m)
}

// TestStress mixes everything that a pool can do; the race detector and the counts are the test.
func TestStress(t *testing.T) {
	m := &maker{
		validate: func(_ context.Context, c *conn) error {
			if c.id%5 == 0 {
				return errDown
			}
			return nil
		},
		create: func(_ context.Context, id int) error {
			if id%9 == 0 {
				panic("ouch")
			}
			return nil
		},
		close: func(c *conn) error {
			if c.id%6 == 0 {
				runtime.Goexit()
			}
			return nil
		},
	}
	p := newPool(t, Config{Max: 2}, m)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 41))
			for range iterations(4000) {
				switch rng.IntN(40) {
				case 0:
					c := Config{
						Max: 1 + rng.IntN(6), Queue: core.Count(1 + rng.IntN(4)), MaxWait: time.Millisecond,
						ValidateAfter: time.Millisecond, LeakAfter: core.None,
					}
					if c.Min = rng.IntN(c.Max + 1); rng.IntN(2) == 0 {
						c.LeakAfter = time.Millisecond
					}
					_ = p.Tune(c)
				case 1:
					p.Leaks()
				case 2:
					if s := p.Snapshot(); s.Idle < 0 || s.Waiting < 0 {
						t.Errorf("%+v", s)
					}
				case 3:
					p.mu.Lock()
					alarm := p.alarm
					p.mu.Unlock()
					p.upkeep(alarm)
				default:
					ctx, cancel := context.WithTimeout(bg, time.Duration(rng.IntN(1000))*time.Microsecond)
					l, err := p.Acquire(ctx)
					if err == nil && l.Value().closed.Load() {
						t.Error("acquired a closed one")
					}
					runtime.Gosched()
					if rng.IntN(8) == 0 {
						l.Discard()
					}
					l.Release()
					cancel()
				}
			}
		})
	}
	wg.Wait()
	if err := p.Close(bg); err != nil {
		t.Error(err)
	}
	atEnd(t, p, m)
}
