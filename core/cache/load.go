package cache

import (
	"context"
	"runtime"
	"time"

	"github.com/mw-go/mw/core"
)

// question is one Get that was not answered on the fast path.
type question[K comparable, V any] struct {
	ctx  context.Context
	gone <-chan struct{} // closed when ctx ends
	s    *settings
	sh   *shard[K, V]
	hash uint32
	key  K
	load func(context.Context) (V, error)
}

// get is the whole of Get.
func (c *Cache[K, V]) get(q *question[K, V]) (v V, err error) {
	if !findable(q.key) {
		return v, ErrKey
	}
	q.s = c.live.At(0)
	if q.s.Policy.Mode != core.Enforce {
		return c.pass(q)
	}
	if e := q.sh.find(q.hash, q.key); e.fateAt(&q.s.Derived, core.Now(), c.draw(&q.s.Derived)) == fresh {
		e.touch()
		c.countHit(e)
		return e.value, e.err()
	}
	e, f, leads, err := c.look(q)
	switch {
	case err != nil:
		return v, err
	case e != nil:
		return e.value, e.err()
	}
	r, err := f.await(q)
	if err != nil {
		return v, err
	}
	if leads {
		r.carry()
	}
	return r.value, r.err
}

// findable reports whether a key equals itself.
func findable[K comparable](key K) bool {
	other := key
	return key == other
}

// loads reports whether there is a load for a question.
func (c *Cache[K, V]) loads(q *question[K, V]) bool { return q.load != nil || c.hooks.Load != nil }

// loader returns the load of a question. It is made when it is needed: hits get by without.
func (c *Cache[K, V]) loader(q *question[K, V]) func(context.Context) (V, error) {
	if q.load != nil {
		return q.load
	}
	key := q.key
	return func(ctx context.Context) (V, error) { return c.hooks.Load(ctx, key) }
}

// look finds an entry that answers the question, or else a flight to wait for; leads tells that it begins with this
// call.
func (c *Cache[K, V]) look(q *question[K, V]) (e *entry[K, V], f *flight[K, V], leads bool, err error) {
	// A context may be anybody's code: it is asked under no lock, and before the flight has one holder more.
	q.gone = q.ctx.Done()
	gone, d := q.ctx.Err(), dueOf(q.ctx, q.s.Config.Linger)
	sh := q.sh
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		return nil, nil, false, ErrClosed
	}
	e = sh.find(q.hash, q.key)
	if fate := e.fateAt(&q.s.Derived, core.Now(), c.draw(&q.s.Derived)); fate.answers() {
		if fate.refreshes() && sh.flights[q.key] == nil && c.loads(q) {
			c.refresh(q)
		}
		if e.touch(); fate == stale {
			sh.count.stales++
		} else {
			c.countHit(e)
		}
		return e, nil, false, nil
	}
	switch f = sh.flights[q.key]; {
	case gone != nil:
		return nil, nil, false, gone
	case f != nil:
		sh.count.joined++
		f.join(d)
	case !c.loads(q):
		return nil, nil, false, ErrNoLoad
	default:
		f, leads = c.begin(q, d), true
		c.launch(f)
	}
	sh.count.misses++
	return nil, f, leads, nil
}

// draw is what decides on an early refresh.
func (c *Cache[K, V]) draw(r *rules) float64 {
	if r.beta == 0 {
		return 0
	}
	return c.exponential()
}

// carry goes on in the caller who began a load that did not return.
func (r *result[V]) carry() {
	switch r.end {
	case panicked:
		panic(r.err)
	case exited:
		runtime.Goexit()
	}
}

// refresh starts a load in the background, held by the cache alone. The shard's lock is held.
func (c *Cache[K, V]) refresh(q *question[K, V]) {
	q.sh.count.refreshes++
	d := q.s.Config.RefreshTimeout
	f := c.begin(q, due{time.Now().Add(d), true})
	f.expire(d)
	c.launch(f)
}

// launch lists a flight and starts it. The shard's lock is held, and the cache is not closed, so that running is not 0.
func (c *Cache[K, V]) launch(f *flight[K, V]) {
	f.sh.flights[f.key] = f
	c.running.Add(1)
	go f.fly()
}

// judge says what the end of a load means.
func (c *Cache[K, V]) judge(ctx context.Context, key K, v V, err error, took time.Duration) result[V] {
	r := result[V]{value: v, err: err}
	switch {
	case err == nil:
		r.end, r.life = loaded, c.lifeOf(key, v, took)
	case c.hooks.Negative != nil && c.hooks.Negative(err):
		r.end, r.life = remembered, lifeForError(c.uniform())
	case c.hooks.Classify(ctx, err) == core.Success:
		r.end = answered
	default:
		r.end = failed
	}
	return r
}

// lifeOf is the life of a new value.
func (c *Cache[K, V]) lifeOf(key K, v V, took time.Duration) life {
	var own time.Duration
	if c.hooks.TTL != nil {
		own = min(c.hooks.TTL(key, v), maxTTL)
	}
	return lifeFor(&c.live.Load().Derived, own, c.uniform(), took)
}

// settle keeps the result of a load that is still listed, and covers up an error if there is a stale value. The shard's
// lock is held.
func (c *Cache[K, V]) settle(sh *shard[K, V], hash uint32, key K, r *result[V], set *rules) (kept *entry[K, V]) {
	now := core.Now()
	switch r.end {
	case loaded, fetched, remembered:
		r.life.born = now
		kept = newEntry(hash, key, r.life, r.value, r.err)
		sh.store(kept, set, now)
	case failed:
		if e := sh.find(hash, key); e != nil && e.life().covers(set, now) {
			sh.count.rescued++
			r.value, r.err, r.end = e.value, nil, rescued
		}
	}
	return kept
}
