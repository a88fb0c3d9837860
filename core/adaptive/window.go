package adaptive

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core/internal/stripe"
)

// tally is what calls that ended have left: the raw form of a sample.
type tally struct {
	count   uint64 // latencies
	logs    uint64 // the sum of their logarithms, see logOf
	running uint64 // the sum of the calls in flight when they began
	dropped uint64
	most    int64 // the most in flight when one of them began
}

// plus adds up two tallies.
func (t tally) plus(u tally) tally {
	return tally{t.count + u.count, t.logs + u.logs, t.running + u.running, t.dropped + u.dropped, max(t.most, u.most)}
}

// sample sums the tally up. The mean of the latencies is the geometric one: a few very long calls hardly move it, nor
// does a change in the mix of short and long ones as much, and queueing moves all calls.
func (t tally) sample(span time.Duration, refused bool) sample {
	w := sample{span: span, count: int(t.count), dropped: int(t.dropped), most: int(t.most), refused: refused}
	if t.count > 0 {
		w.latency = max(math.Exp2(float64(t.logs)/float64(t.count)/logUnit), quick)
		w.running = float64(t.running) / float64(t.count)
	}
	return w
}

// logUnit is the resolution of the logarithms: a step is 0.07 %.
const logUnit = 1024

// logOf returns the logarithm to base 2 of a latency in units of 1/logUnit, to within 0.7 %; 0 for none. By integers:
// it runs once a call.
func logOf(latency time.Duration) uint64 {
	if latency <= 1 {
		return 0
	}
	x := uint64(latency)
	whole := bits.Len64(x) - 1
	m := x << (63 - whole) << 1 >> (64 - 10) // the ten bits after the leading one
	return uint64(whole)*logUnit + m + m*(logUnit-m)*355>>20
}

// counters is the tally of many goroutines, striped.
type counters []counter

// counter is one stripe. Two words hold a count above and a sum below, so that a call costs two atomic additions. A tick
// that comes between them moves half of one call to the next window.
type counter struct {
	latencies atomic.Uint64 // count, sum of logarithms
	running   atomic.Uint64 // dropped, sum of calls in flight
	most      atomic.Int64
	_         [stripe.Line - 24]byte
}

const (
	sumBits = 40
	sumMask = 1<<sumBits - 1
	full    = 1 << 16 // calls in a stripe; then it takes no more, and the sums cannot overflow
)

func (s counters) latency(d time.Duration, running int64) {
	c := &s[stripe.Of(len(s))]
	if c.latencies.Load()>>sumBits >= full {
		return
	}
	c.latencies.Add(1<<sumBits | logOf(d))
	c.running.Add(uint64(running))
	for most := c.most.Load(); running > most && !c.most.CompareAndSwap(most, running); {
		most = c.most.Load()
	}
}

func (s counters) drop() {
	if c := &s[stripe.Of(len(s))]; c.running.Load()>>sumBits < full {
		c.running.Add(1 << sumBits)
	}
}

// drain takes the tally out.
func (s counters) drain() (sum tally) {
	for i := range s {
		l, r := s[i].latencies.Swap(0), s[i].running.Swap(0)
		sum = sum.plus(tally{l >> sumBits, l & sumMask, r & sumMask, r >> sumBits, s[i].most.Swap(0)})
	}
	return sum
}
