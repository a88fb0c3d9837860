package cache

import (
	"github.com/mw-go/mw/core"
)

// pass is Get in shadow and disabled mode: it loads in the caller's goroutine, as if there were no cache. In shadow
// mode it also looks up what there is, and keeps what it has loaded, so that the counts say what the cache would have
// done.
func (c *Cache[K, V]) pass(q *question[K, V]) (v V, err error) {
	if !c.loads(q) {
		return v, ErrNoLoad
	}
	mine, err := c.lookInShadow(q)
	if err != nil {
		return v, err
	}
	c.count.Add(countPassed, 1)
	if mine == nil {
		return c.loader(q)(q.ctx)
	}
	var r result[V]
	defer func() { c.stamp(q, mine, &r) }() // of a load that does not return nothing is kept
	began := core.Now()
	v, err = c.loader(q)(q.ctx)
	r = c.judge(q.ctx, q.key, v, err, core.Now().Sub(began))
	return v, err
}

// lookInShadow counts what would have been a hit, and in shadow mode gives the load a ticket if its result is to be
// kept.
func (c *Cache[K, V]) lookInShadow(q *question[K, V]) (*ticket, error) {
	sh := q.sh
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		return nil, ErrClosed
	}
	if q.s.Policy.Mode != core.Shadow {
		return nil, nil
	}
	e := sh.find(q.hash, q.key)
	fate := e.fateAt(&q.s.Derived, core.Now(), c.draw(&q.s.Derived))
	if fate.answers() {
		c.count.Add(countShadowed, 1)
		e.touch()
	}
	if fate == fresh {
		return nil, nil
	}
	return sh.ticket(q.key), nil
}

// ticket gives a load in shadow mode the right to fill the cache, unless another one has it. A flight may fill it as
// well: which of the two comes last does not matter, since what comes between would take the right from both. mu is
// held.
func (sh *shard[K, V]) ticket(key K) *ticket {
	if sh.tickets[key] != nil {
		return nil
	}
	t := new(ticket)
	sh.tickets[key] = t
	return t
}

// stamp keeps the result of a load in shadow mode, unless something has come between.
func (c *Cache[K, V]) stamp(q *question[K, V], mine *ticket, r *result[V]) {
	set, sh := &c.live.Load().Derived, q.sh
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.tickets[q.key] != mine {
		return
	}
	delete(sh.tickets, q.key)
	if r.end != failed {
		c.settle(sh, q.hash, q.key, r, set)
	}
}
