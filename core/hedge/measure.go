package hedge

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/latency"
)

// refresh is how long a delay taken from the samples stands: ten times a second is quick beside a window of seconds,
// and asking for a quantile at every call would cost more than most of what else a call takes.
const refresh = 100 * time.Millisecond

// buckets is how finely durations are told apart: a delay is up to 6 % more than the quantile. 16 KB a hedge more than the default.
const buckets = 416

// unknown is the delay while there are too few samples for one.
const unknown = -1

// measure is what a snapshot of the settings makes of the calls: the delay in force.
type measure struct {
	config Config
	rates  rates
	window *latency.Window // nil if the delay is fixed
	delay  atomic.Int64
	until  atomic.Int64 // when the delay is to be taken anew
}

// derive makes the measure of new settings. It goes on with the samples of the old.
func derive(old *settings, c Config, _ core.Time) *measure {
	m := &measure{config: c, rates: c.rates()}
	if c.Delay == core.None {
		shape := latency.Config{Window: c.Window, Buckets: buckets}
		if old != nil {
			m.window = old.Derived.window
		}
		if m.window == nil {
			m.window, _ = latency.New(shape) // our range of Window is within its own: neither call can fail
		} else if old.Config.Window != c.Window {
			_ = m.window.Tune(0, shape)
		}
	}
	m.until.Store(math.MinInt64)
	m.delay.Store(int64(max(c.Delay, unknown)))
	return m
}

// at returns the delay in force at time now, below zero while it is unknown. One caller takes it anew, the others go on with
// the last. A clock that runs backwards asks for a new one too.
func (m *measure) at(now core.Time) time.Duration {
	if m.window == nil {
		return m.config.Delay
	}
	until := m.until.Load()
	if left := core.Time(until).Sub(now); (left <= 0 || left > refresh) && m.until.CompareAndSwap(until, int64(now.Add(refresh))) {
		m.renew(now)
	}
	return time.Duration(m.delay.Load())
}

func (m *measure) renew(now core.Time) {
	q, ok := m.window.Quantile(now, float64(m.config.Quantile))
	d, ok := delay(&m.config, m.atLeast(q), ok)
	if !ok {
		d = unknown
	}
	m.delay.Store(int64(d))
}

// atLeast is no less than the true quantile, of which the window knows the bucket: where all calls take equally long, all of
// them would else be slower than the delay, or none. A microsecond is for rounding.
func (m *measure) atLeast(q time.Duration) time.Duration {
	return q + time.Duration(m.window.ErrorBound()*float64(q)) + time.Microsecond
}

// learn takes the sample of a first attempt: what it took to succeed; or, if it lost, how long it had taken by then. It would
// have taken longer, nobody knows how long; but that lies beyond the delay, and where a value beyond a quantile lies does not
// move the quantile (Kaplan and Meier 1958, of censored observations). Were the slow ones that lose left out, each
// delay would be the quantile of those that the last one had let through, and shrink to nothing. And since the delay is
// at the far end of its bucket, they lie in one beyond it: when calls have become slower, and more than 1-Quantile of
// them lose, the delay grows.
func (m *measure) learn(now core.Time, took time.Duration) {
	if m.window != nil {
		m.window.Record(now, took)
	}
}
