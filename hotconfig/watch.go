package hotconfig

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watching is the life of the watching goroutine.
type watching struct {
	mu     sync.Mutex // guards what follows
	closed bool
	stop   context.CancelFunc // nil before Watch
	done   chan struct{}      // closed when the goroutine has ended
}

// Watch starts the one goroutine that reloads the configuration when its sources change. It belongs to l and ends with
// Close. A second call does nothing; after Close, Watch returns ErrClosed.
//
// Where the kernel cannot tell about changes, or has no watches left, Watch logs a warning and relies on polling alone;
// that is no error. A reload that is rejected is told to the log, to OnEvent and to Stats, and the watching goes on.
func (l *Live[T]) Watch() error {
	l.watch.mu.Lock()
	defer l.watch.mu.Unlock()
	if l.watch.closed {
		return ErrClosed
	}
	if l.watch.stop != nil {
		return nil
	}
	ctx, stop := context.WithCancel(context.Background())
	l.watch.stop, l.watch.done = stop, make(chan struct{})
	o := l.src.options
	w := &watcher{
		paths:    l.src.paths(),
		debounce: debounce{quiet: o.Debounce, most: o.MaxDebounce},
		poll:     o.Poll,
		log:      o.Logger,
		differs:  l.differs,
		reload:   func(ctx context.Context) { _ = l.reload(ctx, byWatch) }, // told by the event
	}
	w.open()
	go func() {
		defer close(l.watch.done)
		defer w.close()
		w.run(ctx)
	}()
	return nil
}

// Close stops watching and waits until the goroutine has ended, which takes as long as a listener or target that is
// running. Get, Reload and the rest work on. Close may be called at any time and more than once, but not by a listener or
// target, which it would wait for. It always returns nil.
func (l *Live[T]) Close() error {
	l.watch.mu.Lock()
	l.watch.closed = true
	stop, done := l.watch.stop, l.watch.done
	l.watch.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
	return nil
}

// A watcher decides when to reload. Signals only say that something may have changed: which file and what kind of change
// differ between editors, file systems and kernels, and are never looked at.
type watcher struct {
	paths    []string // of the files
	debounce debounce
	poll     time.Duration
	log      *slog.Logger
	differs  func(context.Context) bool
	reload   func(context.Context)

	notify *fsnotify.Watcher // nil if the kernel has none to give
	events <-chan fsnotify.Event
	errors <-chan error
	warned bool
}

func (w *watcher) open() {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		w.warn(err)
		return
	}
	w.notify, w.events, w.errors = n, n.Events, n.Errors
	w.arm()
}

func (w *watcher) close() {
	if w.notify != nil {
		_ = w.notify.Close() // nothing can be done about it, and nobody relies on it any more
	}
}

func (w *watcher) warn(err error) {
	if !w.warned {
		w.log.Warn("configuration: the kernel does not tell about all changes; polling", "error", err, "every", w.poll)
	}
	w.warned = true
}

// arm watches the directories that matter now and no others. It adds also those it has watched before: one that was
// deleted and made again has the same name and is another.
func (w *watcher) arm() {
	if w.notify == nil {
		return
	}
	wanted := map[string]bool{}
	for _, path := range w.paths {
		for _, dir := range directories(path) {
			wanted[dir] = true
		}
	}
	for _, dir := range w.notify.WatchList() {
		if !wanted[dir] {
			_ = w.notify.Remove(dir) // it may be gone already, which is why it is removed
		}
	}
	for dir := range wanted {
		if err := w.notify.Add(dir); err != nil && !missing(err) {
			w.warn(err)
		}
	}
}

// run is the goroutine. Signals that come during a reload wait in the kernel and lead to one more.
func (w *watcher) run(ctx context.Context) {
	poll := time.NewTimer(0) // at once: something may have changed since Load
	act := time.NewTimer(time.Hour)
	defer poll.Stop()
	defer act.Stop()
	for {
		wait, pending := w.debounce.wait(time.Now())
		if !pending {
			wait = time.Hour
		}
		act.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case _, open := <-w.events:
			if !open {
				w.events = nil
				continue
			}
			w.debounce.signal(time.Now())
		case err, open := <-w.errors: // an overflow of the kernel's queue is the usual one: signals were lost
			if !open {
				w.errors = nil
				continue
			}
			w.warn(err)
			w.debounce.signal(time.Now())
		case <-poll.C:
			// Not read and reloaded in one go: the look may have fallen into the middle of a write.
			w.arm()
			if w.differs(ctx) {
				w.debounce.signal(time.Now())
			}
			poll.Reset(jitter(w.poll))
		case <-act.C:
			if !pending {
				continue
			}
			w.debounce.reset()
			w.arm() // before reading, so that no change after it can go unseen
			w.reload(ctx)
		}
	}
}

// jitter returns d, up to a tenth more or less, so that many processes do not look at one file server in step.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}
