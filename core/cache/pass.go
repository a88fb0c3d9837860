package cache

import (
	"context"

	"github.com/mw-go/mw/core"
)

// pass is Get in shadow and disabled mode: it loads in the caller's goroutine, as if there were no cache. In shadow mode it also
// looks up what there is, and keeps what it has loaded, so that the counts say what the cache would have done.
func (c *Cache[K, V]) pass(ctx context.Context, s *settings, hash uint64, sh *shard[K, V], key K, load func(context.Context) (V, error)) (v V, err error) {
	shadow := s.Policy.Mode == core.Shadow
	var mine *ticket
	sh.mu.Lock()
	if sh.closed {
		sh.mu.Unlock()
		return v, ErrClosed
	}
	if shadow {
		e := sh.find(hash, key)
		fate := e.fateAt(&s.Derived, core.Now(), c.exponential())
		if fate.answers() {
			c.count.Add(countShadowed, 1)
			e.touch()
		}
		if fate != fresh {
			mine = sh.ticket(key)
		}
	}
	sh.mu.Unlock()
	c.count.Add(countPassed, 1)
	if mine == nil {
		return load(ctx)
	}
	r := result[V]{}
	defer func() { c.stamp(sh, hash, key, mine, &r) }()
	began := core.Now()
	v, err = load(ctx)
	r = c.judge(ctx, key, v, err, core.Now().Sub(began))
	return v, err
}

// ticket gives a load in shadow mode the right to fill the cache, unless another one has it. mu is held.
func (sh *shard[K, V]) ticket(key K) *ticket {
	if sh.tickets[key] != nil || sh.flights[key] != nil {
		return nil
	}
	t := new(ticket)
	sh.tickets[key] = t
	return t
}

// stamp keeps the result of a load in shadow mode, unless something has come between.
func (c *Cache[K, V]) stamp(sh *shard[K, V], hash uint64, key K, mine *ticket, r *result[V]) {
	set := &c.live.Load().Derived
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.tickets[key] != mine {
		return
	}
	delete(sh.tickets, key)
	if !sh.closed && r.end != failed {
		c.settle(sh, hash, key, r, set)
	}
}
