package batch

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/live"
	"github.com/mw-go/mw/core/internal/stripe"
)

// Batcher makes one call of many. Make one with New and end it with Close. It implements core.Machine. Safe for
// concurrent use.
type Batcher[Req, Resp any] struct {
	live   live.Live[Config, struct{}]
	count  stripe.Tally
	hooks  Hooks[Req, Resp]
	closed atomic.Bool // set under mu

	mu      sync.Mutex          // guards what follows
	open    *group[Req, Resp]   // the batch that is being collected; nil if nothing is
	timer   *time.Timer         // runs out with the Delay of open; nil if that is
	ready   []*group[Req, Resp] // batches that wait for one of Concurrency to end
	held    int                 // items in open and ready
	running int                 // batches
	queue   list.List           // of *waiter[Req, Resp], those who wait for a place
	done    chan struct{}       // closed when the batcher is closed and nothing is left
	sent    [causes]uint64      // batches, by cause
	items   uint64              // in them
	paper   pile                // of shadow mode
	drawn   uint64              // batches on paper that have gone
}

type settings = live.Settings[Config, struct{}]

// The lifetime counters.
const (
	countAdmitted = iota
	countRejected
	countShadowed
)

// New returns a batcher. Errors: a name that is not 1 to 64 of letters, digits and - _ . /, every bad field of c, and a
// nil h.Run.
func New[Req, Resp any](name string, c Config, h Hooks[Req, Resp]) (*Batcher[Req, Resp], error) {
	b := &Batcher[Req, Resp]{hooks: h, count: stripe.NewTally(), done: make(chan struct{})}
	err := b.live.Start(core.KindBatch, name, c, h.Hooks, live.Rules[Config, struct{}]{
		Prepare: prepare, Describe: describe, Derive: func(*settings, Config, core.Time) (none struct{}) { return },
		Changed: b.changed,
	})
	if err != nil {
		return nil, err
	}
	if h.Run == nil {
		return nil, fmt.Errorf("batch %q: Hooks.Run is required", name)
	}
	return b, nil
}

// Do puts req into a batch, waits until that has run, and returns req's own response and error.
//
// Errors: what Run returned for req or for all; ctx.Err() if ctx ends first (the batch runs on, without req if it has
// not begun); a *core.Rejection (ReasonFull: Queue items are held already; ReasonWaited: MaxWait is over;
// ReasonTooCostly: larger than MaxBytes; ReasonLeft and ReasonExpired: ctx ended before there was a place); a
// *CountError; a *core.PanicError or core.ErrGoexit, wrapped; ErrClosed, wrapped.
func (b *Batcher[Req, Resp]) Do(ctx context.Context, req Req) (resp Resp, err error) {
	s := b.live.Load()
	if s.Overridden() {
		s = b.live.At(0)
	}
	size, err := b.measure(s, req)
	if err != nil {
		return resp, err
	}
	if s.Policy.Mode != core.Enforce {
		return b.alone(ctx, s, req, size)
	}
	if tooLarge(&s.Config, size) {
		return resp, b.reject(s, core.ReasonTooCostly)
	}
	if err := ctx.Err(); err != nil {
		return resp, b.reject(s, reasonOf(err))
	}
	it := item[Req]{req: req, size: size}
	it.until, it.ends = ctx.Deadline()
	leaves := ctx.Done() // a context is anybody's code, and may panic: it is asked while nothing is held
	at, err := b.join(ctx, leaves, s, it)
	switch {
	case err != nil:
		return resp, err
	case at.group == nil:
		return b.alone(ctx, s, req, size)
	}
	return b.await(ctx, leaves, at)
}

// await waits for the result of an item.
func (b *Batcher[Req, Resp]) await(ctx context.Context, leaves <-chan struct{}, at ticket[Req, Resp]) (resp Resp, err error) {
	if leaves == nil { // never: a plain receive costs half of a select
		<-at.group.finished
		return at.group.result(at.index)
	}
	select {
	case <-at.group.finished:
		return at.group.result(at.index)
	case <-leaves:
	}
	select {
	case <-at.group.finished: // in the same instant
		return at.group.result(at.index)
	default:
		b.leave(at)
		return resp, ctx.Err()
	}
}

// beyond is larger than any MaxBytes, and a million of it are no overflow.
const beyond = 1 << 40

// measure asks Hooks.Size.
func (b *Batcher[Req, Resp]) measure(s *settings, req Req) (int64, error) {
	if b.hooks.Size == nil {
		return 0, nil
	}
	size := b.hooks.Size(req)
	if size < 0 {
		return 0, fmt.Errorf("batch %q: Hooks.Size returned %d; allowed: 0 or more", s.Policy.Name, size)
	}
	return min(int64(size), beyond), nil
}

// alone runs one item by itself in its caller's goroutine, for the modes that do not batch. In shadow mode it is also
// put into a batch on paper.
func (b *Batcher[Req, Resp]) alone(ctx context.Context, s *settings, req Req, size int64) (resp Resp, err error) {
	if b.closed.Load() {
		return resp, b.errClosed()
	}
	if s.Policy.Mode == core.Shadow {
		if tooLarge(&s.Config, size) {
			b.count.Add(countShadowed, 1)
		} else {
			b.mu.Lock()
			b.drawn += uint64(b.paper.next(&s.Config, size, core.Now()))
			b.mu.Unlock()
		}
	}
	b.count.Add(countAdmitted, 1)
	g := &group[Req, Resp]{items: []item[Req]{{}}}
	resps, err := b.hooks.Run(ctx, []Req{req})
	g.take(s.Policy.Name, 1, resps, err)
	return g.result(0)
}

func (b *Batcher[Req, Resp]) reject(s *settings, reason core.Reason) error {
	b.count.Add(countRejected, 1)
	r := &core.Rejection{Kind: core.KindBatch, Policy: s.Policy.Name, Reason: reason}
	if reason == core.ReasonTooCostly {
		r.RetryAfter = core.Never
	}
	return r
}

func (b *Batcher[Req, Resp]) errClosed() error {
	return fmt.Errorf("batch %q: %w", b.live.Load().Policy.Name, ErrClosed)
}

func reasonOf(err error) core.Reason {
	if errors.Is(err, context.DeadlineExceeded) {
		return core.ReasonExpired
	}
	return core.ReasonLeft
}
