package pool

import "sync"

// Objects lends objects of one type, so that hot paths make none: a sync.Pool with a type, and with the two things that
// go wrong with one, an object that comes back full of somebody else's data and one that has grown too large to keep.
// What is not lent belongs to the garbage collector, so there is no Close. Make one with NewObjects. Safe for
// concurrent use; in the steady state nothing is allocated, if fresh and reset allocate nothing.
type Objects[T any] struct {
	pool  sync.Pool // of *T
	fresh func() *T
	reset func(*T) bool
}

// NewObjects returns a pool of objects. fresh makes one; nil means new(T). reset empties one that comes back, so that
// it holds on to nothing while it lies idle, and says whether to keep it, false for one that has grown too large; nil
// means to set it to the zero T and keep it. Both run in the goroutine of the caller of Get or Put, under no lock; on a
// panic the object is dropped and the panic goes on.
func NewObjects[T any](fresh func() *T, reset func(*T) (keep bool)) *Objects[T] {
	if fresh == nil {
		fresh = func() *T { return new(T) }
	}
	if reset == nil {
		reset = func(v *T) bool { *v = *new(T); return true }
	}
	return &Objects[T]{fresh: fresh, reset: reset}
}

// Get returns an object that nobody else has: one that was put back, or a fresh one.
func (o *Objects[T]) Get() *T {
	if v, ok := o.pool.Get().(*T); ok {
		return v
	}
	return o.fresh()
}

// Put resets v and gives it back. It must not be used afterwards, nor put twice: two callers would share it, and
// cannot be found out without paying for it in every call. nil is ignored.
func (o *Objects[T]) Put(v *T) {
	if v != nil && o.reset(v) {
		o.pool.Put(v)
	}
}
