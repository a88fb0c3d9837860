package pool

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

func TestCreateFails(t *testing.T) { // C2
	errPanic := errors.New("as an error")
	for name, test := range map[string]struct {
		fall func() error
		want error
		text string
	}{
		"an error":         {func() error { return errDown }, errDown, `pool "test": create: down`},
		"a panic":          {func() error { panic("ouch") }, nil, `pool "test": create: ouch`},
		"a panic of error": {func() error { panic(errPanic) }, errPanic, `pool "test": create: as an error`},
		"runtime.Goexit":   {func() error { runtime.Goexit(); return nil }, core.ErrGoexit, `pool "test": create: the function called runtime.Goexit`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				falls := true
				m := &maker{create: func(context.Context, int) error {
					if falls {
						return test.fall()
					}
					return nil
				}}
				p := newPool(t, Config{Max: 2}, m)
				for range 5 { // more than there are places
					_, err := p.Acquire(bg)
					ce, ok := errors.AsType[*CreateError](err)
					if text, _, _ := strings.Cut(fmt.Sprint(err), "\n"); !ok || ce.Pool != "test" || text != test.text || test.want != nil && !errors.Is(err, test.want) {
						t.Errorf("%v", err)
					}
					if pe, ok := errors.AsType[*core.PanicError](err); ok && (len(pe.Stack) == 0 || pe.Value == nil) {
						t.Errorf("%+v", pe)
					}
				}
				falls = false
				take(t, p).Release()
				if s := p.Snapshot(); s.CreateFailures != 5 || s.Created != 1 || s.Rejected != 0 {
					t.Errorf("%+v", s)
				}
				shut(t, p, m)
			})
		})
	}
}

// TestEachFailureAnswersOne: callers that wait get tries of their own, one after another.
func TestEachFailureAnswersOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &maker{create: func(_ context.Context, id int) error {
			time.Sleep(time.Second)
			if id <= 3 {
				return errDown
			}
			return nil
		}}
		p := newPool(t, Config{Max: 1, MaxWait: time.Minute}, m)
		var ends []chan answer
		for range 5 {
			ends = append(ends, wait(bg, p))
		}
		for i, end := range ends {
			a := <-end
			if (i < 3) != errors.Is(a.err, errDown) || i >= 3 && a.err != nil {
				t.Errorf("caller %d: %v", i, a.err)
			}
			a.lease.Release()
		}
		if m.made.Load() != 4 {
			t.Errorf("%d tries", m.made.Load())
		}
		shut(t, p, m)
	})
}

// TestReleaseBeforeCreation: the caller for whom one is being created takes what comes back first, and the creation is
// for the next.
func TestReleaseBeforeCreation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &maker{create: func(_ context.Context, id int) error {
			if id == 2 {
				time.Sleep(time.Second)
			}
			return nil
		}}
		p := newPool(t, Config{Max: 2, Queue: core.None}, m)
		l := take(t, p)
		first := wait(bg, p)
		l.Release()
		if a := <-first; a.err != nil || a.lease.Value().id != 1 {
			t.Errorf("%+v", a)
		}
		second := wait(bg, p) // none could queue, but one is being created for nobody
		still(t, second)
		if a := <-second; a.err != nil || a.lease.Value().id != 2 {
			t.Errorf("%+v", a)
		} else {
			a.lease.Release()
		}
		if s := p.Snapshot(); s.Created != 2 || s.Out != 1 {
			t.Errorf("%+v", s)
		}
		Lease[*conn]{(*p.slots.Load())[0], 1}.Release()
		shut(t, p, m)
	})
}

func TestCreateTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &maker{create: func(ctx context.Context, _ int) error { <-ctx.Done(); return context.Cause(ctx) }}
		p := newPool(t, Config{Max: 1, CreateTimeout: time.Second}, m)
		start := time.Now()
		_, err := p.Acquire(bg)
		if !errors.Is(err, core.ErrTimeout) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		shut(t, p, m)
	})
}

