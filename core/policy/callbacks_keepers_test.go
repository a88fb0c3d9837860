package policy_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/batch"
	"github.com/mw-go/mw/core/cache"
	"github.com/mw-go/mw/core/pool"
)

// keeperRows are those of the machines that keep something between calls.
func keeperRows() []callbackRow {
	return []callbackRow{
		{machine: "cache", callback: "fn", tells: carried, leaves: true, open: openCache},
		{machine: "cache", callback: "Load", tells: carried, leaves: true, open: openCache},
		{machine: "cache", callback: "Negative", tells: carried, leaves: true, open: openCache},
		{machine: "cache", callback: "TTL", tells: carried, leaves: true, open: openCache},
		{machine: "cache", callback: "Classify", tells: carried, leaves: true, open: openCache},
		{machine: "cache", callback: "Store.Get", tells: carried, leaves: true, open: openCache},
		{machine: "cache", callback: "Store.Set after a load", tells: counted, leaves: true, deaf: true, open: openCache},
		{machine: "cache", callback: "Store.Set", open: openCache},
		{machine: "cache", callback: "Store.Delete", open: openCache},
		{machine: "cache", callback: "TTL of Set", open: openCache},
		{machine: "cache", callback: "fn in shadow", open: openCache},
		{machine: "cache", callback: "OnEvent", tells: event, open: openCache},
		{machine: "pool", callback: "fn", open: openPool},
		{machine: "pool", callback: "Classify", open: openPool},
		{machine: "pool", callback: "Create", tells: asError, leaves: true, deaf: true, open: openPool},
		{machine: "pool", callback: "Close", tells: counted, leaves: true, open: openPool},
		{machine: "pool", callback: "Validate", open: openPool},
		{machine: "pool", callback: "OnEvent", tells: event, open: openPool},
		{machine: "objects", callback: "fresh", open: openObjects},
		{machine: "objects", callback: "reset", open: openObjects},
		{machine: "batch", callback: "Run", tells: asError, leaves: true, open: openBatch},
		{machine: "batch", callback: "Run alone", open: openBatch},
		{machine: "batch", callback: "Size", open: openBatch},
		{machine: "batch", callback: "OnEvent", tells: event, open: openBatch},
	}
}

// shelf is a Store with functions under attack.
type shelf struct {
	s  *scene
	at string
}

func (r shelf) Get(ctx context.Context, _ string) (v int, _ time.Duration, ok bool, err error) {
	if r.at == "Store.Get" {
		err = r.s.strike(ctx)
	}
	return v, 0, false, err
}

func (r shelf) Set(ctx context.Context, _ string, _ int, _ time.Duration) (err error) {
	if r.at == "Store.Set" || r.at == "Store.Set after a load" {
		err = r.s.strike(ctx)
	}
	return err
}

func (r shelf) Delete(ctx context.Context, _ string) (err error) {
	if r.at == "Store.Delete" {
		err = r.s.strike(ctx)
	}
	return err
}

func openCache(t *testing.T, s *scene, at string) subject {
	h := cache.Hooks[string, int]{Hooks: s.hooks(at), Store: shelf{s, at}}
	load := s.fn(at, "fn in shadow")
	switch at {
	case "Load":
		h.Load = func(ctx context.Context, _ string) (int, error) { return 1, s.strike(ctx) }
		load = nil
	case "Negative":
		h.Negative = func(error) bool { s.strikeBlind(); return false }
		load = fails
	case "Classify":
		load = fails
	case "TTL", "TTL of Set":
		h.TTL = func(string, int) time.Duration { s.strikeBlind(); return 0 }
	}
	c := cache.Config{Size: 10, TTL: 10 * time.Second, StoreTimeout: time.Minute}
	if at == "fn in shadow" {
		c.Mode = core.Shadow
	}
	x := must[*cache.Cache[string, int]](t)(cache.New("c", c, h))
	sub := subject{
		call:  func(ctx context.Context) error { _, err := x.Get(ctx, "k", load); return err },
		serve: func(ctx context.Context) error { _, err := x.Get(ctx, "k", good); return err },
		rest: func() string {
			if snap := x.Snapshot(); snap.Loading != 0 {
				return fmt.Sprintf("%d loads", snap.Loading)
			}
			return ""
		},
		stop: func(ctx context.Context) error { return errors.Join(x.Set(ctx, "k", 1), x.Close(ctx)) },
	}
	switch at {
	case "Negative", "Classify": // whoever joins a load that fails gets its error
		var n atomic.Int32
		sub.serve = func(ctx context.Context) error { _, err := x.Get(ctx, strconv.Itoa(int(n.Add(1))), good); return err }
	case "Store.Set", "TTL of Set":
		sub.call = func(ctx context.Context) error { return x.Set(ctx, "k", 1) }
		sub.serve = sub.call
	case "Store.Delete":
		sub.call = func(ctx context.Context) error { return x.Delete(ctx, "k") }
		sub.serve = sub.call
	}
	sub = sub.told(at, x, func() error { c.Size++; return x.Tune(c) })
	if at == "Store.Set after a load" {
		sub.count = func() uint64 { return x.Snapshot().StoreErrors }
	}
	return sub
}

