package batch

import (
	"container/list"
	"context"
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
)

// waiter is a caller that waits for a place.
type waiter[Req, Resp any] struct {
	item  item[Req]
	ready chan struct{} // closed when it is answered
	place *list.Element // nil once it is answered
	at    ticket[Req, Resp]
	err   error // if at is empty: why; nil to run alone
}

// join gives an item a place in a batch, for which it may have to wait. An empty ticket means to run alone, because the
// mode has changed.
func (b *Batcher[Req, Resp]) join(ctx context.Context, leaves <-chan struct{}, s *settings, it item[Req]) (at ticket[Req, Resp], err error) {
	b.mu.Lock()
	if b.closed.Load() {
		b.mu.Unlock()
		return at, b.errClosed()
	}
	if b.queue.Len() == 0 && b.held < s.Config.Queue {
		at = b.put(it)
		if len(b.ready) > 0 || s != b.live.Load() { // else nothing has become possible, and the clock is not read
			b.advance()
		}
		b.mu.Unlock()
		return at, nil
	}
	if s.Config.MaxWait == core.None {
		b.mu.Unlock()
		return at, b.reject(s, core.ReasonFull)
	}
	w := &waiter[Req, Resp]{item: it, ready: make(chan struct{})}
	w.place = b.queue.PushBack(w)
	b.advance()
	b.mu.Unlock()

	t := time.NewTimer(s.Config.MaxWait)
	defer t.Stop()
	select {
	case <-w.ready:
	case <-t.C:
		if b.giveUp(w) {
			return at, b.reject(s, core.ReasonWaited)
		}
	case <-leaves:
		if b.giveUp(w) {
			return at, b.reject(s, reasonOf(ctx.Err()))
		}
	}
	return w.at, w.err
}

// giveUp takes w out of the queue; false if it has been answered in the same instant.
func (b *Batcher[Req, Resp]) giveUp(w *waiter[Req, Resp]) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.place == nil {
		return false
	}
	b.queue.Remove(w.place)
	w.place = nil
	return true
}

// put lays an item on the batch that is being collected, or begins one. mu is held, and advance
// comes next if a batch is ready.
func (b *Batcher[Req, Resp]) put(it item[Req]) ticket[Req, Resp] {
	c := &b.live.Load().Config
	if b.open != nil && !b.open.pile.fits(c, it.size) {
		b.seal(heavy)
	}
	if b.open == nil {
		b.open = &group[Req, Resp]{finished: make(chan struct{}), pile: pile{since: core.Now()}}
		b.setTimer(c.Delay)
	}
	g := b.open
	g.pile.add(it.size, g.pile.since)
	g.items = append(g.items, it)
	b.held++
	b.count.Add(countAdmitted, 1)
	if why := g.pile.enough(c); why != notYet {
		b.seal(why)
	}
	return ticket[Req, Resp]{g, len(g.items) - 1}
}

// setTimer makes the open batch due after d. mu is held.
func (b *Batcher[Req, Resp]) setTimer(d time.Duration) {
	b.timer = time.AfterFunc(d, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.advance()
	})
}

// stopTimer is for when nothing is open any more. mu is held.
func (b *Batcher[Req, Resp]) stopTimer() {
	b.timer.Stop()
	b.timer = nil
}

// seal ends the collecting of the open batch. mu is held.
func (b *Batcher[Req, Resp]) seal(why cause) {
	b.stopTimer()
	b.sent[why]++
	b.ready = append(b.ready, b.open)
	b.open = nil
}

// advance does all that has become possible: run batches that are ready, send the open one if its time has come, and
// give places to those who wait. While Concurrency batches run, one that is due goes on collecting: the call that it
// makes later is the larger for it. mu is held.
func (b *Batcher[Req, Resp]) advance() {
	for {
		s := b.live.Load()
		free := b.running < s.Config.Concurrency
		switch first := b.queue.Front(); {
		case free && len(b.ready) > 0:
			b.run()
		case b.open != nil && (b.closed.Load() || s.Policy.Mode != core.Enforce):
			b.seal(drained)
		case b.open != nil && free && b.open.pile.verdict(&s.Config, core.Now()) == due:
			b.seal(due)
		case first != nil && b.closed.Load():
			b.answer(first, ticket[Req, Resp]{}, b.errClosed())
		case first != nil && s.Policy.Mode != core.Enforce:
			b.answer(first, ticket[Req, Resp]{}, nil)
		case first != nil && b.held < s.Config.Queue:
			b.answer(first, b.put(first.Value.(*waiter[Req, Resp]).item), nil)
		default:
			b.finish()
			return
		}
	}
}

// answer wakes a caller that waits for a place. mu is held.
func (b *Batcher[Req, Resp]) answer(e *list.Element, at ticket[Req, Resp], err error) {
	w := e.Value.(*waiter[Req, Resp])
	b.queue.Remove(e)
	w.place, w.at, w.err = nil, at, err
	close(w.ready)
}

// run starts the first batch that is ready. mu is held.
func (b *Batcher[Req, Resp]) run() {
	g := b.ready[0]
	b.ready[0] = nil
	b.ready = b.ready[1:]
	ctx, reqs := g.begin()
	b.held -= len(reqs)
	b.items += uint64(len(reqs))
	b.running++
	go b.call(ctx, g, reqs)
}

// ended takes note of a batch that has run.
func (b *Batcher[Req, Resp]) ended() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running--
	b.advance()
}

// leave takes a caller out. An item whose batch has not begun is not run.
func (b *Batcher[Req, Resp]) leave(at ticket[Req, Resp]) {
	g, last := at.group, false
	b.mu.Lock()
	if g.started {
		g.here--
		last = g.here == 0
	} else {
		b.withdraw(at)
		b.advance()
	}
	b.mu.Unlock()
	if last {
		g.cancel()
	}
}

// withdraw takes an item out of a batch that has not begun, and the batch out of the world if it was the last. mu is
// held.
func (b *Batcher[Req, Resp]) withdraw(at ticket[Req, Resp]) {
	g := at.group
	it := &g.items[at.index]
	it.gone = true
	it.req = *new(Req)
	g.pile.remove(it.size)
	b.held--
	if g.pile.items > 0 {
		return
	}
	if g == b.open {
		b.stopTimer()
		b.open = nil
		return
	}
	for i, r := range b.ready {
		if r == g {
			b.ready = append(b.ready[:i], b.ready[i+1:]...)
			return
		}
	}
}

// Close ends the batcher: what is collected runs now, those who wait for a place and who come later get ErrClosed. It
// returns nil once every batch has run, or an error that wraps ctx.Err() if ctx ends before; the batches run on then.
// Later calls wait too.
func (b *Batcher[Req, Resp]) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed.Store(true)
	b.advance()
	b.mu.Unlock()
	select {
	case <-b.done:
		return nil
	default:
	}
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		s := b.Snapshot()
		return fmt.Errorf("batch %q: %d batches still running and %d items waiting: %w",
			s.Policy.Name, s.Running, s.Held, ctx.Err())
	}
}

// finish tells those who wait in Close that nothing is left. mu is held.
func (b *Batcher[Req, Resp]) finish() {
	if !b.closed.Load() || b.running > 0 || len(b.ready) > 0 || b.open != nil {
		return
	}
	select {
	case <-b.done:
	default:
		close(b.done)
	}
}