// TestCreateHangs: it loses its place, and what it returns in the end is closed.
func TestCreateHangs(t *testing.T) { // C3
	for name, late := range map[string]error{"a resource": nil, "an error": errDown} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hang := make(chan struct{})
				m := &maker{create: func(_ context.Context, id int) error {
					if id == 1 {
						<-hang
						return late
					}
					return nil
				}}
				p := newPool(t, Config{Max: 1, CreateTimeout: time.Second}, m)
				first, second := wait(bg, p), wait(bg, p)
				start := time.Now()
				if err := (<-first).err; !errors.Is(err, core.ErrTimeout) || time.Since(start) != time.Second+grace {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				a := <-second
				if a.err != nil || a.lease.Value().id != 2 {
					t.Fatalf("%+v", a)
				}
				check(t, p)
				if s := p.Snapshot(); s.Abandoned != 1 || s.Creating != 0 || s.Out != 1 {
					t.Errorf("%+v", s)
				}
				close(hang)
				synctest.Wait()
				if want := int64(0); late == nil {
					want = 1
					if m.shut.Load() != want {
						t.Errorf("%d closed", m.shut.Load())
					}
				}
				a.lease.Release()
				if s := p.Snapshot(); s.Abandoned != 0 || s.Idle != 1 {
					t.Errorf("%+v", s)
				}
				shut(t, p, m)
			})
		})
	}
}

// TestCloseMisbehaves: no place is lost to it for longer than CloseTimeout, and until then Max holds.
func TestCloseMisbehaves(t *testing.T) { // D1, D2, R4
	hang := func() error { time.Sleep(time.Hour); return nil }
	for name, test := range map[string]struct {
		fall   func() error
		after  time.Duration // the place is free
		failed uint64
	}{
		"returns":          {func() error { return nil }, 0, 0},
		"takes its time":   {func() error { time.Sleep(3 * time.Second); return nil }, 3 * time.Second, 0},
		"fails":            {func() error { return errDown }, 0, 1},
		"panics":           {func() error { panic("ouch") }, 0, 1},
		"runtime.Goexit":   {func() error { runtime.Goexit(); return nil }, 0, 1},
		"hangs":            {hang, 5 * time.Second, 0},
		"hangs and panics": {func() error { _ = hang(); panic("ouch") }, 5 * time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &maker{close: func(c *conn) error {
					if c.id == 1 {
						return test.fall()
					}
					return nil
				}}
				p := newPool(t, Config{Max: 1, MaxWait: time.Minute}, m)
				start := time.Now()
				take(t, p).Discard()
				l := take(t, p)
				if got := time.Since(start); got != test.after || l.Value().id != 2 {
					t.Errorf("resource %d after %v, want 2 after %v", l.Value().id, got, test.after)
				}
				check(t, p)
				l.Release()
				if s := p.Snapshot(); (s.Abandoned == 1) != (test.after == 5*time.Second) || s.Discarded != 1 {
					t.Errorf("%+v", s)
				}
				time.Sleep(2 * time.Hour)
				if s := p.Snapshot(); s.Abandoned != 0 || s.CloseFailures != test.failed {
					t.Errorf("%+v", s)
				}
				shut(t, p, m)
			})
		})
	}
}

// TestValidateFalls: a panic goes on, and neither it nor runtime.Goexit costs a place.
func TestValidateFalls(t *testing.T) {
	for name, fall := range map[string]func(){"panic": func() { panic("ouch") }, "runtime.Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &maker{validate: func(context.Context, *conn) error { fall(); return nil }}
				p := newPool(t, Config{Max: 1}, m)
				take(t, p).Release()
				for range 3 {
					time.Sleep(time.Second)
					end := make(chan any)
					go func() {
						defer func() { end <- recover() }()
						_, _ = p.Acquire(bg)
						t.Error("Acquire returned")
					}()
					if r := <-end; (r == "ouch") != (name == "panic") {
						t.Errorf("recovered %v", r)
					}
					take(t, p).Release()
				}
				if s := p.Snapshot(); s.Invalid != 3 || s.Created != 4 {
					t.Errorf("%+v", s)
				}
				shut(t, p, m)
			})
		})
	}
}