func openPool(t *testing.T, s *scene, at string) subject {
	h := pool.Hooks[int]{Hooks: s.hooks(at), Create: good}
	switch at {
	case "Create":
		h.Create = func(ctx context.Context) (int, error) { return 1, s.strike(ctx) }
	case "Close":
		h.Close = func(int) error { s.strikeBlind(); return nil }
	case "Validate":
		h.Validate = func(ctx context.Context, _ int) error { return s.strike(ctx) }
	}
	c := pool.Config{Max: 1, Queue: 10, MaxWait: time.Hour, CloseTimeout: time.Hour, CreateTimeout: time.Hour}
	p := must[*pool.Pool[int]](t)(pool.New("p", c, h))
	fn := s.fn(at)
	sub := subject{
		call: func(ctx context.Context) error {
			_, err := pool.Do(ctx, p, func(ctx context.Context, _ int) (int, error) { return fn(ctx) })
			return err
		},
		serve: func(ctx context.Context) error {
			_, err := pool.Do(ctx, p, func(context.Context, int) (int, error) { return 1, nil })
			return err
		},
		rest: func() string {
			if snap := p.Snapshot(); snap.Out+snap.Creating+snap.Closing+snap.Waiting+snap.Abandoned != 0 {
				return fmt.Sprintf("%+v", snap)
			}
			return ""
		},
		stop: p.Close,
	}
	switch at {
	case "Validate":
		l := must[pool.Lease[int]](t)(p.Acquire(context.Background()))
		l.Release()
		time.Sleep(time.Minute)
	case "Close":
		sub.call = func(ctx context.Context) error {
			l, err := p.Acquire(ctx)
			l.Discard()
			return err
		}
	}
	sub = sub.told(at, p, func() error { c.Queue++; return p.Tune(c) })
	if at == "Close" {
		sub.count = func() uint64 { return p.Snapshot().CloseFailures }
	}
	return sub
}

func openObjects(t *testing.T, s *scene, at string) subject {
	fresh, reset := func() *int { return new(int) }, func(v *int) bool { *v = 0; return true }
	if at == "fresh" {
		fresh = func() *int { s.strikeBlind(); return new(int) }
	} else {
		reset = func(v *int) bool { s.strikeBlind(); *v = 0; return true }
	}
	o := pool.NewObjects(fresh, reset)
	return subject{
		call: func(context.Context) error {
			v := o.Get()
			if *v != 0 {
				t.Errorf("an object that was not reset: %d", *v)
			}
			*v = 1
			o.Put(v)
			return nil
		},
		rest: func() string { return "" },
	}
}

func openBatch(t *testing.T, s *scene, at string) subject {
	h := batch.Hooks[int, int]{Hooks: s.hooks(at)}
	h.Run = func(ctx context.Context, reqs []int) ([]int, error) {
		if at == "Run" || at == "Run alone" {
			return reqs, s.strike(ctx)
		}
		return reqs, nil
	}
	if at == "Size" {
		h.Size = func(int) int { s.strikeBlind(); return 1 }
	}
	c := batch.Config{MaxItems: 1, Queue: 1, Concurrency: 1, MaxWait: time.Hour}
	if at == "Run alone" {
		c.Mode = core.Disabled
	}
	b := must[*batch.Batcher[int, int]](t)(batch.New("b", c, h))
	return subject{
		call: func(ctx context.Context) error { _, err := b.Do(ctx, 1); return err },
		rest: func() string {
			if snap := b.Snapshot(); snap.Held+snap.Running+snap.Waiting != 0 {
				return fmt.Sprintf("%d held, %d run, %d wait", snap.Held, snap.Running, snap.Waiting)
			}
			return ""
		},
		stop: b.Close,
	}.told(at, b, func() error { c.Queue++; return b.Tune(c) })
}
