package hotconfig

import (
	"context"
	"encoding/hex"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core/schema"
)

// Live is a configuration of type T that follows its sources. All methods may be used by many goroutines at once.
//
// A reload is a transaction: read, merge, decode, fill in defaults, validate, prepare every bound target, and only if all
// of that succeeded swap the pointer and commit. Reloads run one at a time.
type Live[T any] struct {
	src     *source
	current atomic.Pointer[snapshot[T]]

	// turn is held, by a value in it, by the one transaction that runs. A channel and not a mutex, so that waiting for
	// it can be given up. What follows belongs to who holds it.
	turn    chan struct{}
	filled  []bool        // by layer, of the version in force: the file said something
	targets []preparer[T] // in the order they were bound
	last    *attempt

	mu      sync.Mutex // guards stats and changed
	stats   Stats
	changed []func(old, new *T) // listeners; replaced, never written to

	news  news // what is still to be delivered to listeners, the log and OnEvent
	watch watching
}

// snapshot is what Get and Version read, never written after it is published.
type snapshot[T any] struct {
	value   T
	version Version
}

// attempt remembers a try, so that the same failure is told only once.
type attempt struct {
	hash [32]byte
	err  error
}

// Load reads the sources once and returns the configuration, or an error that lists every fault. A T that cannot be
// configured, because of a bad tag, an unsupported type or two fields with the same variable, is an error too.
//
// Load starts no goroutine and watches nothing; Watch does. It may block for the time it takes to read the files, and
// 250 ms longer for a file that is being written.
func Load[T any](o Options) (*Live[T], error) {
	src, err := newSource(o, reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	l := &Live[T]{src: src, turn: make(chan struct{}, 1)}
	l.news.panicked = func(err error) {
		l.mu.Lock()
		l.stats.Panics++
		l.mu.Unlock()
		src.options.Logger.Error("panic in a configuration listener", "error", err)
	}
	for _, w := range src.env.warnings {
		src.options.Logger.Warn("configuration: " + w)
	}
	if err := l.reload(context.Background(), byHand); err != nil {
		return nil, err
	}
	return l, nil
}

// Get returns the configuration in force, with defaults filled in. It costs one atomic load and no allocation. The value
// is shared by everybody and must not be changed, not even inside its maps and lists; a reload publishes another one, so
// whoever reads two fields that belong together calls Get once.
func (l *Live[T]) Get() *T { return &l.current.Load().value }

// Version returns which configuration is in force. To be sure that it is the one Get returned, compare numbers before
// and after.
func (l *Live[T]) Version() Version {
	v := l.current.Load().version
	v.Sources = append([]string(nil), v.Sources...)
	return v
}

// Stats returns the counters and how the last reload went.
func (l *Live[T]) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// OnChange adds a listener for new versions. Listeners are called after the commit, outside all locks, in the order they
// were added, and see every version once and in order; old is the version before new. A listener may call any
// method but Close. One that panics is recovered and counted; one that blocks holds up the listeners after it and the
// watcher. The present configuration is not announced, and OnChange may be called while reloads run.
func (l *Live[T]) OnChange(f func(old, new *T)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed = append(slices.Clip(l.changed), f)
}

// Reload reads the sources now, without waiting for them to be quiet. It returns nil if a new version is in force or
// nothing has changed, and the faults if the new one was rejected; then nothing has changed either. ctx limits waiting
// for another reload and for a file that is being written; it does not interrupt a commit.
func (l *Live[T]) Reload(ctx context.Context) error { return l.reload(ctx, byHand) }

// cause is who asked for a reload.
type cause uint8

const (
	byHand cause = iota
	byWatch
)

func (l *Live[T]) reload(ctx context.Context, why cause) error {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := l.inTurn(ctx, why)
	l.news.deliver()
	return err
}

// inTurn is one transaction. It queues the news about it while it still holds the turn, so that they are in order.
func (l *Live[T]) inTurn(ctx context.Context, why cause) error {
	defer func() { <-l.turn }()
	start := time.Now()
	hash, result, err := l.try(ctx)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx) // given up, which says nothing about the configuration
	}
	known := l.last
	l.last = &attempt{hash, err}
	if why == byWatch && err != nil && known != nil && known.err != nil && known.err.Error() == err.Error() {
		return err
	}
	e := Event{Result: result, Err: err, At: time.Now(), Duration: time.Since(start)}
	if s := l.current.Load(); s != nil {
		e.Version = l.Version()
	}
	l.mu.Lock()
	l.stats.count(e)
	l.mu.Unlock()
	if e.Version.Number == 0 { // Load failed, and returns the error: there is nobody else to tell
		return err
	}
	l.news.add(func() { e.log(l.src.options.Logger) })
	if l.src.options.OnEvent != nil {
		l.news.add(func() { l.src.options.OnEvent(e) })
	}
	return err
}

// try does the work of a transaction.
func (l *Live[T]) try(ctx context.Context) (hash [32]byte, _ Result, _ error) {
	fs := faults{}
	fs.include(&l.src.fixed)
	r := l.src.read(ctx, &fs)
	old := l.current.Load()
	if err := ctx.Err(); err != nil {
		return hash, Rejected, err
	}
	if old != nil && len(fs.list) == 0 && hex.EncodeToString(r.hash[:]) == old.version.Hash {
		return r.hash, Unchanged, nil
	}
	b := l.src.build(r, l.filled, &fs)
	if err := fs.err(); err != nil {
		return r.hash, Rejected, err
	}
	next := &snapshot[T]{value: schema.Fill(*b.value.Interface().(*T))}
	l.src.check(&next.value, b, &fs)
	if err := fs.err(); err != nil {
		return r.hash, Rejected, err
	}
	commit, err := prepareAll(l.targets, &next.value)
	if err != nil {
		return r.hash, Rejected, err
	}
	next.version = l.src.version(r, old == nil)
	if old != nil {
		next.version.Number = old.version.Number + 1
	}
	l.current.Store(next)
	l.filled = b.filled
	if err := commit(); err != nil {
		l.news.add(func() { l.news.panicked(err) })
	}
	l.announce(old, next)
	return r.hash, Loaded, nil
}

// announce queues the news of a new version for the listeners there are now.
func (l *Live[T]) announce(old, next *snapshot[T]) {
	if old == nil {
		return
	}
	l.mu.Lock()
	listeners := l.changed
	l.mu.Unlock()
	for _, f := range listeners {
		l.news.add(func() { f(&old.value, &next.value) })
	}
}

// differs reports whether a reload would do anything: the sources have changed since the last try, or it failed.
func (l *Live[T]) differs(ctx context.Context) bool {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-l.turn }()
	fs := faults{}
	r := l.src.read(ctx, &fs)
	return len(fs.list) > 0 || l.last.err != nil || r.hash != l.last.hash
}

// version describes what was made of r.
func (s *source) version(r *reading, first bool) Version {
	v := Version{Number: 1, Hash: hex.EncodeToString(r.hash[:]), Time: time.Now()}
	for i, l := range s.layers {
		if r.files[i].exists {
			v.Sources = append(v.Sources, l.name)
		}
	}
	for _, variable := range s.env.vars {
		v.Sources = append(v.Sources, variable.name)
	}
	return v
}
