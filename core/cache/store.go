package cache

import (
	"context"
	"time"
)

// Store is a second level behind the cache, shared by several processes perhaps: Redis and the like. It turns values
// into whatever it keeps. Each context ends after Config.StoreTimeout; an implementation returns soon after. Safe for
// concurrent use.
//
// What it answers is believed: a value comes into the first level for what is left of its life, but no longer than
// Config.TTL unless Hooks.TTL says so. An error of Get is a
// miss, and is counted, and so is one of the Set that follows a load; those of the operations that a caller asked for
// are returned to him. Remembered errors stay in the first level.
//
// Within this process one change of a key at a time is under way, in the order in which the first level changed, and no
// load that began before a Set or Delete writes after it. Between processes that is for the store to see to.
type Store[K comparable, V any] interface {
	// Get returns the value of key and what is left of its time to live, 0 if that is not known or has no end. ok is
	// false if there is none.
	Get(ctx context.Context, key K) (value V, ttl time.Duration, ok bool, err error)
	// Set keeps a value for ttl; 0 is for ever.
	Set(ctx context.Context, key K, value V, ttl time.Duration) error
	// Delete forgets a key. That there was none is no error.
	Delete(ctx context.Context, key K) error
}

// fromStore asks the second level in the course of a load.
func (c *Cache[K, V]) fromStore(f *flight[K, V]) (r result[V], ok bool) {
	s := c.live.Load()
	ctx, cancel := context.WithTimeout(f.ctx, s.Config.StoreTimeout)
	defer cancel()
	v, ttl, ok, err := c.hooks.Store.Get(ctx, f.key)
	switch {
	case err != nil:
		c.count.Add(countStoreErrors, 1)
		return r, false
	case !ok:
		c.count.Add(countStoreMisses, 1)
		return r, false
	}
	c.count.Add(countStoreHits, 1)
	if c.hooks.TTL == nil && ttl >= s.Derived.ttl {
		ttl = 0 // it was written under other settings, or by somebody else: those of this cache hold
	}
	return result[V]{end: fetched, value: v, life: lifeFor(&s.Derived, ttl, c.uniform(), 0)}, true
}

// writeBehind tells the second level of what a load has brought, in the load's goroutine. Those who waited have it
// already; the turn, taken together with the first level's change, keeps a later Set or Delete from being overtaken.
func (c *Cache[K, V]) writeBehind(f *flight[K, V], e *entry[K, V], s *settings, t *turn) {
	written := false
	defer func() {
		if !written {
			_ = recover() // nobody waits any more whom it could be told
			c.count.Add(countStoreErrors, 1)
		}
		f.sh.mu.Lock()
		f.sh.passTurn(f.key, t)
		f.sh.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.ctx), s.Config.StoreTimeout)
	defer cancel()
	written = c.hooks.Store.Set(ctx, f.key, e.value, e.life().lasts(&s.Derived)) == nil
}

// lasts is the time to live as a store takes it.
func (l life) lasts(r *rules) time.Duration {
	if r.ttl == noEnd && l.own <= 0 {
		return 0
	}
	return l.span(r)
}

// change changes a key: by op in the second level, if there is one, and then by finally in the first, under the lock. A
// load that lands meanwhile finds the turn taken and writes nothing to the second level, and finally undoes what it has
// put into the first. finally runs whatever op does, even if it panics: that the second level failed is no reason to
// keep an old value.
func (c *Cache[K, V]) change(ctx context.Context, key K, op func(context.Context) error, finally func(sh *shard[K, V], hash uint32)) (err error) {
	if !findable(key) {
		return ErrKey
	}
	hash, sh := c.place(key)
	var t *turn
	defer func() {
		sh.mu.Lock()
		defer sh.mu.Unlock()
		if sh.closed {
			err = ErrClosed
		} else {
			finally(sh, hash)
		}
		if t != nil {
			sh.passTurn(key, t)
		}
	}()
	if c.hooks.Store == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.Config().StoreTimeout)
	defer cancel()
	if t, err = sh.takeTurn(ctx, key); err == nil {
		err = op(ctx)
	}
	if err != nil && err != ErrClosed {
		c.count.Add(countStoreErrors, 1)
	}
	return err
}
