package timeout

import "sync/atomic"

// Detached is a function in a goroutine of its own that may be left behind there, for adapters that cannot use DoAbandoning
// because the function writes to something of its caller: they guard that themselves. Exactly one side settles it: the
// function when it has ended, or the caller when it leaves.
type Detached struct {
	t       *Timeout
	settled atomic.Bool
	ended   chan struct{} // closed if the function ended first
}

// Detach prepares for a function that is about to run in a goroutine of its own, under this allowance. The goroutine must
// call End, deferred, and the caller Leave.
func (a *Allowance) Detach() *Detached { return &Detached{t: a.t, ended: make(chan struct{})} }

// Ended is closed when the function has ended, unless it was left before.
func (d *Detached) Ended() <-chan struct{} { return d.ended }

// Leave waits until the function has ended, and returns false, or until done, the Done channel of
// the call's context, is closed and there is a place to leave it in: at most MaxAbandoned functions of a Timeout may run on,
// and Snapshot counts them. Ask the context before the function runs: it is anybody's code, and may panic. It is called once.
func (d *Detached) Leave(done <-chan struct{}) (left bool) {
	select {
	case <-d.ended:
		return false
	case <-done:
	}
	if !d.t.left.take(d.ended) {
		return false
	}
	if d.settled.CompareAndSwap(false, true) {
		d.t.count.Add(countAbandoned, 1)
		return true
	}
	d.t.left.give() // it has just ended
	<-d.ended
	return false
}

// End is called by the function's goroutine when the function has ended, in whatever way. If the caller has left, its place
// is free again, and a panic, which nobody else hears of, is counted.
func (d *Detached) End(panicked bool) {
	if d.end() {
		return
	}
	if panicked {
		d.t.count.Add(countPanics, 1)
	}
	d.t.left.give()
}

// end reports whether the caller still waits, who is told.
func (d *Detached) end() bool {
	if !d.settled.CompareAndSwap(false, true) {
		return false
	}
	close(d.ended)
	return true
}
