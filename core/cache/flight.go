package cache

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
)

// flight is one load of one key, in a goroutine of its own, and those who hold it: the callers who wait for it, and the
// cache itself while the load runs in the background. The last to let go ends it.
//
// It is listed in its shard under its key for as long as it may still fill the cache. Set, Delete, Purge and the
// departure of the last holder take it off the list, and then its result is no longer stored, whenever it comes: that
// is the version of a key, kept only while there is something to compare it with.
type flight[K comparable, V any] struct {
	c    *Cache[K, V]
	sh   *shard[K, V]
	hash uint32
	key  K
	load func(context.Context) (V, error)
	ctx  *reach
	end  context.CancelCauseFunc
	done chan struct{} // closed when the result is there
	own  bool          // loads without asking the second level

	// The shard's lock guards what follows.
	holders int
	timer   *time.Timer // ends the hold of the cache
	landed  bool        // the result is there
	result[V]
}

// result is how a load ended. Immutable once its flight has landed.
type result[V any] struct {
	end   ending
	value V
	err   error
	life  life
}

// ending is the way in which it ended.
type ending uint8

const (
	exited     ending = iota // by runtime.Goexit
	panicked                 // err is a *core.PanicError
	failed                   // by an error
	answered                 // by an error that is an answer: nothing covers it up
	remembered               // by an error worth remembering
	loaded                   // with a value
	fetched                  // with a value from the second level
	rescued                  // by an error that a stale value covers up
	closed                   // the cache was closed meanwhile
)

// reach is the context of a load: the values of the caller who began it, none of its ends. It ends when nobody holds
// the flight. Its deadline is the latest of its holders', and moves as they come.
type reach struct {
	context.Context // with a cancel function
	latest          atomic.Pointer[time.Time]
}

// Deadline returns the latest deadline of those who have waited so far; there is none once somebody came without.
func (r *reach) Deadline() (deadline time.Time, ok bool) {
	if t := r.latest.Load(); t != nil {
		return *t, true
	}
	return time.Time{}, false
}

// due is when a holder will let go; ok is false if it may hold on for ever.
type due struct {
	at time.Time
	ok bool
}

// dueOf is when a caller lets go of a load that lingers after it. ctx may be anybody's: not to be called under a lock.
func dueOf(ctx context.Context, linger time.Duration) (d due) {
	if d.at, d.ok = ctx.Deadline(); d.ok {
		d.at = d.at.Add(linger)
	}
	return d
}

// begin makes a flight with one holder, not yet listed or under way. The shard's lock is held.
func (c *Cache[K, V]) begin(q *question[K, V], d due) *flight[K, V] {
	inner, end := context.WithCancelCause(context.WithoutCancel(q.ctx))
	f := &flight[K, V]{
		c: c, sh: q.sh, hash: q.hash, key: q.key, load: c.loader(q),
		ctx: &reach{Context: inner}, end: end, done: make(chan struct{}), holders: 1,
		own: c.hooks.Store == nil || q.sh.turns[q.key] != nil,
	}
	if d.ok {
		f.ctx.latest.Store(&d.at)
	}
	return f
}

// join adds a holder. The shard's lock is held.
func (f *flight[K, V]) join(d due) {
	f.holders++
	switch latest := f.ctx.latest.Load(); {
	case latest == nil:
	case !d.ok:
		f.ctx.latest.Store(nil)
	case d.at.After(*latest):
		f.ctx.latest.Store(&d.at)
	}
}

// letGo takes a holder away. After the last one the cache holds on for linger, if the load may still fill it; else the
// load's context ends with why as its cause. landed tells that the result was there already.
func (f *flight[K, V]) letGo(why error, linger time.Duration) (landed bool) {
	f.sh.mu.Lock()
	f.holders--
	end := false
	switch {
	case f.landed:
		landed = true
	case f.holders > 0:
	case linger > 0 && f.sh.flights[f.key] == f:
		f.holders++
		f.expire(linger)
	default:
		f.sh.abandon(f)
		end = true
	}
	f.sh.mu.Unlock()
	if end {
		f.end(why)
	}
	return landed
}

// expire ends a hold of the cache itself after d. The shard's lock is held, or the flight is not listed yet.
func (f *flight[K, V]) expire(d time.Duration) {
	f.timer = time.AfterFunc(d, func() { f.letGo(context.DeadlineExceeded, 0) })
}

// await waits for the result in the name of one holder, until its context ends.
func (f *flight[K, V]) await(q *question[K, V]) (*result[V], error) {
	select {
	case <-f.done:
	case <-q.gone:
		if !f.leave(q) {
			return nil, q.ctx.Err()
		}
	}
	return &f.result, nil
}

// leave is letGo for a caller who is gone, also if his context panics when it is asked why.
func (f *flight[K, V]) leave(q *question[K, V]) (landed bool) {
	why := context.Canceled
	defer func() { landed = f.letGo(why, q.s.Config.Linger) }()
	why = context.Cause(q.ctx)
	return landed
}

// fly is the goroutine of the load.
func (f *flight[K, V]) fly() {
	defer f.c.ended()
	r := result[V]{err: core.ErrGoexit}
	defer func() {
		if r.end == exited {
			if p := recover(); p != nil {
				r = result[V]{end: panicked, err: core.Recovered(p)}
			}
		}
		f.land(r)
	}()
	r = f.fetch()
}

// fetch asks the second level, then loads.
func (f *flight[K, V]) fetch() (r result[V]) {
	if !f.own {
		if r, ok := f.c.fromStore(f); ok {
			return r
		}
	}
	began := core.Now()
	for {
		due, bounded := f.ctx.Deadline()
		v, err := f.load(f.ctx)
		if !bounded || !f.cutShort(err, due) {
			return f.c.judge(f.ctx, f.key, v, err, core.Now().Sub(began))
		}
	}
}

// cutShort reports whether the load ended by a deadline that was the latest when it began, and is not any more. A load
// that hands its deadline on to a server ends there by the deadline of the caller who began it; those who came since
// and have more time must not get an error that is not theirs.
func (f *flight[K, V]) cutShort(err error, due time.Time) bool {
	if !errors.Is(err, context.DeadlineExceeded) || f.ctx.Err() != nil || time.Now().Before(due) {
		return false
	}
	latest, bounded := f.ctx.Deadline()
	return !bounded || latest.After(due)
}

// land stores the result if the flight is still listed, hands it to those who wait, and tells the second level.
func (f *flight[K, V]) land(r result[V]) {
	c, sh, s := f.c, f.sh, f.c.live.Load()
	sh.mu.Lock()
	var kept *entry[K, V]
	var t *turn
	listed := sh.unlist(f)
	sh.count.land(r.end)
	if !f.landed { // else the cache has been closed, and they have been told so
		if listed {
			kept = c.settle(sh, f.hash, f.key, &r, &s.Derived)
			if kept != nil && r.end == loaded && c.hooks.Store != nil {
				t = sh.tryTurn(f.key)
			}
		}
		f.tell(r)
	}
	sh.mu.Unlock()
	f.end(nil)
	if t != nil {
		c.writeBehind(f, kept, s, t)
	}
}

// tell gives the result to those who wait. The shard's lock is held.
func (f *flight[K, V]) tell(r result[V]) {
	f.result, f.landed = r, true
	if f.timer != nil {
		f.timer.Stop()
	}
	close(f.done)
}
