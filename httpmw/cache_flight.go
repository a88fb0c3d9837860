package httpmw

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/mw-go/mw/core"
)

// flight is one request that the cache has under way, in a goroutine of its own, for all who ask the same. It ends
// when nobody waits for it any more, and not because the one who began it has left.
type flight struct {
	c      *ResponseCache
	key    string // with the values of the fields that the resource varies by, as far as they are known
	epoch  uint64
	ctx    context.Context
	cancel context.CancelFunc

	settled chan struct{} // closed when it is known what the others get
	ended   chan struct{} // closed when the goroutine is done

	holders int // the cache's lock guards it

	// Written before settled is closed.
	done   bool        // settle has been called; the flight's goroutine alone looks at it
	entry  *cacheEntry // what those who wait get; nil: each has to ask for himself
	again  bool        // and so has the one who began it: what he asked for was no answer
	report cacheReport

	// Written before ended is closed.
	panicked *core.PanicError
	exited   bool
}

// join returns the flight for a question, and whether it begins with this call; nil if the cache is closed.
func (c *ResponseCache) join(q *question) (f *flight, leads bool) {
	key := q.flightKey()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return nil, false
	}
	if f = c.flights[key]; f != nil && f.epoch == c.epoch(q.key).Load() {
		f.holders++
		return f, false
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(q.r.Context()))
	f = &flight{
		c: c, key: key, epoch: q.epoch, ctx: ctx, cancel: cancel, holders: 1,
		settled: make(chan struct{}), ended: make(chan struct{}),
	}
	c.flights[key] = f
	c.running++
	return f, true
}

// flightKey is the key and what the request has in the fields that the last response varied by.
func (q *question) flightKey() string {
	kept, _ := q.c.shelf.Get(q.key)
	if kept == nil || len(kept.variants) == 0 {
		return q.key
	}
	var b strings.Builder
	b.WriteString(q.key)
	for _, name := range kept.variants[0].vary {
		b.WriteByte('\n')
		b.WriteString(askedFor(q.r, name))
	}
	return b.String()
}

// leave takes a holder away; after the last one the flight is cancelled, and nobody joins it any more.
func (f *flight) leave() {
	f.c.mu.Lock()
	f.holders--
	last := f.holders == 0
	if last {
		f.unlist()
	}
	f.c.mu.Unlock()
	if last {
		f.cancel()
	}
}

// unlist is called under the cache's lock.
func (f *flight) unlist() {
	if f.c.flights[f.key] == f {
		delete(f.c.flights, f.key)
	}
}

// settle tells all who wait what they get: an entry, or nil. Only the first call counts.
func (f *flight) settle(e *cacheEntry, p cacheReport) {
	if f.done {
		return
	}
	f.done, f.entry, f.report = true, e, p
	f.report.entry = e
	f.c.mu.Lock()
	f.unlist()
	f.c.mu.Unlock()
	close(f.settled)
}

// disband tells all who wait that the response is for none of them. That is remembered before they look again, or they
// would wait for one another once more.
func (f *flight) disband(q *question, status int) {
	f.c.mu.Lock()
	several := f.holders > 1
	f.c.mu.Unlock()
	if several && !f.done && status < 500 {
		f.c.remember(q.key, time.Now())
	}
	f.settle(nil, cacheReport{})
}

// fly runs fetch in the flight's goroutine, and keeps how it ended if it did not return.
func (f *flight) fly(fetch func()) {
	returned := false
	defer func() {
		if !returned {
			if v := recover(); v != nil {
				f.panicked = core.Recovered(v)
			} else {
				f.exited = true
			}
		}
		f.settle(nil, cacheReport{})
		close(f.ended)
		c := f.c
		c.mu.Lock()
		c.running--
		if c.closed.Load() && c.running == 0 {
			close(c.idle)
		}
		c.mu.Unlock()
	}()
	fetch()
	returned = true
}

// carry goes on in the one who began a flight that did not return, as if it had run there.
func (f *flight) carry() {
	switch {
	case f.exited:
		runtime.Goexit()
	case f.panicked != nil && f.panicked.Value == http.ErrAbortHandler:
		panic(http.ErrAbortHandler)
	case f.panicked != nil:
		panic(f.panicked)
	}
}
