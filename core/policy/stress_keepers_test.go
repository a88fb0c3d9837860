package policy_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/batch"
	"github.com/mw-go/mw/core/cache"
	"github.com/mw-go/mw/core/pool"
)

// TestStressAndClose is the same for the machines that keep something, and that are closed, at the end or in the middle of it.
func TestStressAndClose(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (stressed, func(context.Context) error){
		"cache": stressCache, "pool": stressPool, "batch": stressBatch,
	} {
		for _, after := range []time.Duration{ms, 50 * ms, time.Hour} {
			t.Run(name+"/"+after.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x, stop := open(t)
					closed := make(chan error, 1)
					time.AfterFunc(after, func() {
						ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
						defer cancel()
						closed <- stop(ctx)
					})
					x.run(t)
					if err := <-closed; err != nil {
						t.Errorf("closed: %v", err)
					}
				})
			})
		}
	}
}

func stressCache(t *testing.T) (stressed, func(context.Context) error) {
	c := cache.Config{Size: 4, TTL: 2 * ms, StaleWhileRevalidate: ms, StaleIfError: ms, Linger: 2 * ms, EarlyRefresh: 1}
	x := must[*cache.Cache[string, int]](t)(cache.New("c", c, cache.Hooks[string, int]{Store: shelf{}}))
	return stressed{
		Machine: x, tune: func() error { c.TTL = time.Duration(1+rand.IntN(4)) * ms; return x.Tune(c) },
		call: func(ctx context.Context, fn func(context.Context) (int, error)) error {
			key := strconv.Itoa(rand.IntN(6))
			switch rand.IntN(6) {
			case 0:
				return x.Set(ctx, key, 1)
			case 1:
				return x.Delete(ctx, key)
			}
			_, err := x.Get(ctx, key, fn)
			return err
		},
		rest: func() string {
			if s := x.Snapshot(); s.Loading != 0 || s.Entries > s.Config.Size {
				return fmt.Sprintf("%d loads, %d entries", s.Loading, s.Entries)
			}
			return ""
		},
	}, x.Close
}

// modeless is a pool for an operator who knows of modes.
type modeless struct{ *pool.Pool[int] }

func (m modeless) Override(_ core.Mode, d time.Duration) error {
	return m.Pool.Override(core.Enforce, d)
}

func stressPool(t *testing.T) (stressed, func(context.Context) error) {
	flaky := func(ctx context.Context) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, 5*ms) // the last fate waits for it
		defer cancel()
		return anyhow(ctx)
	}
	p := must[*pool.Pool[int]](t)(pool.New("p", pool.Config{Max: 3}, pool.Hooks[int]{
		Create: flaky,
		Close:  func(int) error { _, err := flaky(context.Background()); return err },
		Validate: func(ctx context.Context, _ int) error {
			_, err := flaky(ctx)
			return err
		},
	}))
	return stressed{
		Machine: modeless{p},
		tune: func() error {
			return p.Tune(pool.Config{Max: 1 + rand.IntN(4), MaxWait: 5 * ms, ValidateAfter: ms, IdleTimeout: time.Second})
		},
		call: func(ctx context.Context, fn func(context.Context) (int, error)) error {
			_, err := pool.Do(ctx, p, func(ctx context.Context, _ int) (int, error) { return fn(ctx) })
			return err
		},
		rest: func() string {
			s := p.Snapshot()
			if s.Out+s.Creating+s.Closing+s.Waiting+s.Abandoned != 0 || s.Idle > s.Config.Max || s.Created-s.Closed != uint64(s.Idle) {
				return fmt.Sprintf("%+v", s)
			}
			return ""
		},
	}, p.Close
}

func stressBatch(t *testing.T) (stressed, func(context.Context) error) {
	c := batch.Config{MaxItems: 3, Delay: ms, Queue: 4, Concurrency: 2, MaxWait: 3 * ms}
	b := must[*batch.Batcher[int, int]](t)(batch.New("b", c, batch.Hooks[int, int]{
		Run: func(ctx context.Context, reqs []int) ([]int, error) { _, err := anyhow(ctx); return reqs, err },
	}))
	return stressed{
		Machine: b, tune: func() error { c.Concurrency = 1 + rand.IntN(3); return b.Tune(c) },
		call: func(ctx context.Context, _ func(context.Context) (int, error)) error {
			req := rand.Int()
			resp, err := b.Do(ctx, req)
			if err == nil && resp != req {
				t.Errorf("%d was answered by %d", req, resp)
			}
			return errors.Unwrap(err)
		},
		rest: func() string {
			if s := b.Snapshot(); s.Held+s.Running+s.Waiting != 0 {
				return fmt.Sprintf("%d held, %d run, %d wait", s.Held, s.Running, s.Waiting)
			}
			return ""
		},
	}, b.Close
}
