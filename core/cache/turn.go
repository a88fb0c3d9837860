package cache

import "context"

// turn is the right to change a key in the second level, and the queue for it. It exists while somebody has it or
// waits for it; as long as it does, what the second level says of the key is doubtful, and loads do without.
type turn struct {
	users int           // the one who has it and those who wait; guarded by the shard's lock
	pass  chan struct{} // of one place: it is free for one of those who wait
}

// tryTurn takes the turn to change key, or returns nil if somebody has it. mu is held.
func (sh *shard[K, V]) tryTurn(key K) *turn {
	if sh.turns[key] != nil {
		return nil
	}
	t := &turn{users: 1, pass: make(chan struct{}, 1)}
	sh.turns[key] = t
	return t
}

// takeTurn waits for the turn to change key. Errors: ErrClosed, and that of ctx.
func (sh *shard[K, V]) takeTurn(ctx context.Context, key K) (*turn, error) {
	sh.mu.Lock()
	if sh.closed {
		sh.mu.Unlock()
		return nil, ErrClosed
	}
	t := sh.tryTurn(key)
	if t != nil {
		sh.mu.Unlock()
		return t, nil
	}
	t = sh.turns[key]
	t.users++
	sh.mu.Unlock()
	select {
	case <-t.pass:
		return t, nil
	case <-ctx.Done():
		sh.mu.Lock()
		sh.leaveTurn(key, t)
		sh.mu.Unlock()
		return nil, ctx.Err()
	}
}

// passTurn hands a turn on. mu is held.
func (sh *shard[K, V]) passTurn(key K, t *turn) {
	sh.leaveTurn(key, t)
	if t.users > 0 {
		t.pass <- struct{}{} // only who has the turn passes it, so that the place is free
	}
}

// leaveTurn takes a user away. A turn that was passed on to somebody who left in the same instant stays with the next.
// mu is held.
func (sh *shard[K, V]) leaveTurn(key K, t *turn) {
	if t.users--; t.users == 0 {
		delete(sh.turns, key)
	}
}
