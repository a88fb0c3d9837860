package pool

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestClose(t *testing.T) { // X1, X2
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := newPool(t, Config{Max: 3, MaxWait: time.Hour}, m)
		a, b, c := take(t, p), take(t, p), take(t, p)
		waiting := wait(bg, p)
		late, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		c.Release()
		(<-waiting).lease.Release()
		first, second := wait(bg, p), wait(bg, p) // one has it, one waits
		held := (<-first).lease
		start := time.Now()
		err := p.Close(late)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second ||
			!strings.Contains(err.Error(), `pool "test": 3 resources still out, 0 being created or closed`) {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := (<-second).err; !errors.Is(err, ErrClosed) || err.Error() != `pool "test": closed` {
			t.Errorf("the one who waited: %v", err)
		}
		if _, err := p.Acquire(bg); !errors.Is(err, ErrClosed) {
			t.Errorf("Acquire: %v", err)
		}
		if _, err := Do(bg, p, func(context.Context, *conn) (int, error) { t.Error("ran"); return 0, nil }); !errors.Is(err, ErrClosed) {
			t.Errorf("Do: %v", err)
		}
		a.Release()
		b.Discard()
		check(t, p)
		synctest.Wait()
		if m.shut.Load() != 2 {
			t.Errorf("%d closed", m.shut.Load())
		}
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- p.Close(bg) }()
		}
		synctest.Wait()
		if len(done) != 0 {
			t.Error("Close returns while one is out")
		}
		held.Release()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		gone, cancel := context.WithCancel(bg)
		cancel()
		if err := p.Close(gone); err != nil {
			t.Errorf("Close of a closed pool: %v", err)
		}
		atEnd(t, p, m)
	})
}

// TestCloseCancelsCreating, and what is created all the same is closed.
func TestCloseCancelsCreating(t *testing.T) {
	for name, obeys := range map[string]bool{"which obeys": true, "which does not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &maker{create: func(ctx context.Context, _ int) error {
					<-ctx.Done()
					if obeys {
						return ctx.Err()
					}
					return nil
				}}
				p := newPool(t, Config{Max: 3, CreateTimeout: time.Hour}, m)
				waiting, start := wait(bg, p), time.Now()
				shut(t, p, m)
				if time.Since(start) != 0 {
					t.Errorf("closed after %v", time.Since(start))
				}
				if err := (<-waiting).err; !errors.Is(err, ErrClosed) {
					t.Errorf("%v", err)
				}
				if !obeys && m.shut.Load() != 1 {
					t.Errorf("%d closed", m.shut.Load())
				}
			})
		})
	}
}

// TestCloseIsBounded: hooks that hang cannot hold Close for longer than its context.
func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		m := &maker{
			create: func(_ context.Context, id int) error {
				if id == 2 {
					<-hang
				}
				return nil
			},
			close: func(*conn) error { <-hang; return nil },
		}
		p := newPool(t, Config{Max: 3}, m)
		take(t, p).Release()
		l := take(t, p)
		waiting := wait(bg, p)
		l.Release()
		(<-waiting).lease.Release()
		ctx, cancel := context.WithTimeout(bg, time.Hour)
		defer cancel()
		if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "0 resources still out, 2 being") {
			t.Errorf("%v", err)
		}
		close(hang)
		shut(t, p, m)
	})
}

// TestCloseOfAnUnusedPool: there is nothing to wait for.
func TestCloseOfAnUnusedPool(t *testing.T) {
	m := &maker{}
	p := newPool(t, Config{Max: 3, Min: 2}, m)
	if err := p.Close(bg); err != nil {
		t.Error(err)
	}
	if m.made.Load() != 0 {
		t.Error("New has created something")
	}
	atEnd(t, p, m)
}
