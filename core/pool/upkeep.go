package pool

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mw-go/mw/core"
)

// retryFill is how long after a failure the pool tries again to fill up to Min, unless an Acquire succeeds in creating
// one before.
const retryFill = 5 * time.Second

// watch sees to it that upkeep runs while something may be idle. mu is held.
func (p *Pool[T]) watch() {
	if !p.watched.Load() {
		p.wakeIn(p.live.Load().Derived.beat)
	}
}

// wakeIn makes upkeep run after d or sooner; forever is never. mu is held.
func (p *Pool[T]) wakeIn(d time.Duration) {
	p.watched.Store(true)
	if p.closed || d >= forever {
		return
	}
	at := core.Now().Add(d)
	if p.timer != nil {
		if p.wakeAt <= at {
			return
		}
		p.stopTimer()
	}
	p.alarm++
	number := p.alarm
	p.wakeAt, p.timer = at, time.AfterFunc(d, func() { p.upkeep(number) })
}

// stopTimer takes the timer away, if there is one. mu is held.
func (p *Pool[T]) stopTimer() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
		p.alarm++
	}
}

// upkeep closes what has been idle or open for too long and fills up to Min. It runs in the goroutine of its timer,
// which Close stops, and only while something is idle or missing.
func (p *Pool[T]) upkeep(alarm uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if alarm != p.alarm {
		return
	}
	p.timer = nil
	p.watched.Store(false)
	if p.closed {
		return
	}
	s := p.live.Load()
	p.sweep(s)
	p.failing = false
	p.serve()
	if stack(p.idle.Load()).depth() > 0 {
		p.wakeIn(s.Derived.beat)
	}
}

// sweep looks every idle resource over, the one that has been idle longest first. mu is held.
func (p *Pool[T]) sweep(s *settings) {
	now := core.Now()
	for _, sl := range slices.Backward(p.popAll()) {
		if sl.ages.old(&s.Derived, now) || p.n.open > s.Config.Min && sl.ages.stale(&s.Derived, now) {
			p.count.expired++
			p.retire(sl)
		} else {
			p.push(sl)
		}
	}
}

// changed acts on new settings: a smaller Max closes what is idle beyond it, a larger one creates for those who wait.
func (p *Pool[T]) changed(_, fresh *settings, _ core.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate.Store(1)
	p.serve()
	p.stopTimer()
	p.wakeIn(fresh.Derived.beat)
	if p.failing && p.n.open < fresh.Config.Min {
		p.wakeIn(retryFill)
	}
}

// Close ends the pool: those who wait get ErrClosed, creating is cancelled, what is idle is closed, and what is out as
// it comes back. It returns nil once everything is closed and every goroutine of the pool has ended, or an error that
// wraps ctx.Err() if ctx ends before. Later calls wait too.
func (p *Pool[T]) Close(ctx context.Context) error {
	p.shutAll()
	select {
	case <-p.done:
		return nil
	default:
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		s := p.Snapshot()
		return fmt.Errorf("pool %q: %d resources still out, %d being created or closed: %w",
			s.Policy.Name, s.Out, s.Creating+s.Closing+s.Abandoned, ctx.Err())
	}
}

func (p *Pool[T]) shutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	p.gate.Store(1)
	p.end()
	p.stopTimer()
	p.serve()
}

// finish tells those who wait in Close. mu is held.
func (p *Pool[T]) finish() {
	select {
	case <-p.done:
	default:
		close(p.done)
	}
}
