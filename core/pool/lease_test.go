package pool

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// TestALeaseEndsOnce: whatever is called on it, or on its copies, later, by then the resource may have another holder.
func TestALeaseEndsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := newPool(t, Config{Max: 2}, m)
		ends := map[string]func(Lease[*conn]){"Release": Lease[*conn].Release, "Discard": Lease[*conn].Discard}
		for first, end := range ends {
			for again, end2 := range ends {
				stale := take(t, p)
				end(stale)
				if stale.Value() != nil {
					t.Errorf("after %s it has a value", first)
				}
				end2(stale)
				next := take(t, p)
				end2(stale)
				other := take(t, p)
				if next.Value() == nil || next.Value() == other.Value() || next.Value().closed.Load() {
					t.Fatalf("after %s and %s: %+v and %+v", first, again, next.Value(), other.Value())
				}
				if s := p.Snapshot(); s.Out != 2 || s.Idle != 0 {
					t.Errorf("after %s and %s: %+v", first, again, s)
				}
				next.Release()
				other.Release()
				check(t, p)
			}
		}
		var zero Lease[*conn]
		zero.Release()
		zero.Discard()
		if zero.Value() != nil {
			t.Error("the zero Lease has a value")
		}
		shut(t, p, m)
	})
}

// TestTwoEndOneLease at the same moment: exactly one of them does.
func TestTwoEndOneLease(t *testing.T) {
	m := &maker{}
	p := newPool(t, Config{Max: 3}, m)
	rounds := int64(iterations(20_000))
	var lease atomic.Pointer[Lease[*conn]]
	var round, ended atomic.Int64
	var wg sync.WaitGroup
	for g := range int64(2) {
		wg.Go(func() {
			for r := range rounds {
				for round.Load() <= r {
					runtime.Gosched()
				}
				if l := lease.Load(); (r+g)%8 == 0 {
					l.Discard()
				} else {
					l.Release()
				}
				ended.Add(1)
			}
		})
	}
	for r := range rounds {
		l := take(t, p)
		lease.Store(&l)
		round.Store(r + 1)
		for ended.Load() < 2*(r+1) {
			runtime.Gosched()
		}
	}
	wg.Wait()
	if s := p.Snapshot(); s.Admitted != uint64(rounds) || s.Out != 0 {
		t.Errorf("%+v", s)
	}
	if err := p.Close(bg); err != nil {
		t.Error(err)
	}
	atEnd(t, p, m)
}

func TestDo(t *testing.T) {
	reject := &core.Rejection{Kind: core.KindBreaker, Reason: core.ReasonOpen}
	for name, test := range map[string]struct {
		err      error
		classify func(context.Context, error) core.Outcome
		kept     bool
	}{
		"success":                       {nil, nil, true},
		"a failure":                     {errDown, nil, false},
		"a rejection further in":        {fmt.Errorf("query: %w", reject), nil, true},
		"a timeout of ours":             {core.ErrTimeout, nil, false},
		"the caller is gone":            {context.Canceled, nil, false},
		"a failure that is an answer":   {errDown, func(context.Context, error) core.Outcome { return core.Success }, true},
		"the other side says too much":  {errDown, func(context.Context, error) core.Outcome { return core.Overload }, true},
		"a success that is none at all": {nil, func(context.Context, error) core.Outcome { return core.Failure }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &maker{}
				h := m.hooks()
				h.Classify = test.classify
				p, err := New("test", Config{Max: 1}, h)
				if err != nil {
					t.Fatal(err)
				}
				got, err := Do(bg, p, func(_ context.Context, c *conn) (int, error) { return c.id + 41, test.err })
				if got != 42 || !errors.Is(err, test.err) {
					t.Errorf("%d, %v", got, err)
				}
				synctest.Wait()
				if kept := m.shut.Load() == 0; kept != test.kept {
					t.Errorf("kept: %v", kept)
				}
				shut(t, p, m)
			})
		})
	}
}

func TestDoNeedsAFunction(t *testing.T) {
	m := &maker{}
	p := newPool(t, Config{Max: 1}, m)
	if _, err := Do[*conn, int](bg, p, nil); err == nil || err.Error() != `pool "test": Do needs a function` || m.made.Load() != 0 {
		t.Errorf("%v", err)
	}
	_ = p.Close(bg)
}

// lose acquires without giving back.
func lose(t *testing.T, p *Pool[*conn]) Lease[*conn] { return take(t, p) }

func TestLeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := newPool(t, Config{Max: 3, LeakAfter: time.Minute}, m)
		leaked := lose(t, p)
		time.Sleep(30 * time.Second)
		kept := take(t, p)
		take(t, p).Release()
		time.Sleep(30*time.Second - 1)
		if leaks := p.Leaks(); len(leaks) != 0 {
			t.Errorf("too early: %v", leaks)
		}
		time.Sleep(time.Nanosecond)
		leaks := p.Leaks()
		if len(leaks) != 1 || leaks[0].Held != time.Minute {
			t.Fatalf("%v", leaks)
		}
		text := strings.Split(leaks[0].String(), "\n")
		if text[0] != "out for 1m0s, acquired by" || !strings.Contains(text[1], "pool.take") || !strings.Contains(text[2], "pool.lose") {
			t.Errorf("%q", text)
		}
		leaked.Discard()
		if leaks := p.Leaks(); len(leaks) != 0 {
			t.Errorf("after Discard: %v", leaks)
		}
		time.Sleep(time.Minute)
		if err := p.Tune(Config{Max: 3}); err != nil {
			t.Fatal(err)
		}
		if leaks := p.Leaks(); len(leaks) != 0 {
			t.Errorf("switched off: %v", leaks)
		}
		kept.Release()
		shut(t, p, m)
	})
	if text := (Leak{}).String(); text != "out for 0s, acquired by" {
		t.Errorf("%q", text)
	}
}

// The methods of a lease may be called at the same time: Value while another goroutine ends it.
func TestValueWhileItEnds(t *testing.T) {
	for name, end := range map[string]func(Lease[*conn]){"discard": Lease[*conn].Discard, "release": Lease[*conn].Release} {
		t.Run(name, func(t *testing.T) {
			m := &maker{}
			p := newPool(t, Config{Max: 2}, m)
			for range 200 {
				l := take(t, p)
				want := l.Value()
				var wg sync.WaitGroup
				wg.Go(func() {
					for v := l.Value(); v != nil; v = l.Value() {
						if v != want {
							t.Errorf("the resource of another: %d", v.id)
						}
					}
				})
				wg.Go(func() { end(l) })
				wg.Wait()
			}
			shut(t, p, m)
		})
	}
}
