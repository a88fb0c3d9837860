package pool

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/live"
)

// Pool keeps resources that are dear to create, such as connections, and lends each to one caller at a time. Make one
// with New and end it with Close. It implements core.Machine. Safe for concurrent use; while something is idle, Acquire
// and Release take no lock and allocate nothing.
type Pool[T any] struct {
	live  live.Live[Config, limits]
	hooks Hooks[T]
	life  context.Context // ends with Close
	end   context.CancelFunc

	idle  atomic.Uint64 // a stack
	slots atomic.Pointer[[]*slot[T]]
	// gate is not 0 when somebody waits, more resources are open than Max allows, or the pool is closed: then whoever
	// acquires or gives back has to take the lock. It is set before its reason is acted on, and who gives back looks at
	// it afterwards; so one of the two sees the other, and no resource lies idle while somebody waits.
	gate    atomic.Uint32
	watched atomic.Bool // upkeep will run, or there is nothing for it to do

	mu        sync.Mutex // guards what follows
	n         census
	queue     list.List // of *waiter[T]
	free      []*slot[T]
	failing   bool // the last Create failed: Min is filled no further until upkeep or a success
	closed    bool
	done      chan struct{} // closed when the pool is closed and everything is back
	jobs      int           // goroutines that run Create and Close
	abandoned int           // those of them that have lost their place
	timer     *time.Timer   // runs upkeep; nil when it is not set
	wakeAt    core.Time     // when timer runs out
	alarm     uint64        // its number: of one that was replaced as it ran out, nobody hears
	count     counts
}

type settings = live.Settings[Config, limits]

// New returns a pool. It creates nothing yet: the first Acquire does, and begins to fill up to Min. Errors: a name that
// is not 1 to 64 of letters, digits and - _ . /, every bad field of c, and a nil h.Create.
func New[T any](name string, c Config, h Hooks[T]) (*Pool[T], error) {
	p := &Pool[T]{hooks: h, done: make(chan struct{})}
	p.slots.Store(new([]*slot[T]))
	err := p.live.Start(core.KindPool, name, c, h.Hooks, live.Rules[Config, limits]{
		Prepare: prepare, Describe: describe, Changed: p.changed,
		Derive: func(_ *settings, c Config, _ core.Time) limits { return limitsOf(c, h.Validate != nil) },
	})
	if err != nil {
		return nil, err
	}
	if h.Create == nil {
		return nil, fmt.Errorf("pool %q: Hooks.Create is required", name)
	}
	p.life, p.end = context.WithCancel(context.Background())
	return p, nil
}

// Acquire returns the resource that came back last, or waits, in order of arrival, for one to come back or to be
// created. Give it back by Release or Discard, in a defer.
//
// Errors: a *core.Rejection (ReasonFull: all are out and too many wait; ReasonWaited: MaxWait is over; ReasonLeft and
// ReasonExpired: ctx ended while waiting), a *CreateError, or ErrClosed. ctx is looked at only by a caller that has to
// wait or to validate: as with a guard, a done ctx does not keep it from an idle resource.
func (p *Pool[T]) Acquire(ctx context.Context) (Lease[T], error) {
	s := p.live.Load()
	if p.gate.Load() == 0 {
		if sl := p.pop(); sl != nil {
			now, l := core.Now(), &s.Derived
			if !l.track && !sl.ages.old(l, now) && !sl.ages.doubtful(l, now) {
				return Lease[T]{sl, sl.era.Load()}, nil
			}
			return p.acquire(ctx, s, sl)
		}
	}
	return p.acquire(ctx, s, nil)
}

// acquire is the whole of Acquire. sl is what has been popped already, if anything.
func (p *Pool[T]) acquire(ctx context.Context, s *settings, sl *slot[T]) (_ Lease[T], err error) {
	w := waiter[T]{}
	defer w.stop()
	for {
		if sl == nil {
			if sl, err = p.need(ctx, s, &w); err != nil {
				return Lease[T]{}, err
			}
		}
		switch fit, err := p.fit(ctx, s, sl); {
		case err != nil:
			return Lease[T]{}, err
		case fit:
			if s.Derived.track {
				sl.lent.Store(note())
			}
			return Lease[T]{sl, sl.era.Load()}, nil
		}
		sl = nil
	}
}

// fit decides whether a resource may be handed out. One that may not is closed, or put back if ctx ended before it
// could be validated.
func (p *Pool[T]) fit(ctx context.Context, s *settings, sl *slot[T]) (ok bool, err error) {
	now := core.Now()
	if sl.ages.old(&s.Derived, now) {
		p.drop(sl, &p.count.expired)
		return false, nil
	}
	if !sl.ages.doubtful(&s.Derived, now) {
		return true, nil
	}
	asked := false
	defer func() { // also when the context or Validate panics or calls runtime.Goexit
		if !asked {
			p.back(sl)
		} else if !ok {
			p.drop(sl, &p.count.invalid)
		}
	}()
	if err := ctx.Err(); err != nil { // else each idle one would be asked in vain, and closed
		return false, p.reject(s, reasonOf(err))
	}
	asked = true
	ok = p.hooks.Validate(ctx, *sl.value.Load()) == nil
	return ok, nil
}

// back lays a resource on the idle stack and lets those who wait have it.
func (p *Pool[T]) back(sl *slot[T]) {
	p.push(sl)
	if p.gate.Load() != 0 || !p.watched.Load() {
		p.mu.Lock()
		p.watch()
		p.serve()
		p.mu.Unlock()
	}
}

// drop closes a resource that the caller owns.
func (p *Pool[T]) drop(sl *slot[T], why *uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*why++
	p.retire(sl)
	p.serve()
}

// Do runs fn with a resource of p. Afterwards it is given back if the outcome (Hooks.Classify) is Success, Overload or
// Ignored: it has been answered, or not been used. It is discarded after any other, since half a reply may be in it,
// and when fn panics or calls runtime.Goexit; the panic goes on untouched. Errors are those of Acquire and of fn; a nil
// fn is an error.
func Do[T, R any](ctx context.Context, p *Pool[T], fn func(context.Context, T) (R, error)) (r R, err error) {
	if fn == nil {
		return r, fmt.Errorf("pool %q: Do needs a function", p.live.Load().Policy.Name)
	}
	l, err := p.Acquire(ctx)
	if err != nil {
		return r, err
	}
	sound := false
	defer func() {
		if sound {
			l.Release()
		} else {
			l.Discard()
		}
	}()
	r, err = fn(ctx, l.Value())
	classify := p.hooks.Classify
	if classify == nil {
		classify = core.Classify
	}
	switch classify(ctx, err) {
	case core.Success, core.Overload, core.Ignored:
		sound = true
	}
	return r, err
}
