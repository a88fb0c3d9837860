package hedge

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
)

// race is a call whose attempts run in goroutines of their own, so that it can return with the first that succeeds.
// Whoever something happens to, an attempt that ends or the timer, moves the state on; the caller only waits until the call
// is decided.
type race[T any] struct {
	call
	ctx  context.Context // the caller's
	fn   func(context.Context) (T, error)
	over sync.WaitGroup // done when the call is decided; from then on only state.running changes

	launched atomic.Bool // the first attempt

	mu      sync.Mutex // guards what follows; no user code runs under it
	state   state
	made    uint8         // attempts
	ended   uint8         // those that ended before the call was decided
	refused bool          // an attempt was wanted, and not paid for
	wait    time.Duration // how long an attempt has been wished for
	timer   *time.Timer
	by      *attempt[T] // the one that decided the call; nil if all have failed
	last    *attempt[T] // of the list that begins with first
	first   attempt[T]
}

// start makes the first attempt of a call, and a timer for the next.
func start[T any](ctx context.Context, c *call, fn func(context.Context) (T, error)) *race[T] {
	r := &race[T]{call: *c, ctx: ctx, fn: fn, wait: c.delay, made: 1}
	r.state = r.state.begin()
	r.over.Add(1)
	r.first.number, r.last = 1, &r.first
	r.first.ctx, r.first.cancel = context.WithCancelCause(ctx)
	step := r.step
	r.mu.Lock()
	r.timer = time.AfterFunc(c.delay, step)
	r.mu.Unlock()
	go step()
	return r
}

// step is what the first goroutine and the timer's do: whoever comes first makes the first attempt. One closure for both
// is one allocation less.
func (r *race[T]) step() {
	if r.launched.CompareAndSwap(false, true) {
		r.run(&r.first)
	} else {
		r.tick()
	}
}

// run makes an attempt, and in the same goroutine those that follow from its failure.
func (r *race[T]) run(a *attempt[T]) {
	for a != nil {
		a = r.try(a)
	}
}

// tick makes another attempt when the delay is over, or asks again later if that is refused.
func (r *race[T]) tick() {
	gone := r.ctx.Err() != nil
	r.mu.Lock()
	var a *attempt[T]
	if !gone && r.state.more(&r.s.Config) {
		if a = r.book(); a == nil {
			again := max(r.delay, r.wait/4)
			r.timer.Reset(again)
			r.wait += again
		}
	}
	r.mu.Unlock()
	if a != nil && r.equip(a) {
		r.run(a)
	}
}

// end moves the state on after an attempt, and returns the one that is to follow at once.
func (r *race[T]) end(a *attempt[T]) (following *attempt[T]) {
	r.mu.Lock()
	before := r.state
	r.state = before.end(a.verdict)
	if before.decided {
		r.mu.Unlock()
		r.lose(a)
		return nil
	}
	add(&r.h.losers, r.state.losers()-before.losers())
	r.ended++
	a.rank = r.ended
	decides := r.state.decided
	if decides {
		r.decide(a)
	} else {
		following = r.fail(a)
	}
	r.mu.Unlock()
	r.h.report(a.outcome)
	if !decides {
		a.cancel(context.Canceled)
	}
	if following != nil && !r.equip(following) {
		return nil
	}
	return following
}

// fail sees to what follows from an attempt that failed and did not end the call. mu is held.
func (r *race[T]) fail(a *attempt[T]) (following *attempt[T]) {
	if r.state.more(&r.s.Config) {
		switch a.verdict {
		case next:
			following = r.book()
		case later:
			r.wait = r.delay
			r.timer.Reset(a.hint)
		}
	}
	if r.state = r.state.rest(); r.state.decided {
		r.decide(nil)
	}
	return following
}

