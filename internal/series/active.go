package series

import "sync/atomic"

// Active counts requests in flight by method. The zero value is ready. Safe for concurrent use.
type Active struct {
	methods [11]struct {
		n atomic.Int64
		_ [120]byte // keeps the counts of two methods on different cache lines
	}
}

// Add adds n to the requests of a method.
func (a *Active) Add(method string, n int64) { a.methods[MethodIndex(method)].n.Add(n) }

// Each calls f with the count of every method.
func (a *Active) Each(f func(method string, n int64)) {
	for i, m := range Methods() {
		f(m, a.methods[i].n.Load())
	}
}
