package timeout

import (
	"container/list"
	"sync"
)

// places bounds the functions that run on after their callers have left. Only calls whose time is over come here, so a
// lock will do.
type places struct {
	mu      sync.Mutex // guards what follows
	taken   int
	limit   int
	waiting list.List // of chan struct{}, closed when its place is granted
}

// take takes a place, waiting for one until ended is closed; then it takes none and returns false.
func (p *places) take(ended <-chan struct{}) bool {
	p.mu.Lock()
	if p.taken < p.limit {
		p.taken++
		p.mu.Unlock()
		return true
	}
	granted := make(chan struct{})
	e := p.waiting.PushBack(granted)
	p.mu.Unlock()
	select {
	case <-granted:
		return true
	case <-ended:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-granted: // in the same instant: it goes to the next
		p.taken--
		p.grant()
	default:
		p.waiting.Remove(e)
	}
	return false
}

// give returns a place.
func (p *places) give() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	p.grant()
}

// resize sets how many places there are. Those taken beyond it are not taken back.
func (p *places) resize(limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = limit
	p.grant()
}

// grant gives free places to those who wait, in order. mu is held.
func (p *places) grant() {
	for p.taken < p.limit && p.waiting.Len() > 0 {
		p.taken++
		close(p.waiting.Remove(p.waiting.Front()).(chan struct{}))
	}
}

// count returns how many places are taken, and how many calls wait for one.
func (p *places) count() (taken, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken, p.waiting.Len()
}
