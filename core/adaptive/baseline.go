package adaptive

import (
	"math"
	"time"
)

// baseline is the unloaded latency, as far as it is known: what calls take when none of them queues in the backend.
// It is the delicate part of every limit by latency. Learned from calls that did queue, it drifts up in a long
// overload until the limit holds nothing; never learned again, it lets the limit fall to the ground when calls become
// slower for good.
//
// So it follows the latency only while the limit holds nobody back. Under overload it is frozen, but for two things
// that queueing cannot explain: calls are quicker than the baseline (then it was too high), or fewer of them at once
// are no quicker (then they do not queue, and it was too low).
type baseline struct {
	value   float64 // nanoseconds; 0: nothing is known yet
	windows int     // seen during the warm-up
	now     point   // of the last calls, smoothed
	mark    point   // the most calls in flight, from where a fall is watched, and the highest latency since
	room    float64 // when a window has raised the value under overload: how many calls can run without a queue; else 0
}

// point is a latency and the calls in flight that went with it.
type point struct{ latency, running float64 }

const (
	warmUp  = 10               // windows whose mean is the first baseline
	memory  = 10 * time.Second // over which the baseline follows the latency afterwards
	smooth  = 75               // calls that weigh as much as all before them in the smoothed values
	quicker = 0.85             // of the baseline: calls as quick as that show that it is too high, or as much slower, too low
	fewer   = 0.65             // of the calls in flight at the mark: then it shows whether they queue
	lowest  = 0.6              // of the same: so far a limit falls before it is known
	quick   = 100e3            // nanoseconds; quicker calls count as that quick: the rest is the scheduler
)

// learn takes in a window. frozen: calls were held back.
func (b baseline) learn(c *Config, w sample, frozen bool) baseline {
	b.room = 0
	if w.count == 0 {
		return b
	}
	weight := float64(w.count) / float64(w.count+smooth)
	if b.value == 0 {
		weight = 1
	}
	b.now.latency += weight * (w.latency - b.now.latency)
	b.now.running += weight * (w.running - b.now.running)
	before := b.value
	switch {
	case b.windows < warmUp:
		b.windows++
		b.value += (w.latency - b.value) / float64(b.windows)
	case b.now.latency < quicker*b.value:
		b.value = b.now.latency
	case !frozen:
		b.value += (w.latency - b.value) * -math.Expm1(-float64(w.span)/float64(memory))
	default:
		b = b.watch()
	}
	if c.MaxHealthyLatency > 0 {
		b.value = min(b.value, float64(c.MaxHealthyLatency))
	}
	if !frozen || b.value < before {
		b.mark = point{}
	}
	return b
}

// watch looks on as the calls in flight become fewer under overload. Calls that queue get quicker in proportion;
// calls that do not queue stay as slow as they are.
func (b baseline) watch() baseline {
	b.mark.latency = max(b.mark.latency, b.now.latency)
	switch {
	case b.now.running > b.mark.running:
		b.mark = b.now
	case b.now.running <= fewer*b.mark.running:
		queue := math.Log(b.mark.latency/b.now.latency) >= 0.5*math.Log(b.mark.running/b.now.running)
		if !queue && b.now.latency > b.value/quicker {
			b.value = b.now.latency
			b.room = b.mark.running * b.value / b.mark.latency // by Little's law
		}
		b.mark = b.now
	}
	return b
}

// floor is what the limit does not fall below until watch has come to a finding: a limit that runs ahead of what is
// known falls too far.
func (b baseline) floor() float64 { return lowest * b.mark.running }
