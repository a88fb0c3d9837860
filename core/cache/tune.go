package cache

import (
	"context"
	"time"

	"github.com/mw-go/mw/core"
)

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail. A Size below the one in force is refused.
func (c *Cache[K, V]) Prepare(to Config) (commit func(), err error) { return c.live.Prepare(to) }

// Tune puts settings in force, for the entries that are there as well, from the next operation on. On error nothing
// changes.
func (c *Cache[K, V]) Tune(to Config) error { return c.live.Tune(to) }

// Config returns the effective settings, defaults filled in.
func (c *Cache[K, V]) Config() Config { return c.live.Load().Config }

// Override puts mode in force for d (0: until Restore) whatever the configuration says; it outlives Tune. Errors: a
// mode other than enforce, shadow and disabled, and a negative d.
func (c *Cache[K, V]) Override(mode core.Mode, d time.Duration) error {
	return c.live.Override(mode, d)
}

// Restore ends an override.
func (c *Cache[K, V]) Restore() { c.live.Restore() }

func (c *Cache[K, V]) prepare(to Config) (Config, error) {
	if s := c.live.Load(); s != nil {
		return prepare(to, &s.Config)
	}
	return prepare(to, nil)
}

// changed hands a new size to the shards.
func (c *Cache[K, V]) changed(_, fresh *settings, _ core.Time) {
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.Lock()
		sh.limit = share(fresh.Config.Size, len(c.shards), i)
		sh.mu.Unlock()
	}
}

// Close ends the cache: entries are forgotten, loads are cancelled, and who waits for one gets ErrClosed at once, as
// does every later call. It waits until the goroutines of all loads have ended or ctx has, and then returns ctx.Err():
// a load that ignores its context goes on. The Store is its owner's to close. A second Close waits likewise.
func (c *Cache[K, V]) Close(ctx context.Context) error {
	for i := range c.shards {
		c.closeShard(&c.shards[i])
	}
	if c.closing.CompareAndSwap(false, true) {
		c.ended()
	}
	select {
	case <-c.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// closeShard tells those who wait and cancels the loads.
func (c *Cache[K, V]) closeShard(sh *shard[K, V]) {
	sh.mu.Lock()
	sh.closed = true
	sh.purge()
	var ends []context.CancelCauseFunc
	for f := range sh.adrift {
		if !f.landed {
			f.tell(result[V]{end: closed, err: ErrClosed})
			ends = append(ends, f.end)
		}
	}
	sh.mu.Unlock()
	for _, end := range ends {
		end(ErrClosed)
	}
}

// ended counts a goroutine, or the cache itself, out.
func (c *Cache[K, V]) ended() {
	if c.running.Add(-1) == 0 {
		close(c.idle)
	}
}

// Snapshot is what a page, a metric or a test reads of a cache. Counts are lifetime counts. Each Get is one of Hits,
// Negatives, Stales, Misses and Passed, unless it was refused or its context was done.
type Snapshot struct {
	core.Status
	Config  Config
	Entries int // those that have expired since somebody asked included
	Loading int // loads under way, those that nobody waits for any more included

	Hits      uint64 // answered by a fresh value
	Negatives uint64 // answered by a remembered error
	Stales    uint64 // answered by a value past its TTL, while it was being refreshed
	Misses    uint64 // waited for a load
	Passed    uint64 // loaded for themselves, in shadow and disabled mode

	Joined     uint64 // of the misses, those that waited for a load already under way
	Loads      uint64 // loads that ended, those that a value of the Store made unnecessary not included
	Refreshes  uint64 // loads begun in the background
	Failures   uint64 // loads that ended by an error that is no answer, a panic or runtime.Goexit
	Panics     uint64 // of these, the panics and Goexits
	Rescued    uint64 // loads that failed and were answered by a stale value
	Abandoned  uint64 // loads cancelled because nobody waited any more
	Superseded uint64 // loads whose result came after a Set, Delete or Purge and was not stored
	Evicted    uint64 // entries that gave way to others

	StoreHits, StoreMisses, StoreErrors uint64
}

// Snapshot returns the state as of now. It takes locks; it is not for the path of a call.
func (c *Cache[K, V]) Snapshot() Snapshot {
	snap := Snapshot{Status: c.live.Status(), Config: c.Config()}
	var n counts
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.Lock()
		n.add(&sh.count)
		snap.Entries += sh.length
		snap.Loading += len(sh.flights) + len(sh.adrift)
		sh.mu.Unlock()
	}
	snap.Hits, snap.Negatives = c.count.Load(countHits), c.count.Load(countNegatives)
	snap.Stales, snap.Misses, snap.Passed = n.stales, n.misses, c.count.Load(countPassed)
	snap.Joined, snap.Loads, snap.Refreshes = n.joined, n.loads, n.refreshes
	snap.Failures, snap.Panics, snap.Rescued = n.failures, n.panics, n.rescued
	snap.Abandoned, snap.Superseded, snap.Evicted = n.abandoned, n.superseded, n.evicted
	snap.StoreHits, snap.StoreMisses = c.count.Load(countStoreHits), c.count.Load(countStoreMisses)
	snap.StoreErrors = c.count.Load(countStoreErrors)
	snap.Admitted = snap.Hits + snap.Negatives + snap.Stales + snap.Misses + snap.Passed
	snap.Shadowed = c.count.Load(countShadowed)
	return snap
}

// Status returns the part of the Snapshot that all machines share.
func (c *Cache[K, V]) Status() core.Status { return c.Snapshot().Status }