// decide lets the caller go. mu is held.
func (r *race[T]) decide(by *attempt[T]) {
	r.by = by
	if r.start != 0 && (by == &r.first && by.succeeded() || r.first.rank == 0) {
		now := core.Now()
		r.s.Derived.learn(now, now.Sub(r.start))
	}
	add(&r.h.stragglers, r.state.losers())
	r.over.Done()
}

// book pays for another attempt and counts it as under way, or returns nil. mu is held.
func (r *race[T]) book() *attempt[T] {
	fresh, now := r.state.begin(), core.Now()
	if !r.h.pay(r.s, int64(fresh.losers()-r.state.losers()), now) {
		r.refused = true
		return nil
	}
	r.state = fresh
	a := &attempt[T]{number: fresh.begun, paid: now}
	r.last.next, r.last = a, a
	if fresh.more(&r.s.Config) {
		r.wait = r.delay
		r.timer.Reset(r.delay)
	}
	return a
}

// equip gives a booked attempt its context, which is user code to make. It reports whether the attempt is still wanted;
// if the call has been decided meanwhile, it is taken back and its tokens are.
func (r *race[T]) equip(a *attempt[T]) bool {
	ctx, cancel := context.WithCancelCause(withAttempt(r.ctx, int(a.number)))
	r.mu.Lock()
	if !r.state.decided {
		a.ctx, a.cancel = ctx, cancel
		r.made++
		r.mu.Unlock()
		r.h.count.Add(countExtra, 1)
		return true
	}
	r.state = r.state.end(hold)
	r.mu.Unlock()
	cancel(ErrLost)
	r.h.stragglers.Add(-1)
	r.h.losers.Add(-1)
	r.h.refund(r.s, a.paid)
	return false
}

// settle waits until the call is decided, lets the losers go, and returns what the call does.
func (r *race[T]) settle(keep bool) (v T, from From, release context.CancelFunc, err error) {
	r.over.Wait()
	r.timer.Stop()
	won := r.by
	r.cancel(won)
	if r.refused && r.made == 1 {
		r.h.count.Add(countRefused, 1)
	}
	from.Attempts = int(r.made)
	if won == nil {
		if r.ended > 1 {
			return v, from, nothing, r.failure()
		}
		from.Attempt = 1
		return r.first.value, from, nothing, r.first.err
	}
	keep = keep && won.succeeded()
	if !keep {
		won.cancel(context.Canceled)
	}
	switch won.exit {
	case panicked:
		panic(won.panic)
	case exited:
		runtime.Goexit()
	}
	if won.verdict == fatal && r.ended > 1 {
		return v, from, nothing, r.failure()
	}
	from.Attempt = int(won.number)
	if won.verdict == wins && won.number > 1 {
		r.h.count.Add(countWon, 1)
	}
	v, err, release = won.value, won.err, nothing
	if keep {
		cancel := won.cancel // a result that is kept must not keep the race
		release = func() { cancel(context.Canceled) }
	}
	return v, from, release, err
}

// cancel ends the contexts of all attempts but one.
func (r *race[T]) cancel(but *attempt[T]) {
	for a := &r.first; a != nil; a = a.next {
		if a != but && a.cancel != nil {
			a.cancel(ErrLost)
		}
	}
}

// failure is the error of a call of which several attempts have failed.
func (r *race[T]) failure() error {
	all := make([]*attempt[T], r.ended)
	for a := &r.first; a != nil; a = a.next {
		if a.rank > 0 {
			all[a.rank-1] = a
		}
	}
	best := r.by
	for _, a := range all {
		if r.by == nil && (a.telling() || best == nil || !best.telling()) {
			best = a
		}
	}
	e := &Error{Policy: r.s.Policy.Name, Err: best.err}
	for _, a := range all {
		if a != best {
			e.Others = append(e.Others, a.err)
		}
	}
	return e
}

// add leaves alone what it does not change: most calls have no loser, and all of them share these words.
func add(to *atomic.Int64, n int) {
	if n != 0 {
		to.Add(int64(n))
	}
}
