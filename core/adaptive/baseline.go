package adaptive

import (
	"math"
	"time"
)

// baseline is the unloaded latency, as far as it is known: what calls take when none of them queues in the backend. It is
// the delicate part of every limit by latency. Learned from calls that did queue, it drifts up in a long overload until the limit
// holds nothing; never learned again, it lets the limit fall to the ground when calls become slower for good.
//
// So it follows the latency only while the limit holds nobody back. Under overload it is frozen, but for two things that
// queueing cannot explain: calls are quicker than the baseline (then it was too high), or fewer of them at once are no quicker
// (then they do not queue, and it was too low).
type baseline struct {
	value   float64 // nanoseconds; 0: nothing is known yet
	windows int     // seen during the warm-up
	latency float64 // of the last windows, smoothed
	running float64 // in flight when the calls of the last windows began, smoothed alike

	crest point // the highest latency since the limit has been falling; zero while it is not
	mark  point // from where the present step of the fall is watched
}

// point is a latency and the calls in flight that went with it.
type point struct{ latency, running float64 }

const (
	warmUp  = 10               // windows whose mean is the first baseline
	memory  = 10 * time.Second // over which the baseline follows the latency afterwards
	blend   = 0.4              // weight of a window in the smoothed values
	quicker = 0.85             // of the baseline: calls as quick as that show that it is too high
	fewer   = 0.75             // of the calls in flight at the top: then it shows whether they queue
	quick   = 100e3            // nanoseconds; quicker calls count as that quick: the rest is the scheduler
)

// learn takes in a window. frozen: calls were held back. falling: the limit is being lowered for the latency.
func (b baseline) learn(c *Config, w sample, frozen, falling bool) baseline {
	if w.count == 0 {
		return b
	}
	if b.value == 0 {
		b.latency, b.running = w.latency, w.running
	}
	b.latency += blend * (w.latency - b.latency)
	b.running += blend * (w.running - b.running)
	switch {
	case b.windows < warmUp:
		b.windows++
		b.value += (w.latency - b.value) / float64(b.windows)
	case b.latency < quicker*b.value:
		b.value = b.latency
	case !frozen:
		b.value += (w.latency - b.value) * -math.Expm1(-float64(w.span)/float64(memory))
	}
	b = b.descend(falling)
	if c.MaxHealthyLatency > 0 {
		b.value = min(b.value, float64(c.MaxHealthyLatency))
	}
	return b
}

// descend watches a falling limit. Calls that queue get quicker in proportion as there are fewer of them; calls that do not
// queue stay as slow as they are.
func (b baseline) descend(falling bool) baseline {
	now := point{b.latency, b.running}
	switch {
	case !falling:
		b.crest, b.mark = point{}, point{}
	case b.latency > b.crest.latency:
		b.crest, b.mark = now, now
	case b.running <= fewer*b.mark.running:
		queues := math.Log(b.mark.latency/now.latency) >= 0.5*math.Log(b.mark.running/now.running)
		if !queues && b.latency > b.value/quicker {
			b.value = b.latency
		}
		b.mark = now
	}
	return b
}

// room is how many calls the backend can run at once without a queue, by what it did at the crest (Little's law).
func (b baseline) room() float64 {
	if b.crest.latency == 0 {
		return 0
	}
	return b.crest.running * b.value / b.crest.latency
}
