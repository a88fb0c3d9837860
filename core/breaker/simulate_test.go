package breaker

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// world is a breaker in front of a dependency in simulated time: calls arrive at random moments, whatever becomes of those
// before them, and each ends when the dependency says. It runs the pure machine, so a day takes seconds.
type world struct {
	x      *model
	r      *rand.Rand
	now    core.Time
	next   core.Time // when the next call comes
	rate   float64   // calls a second
	out    completions
	answer dependency

	calls, rejected int
}

// dependency says how long a call that begins at now takes, and how it ends.
type dependency func(r *rand.Rand, now core.Time) (time.Duration, core.Outcome)

type completion struct {
	p   *modelPermit
	at  core.Time
	how core.Outcome
}

// completions is a heap of calls that run, the one that ends next on top.
type completions []completion

func (c completions) Len() int           { return len(c) }
func (c completions) Less(i, j int) bool { return c[i].at < c[j].at }
func (c completions) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *completions) Push(v any)        { *c = append(*c, v.(completion)) }
func (c *completions) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

func newWorld(c Config, seed uint64, rate float64, answer dependency) *world {
	return &world{x: newModel(c, 1), r: rand.New(rand.NewPCG(seed, 7)), now: 1, next: 1, rate: rate, answer: answer}
}

// run lets the time pass, until stop says so.
func (w *world) run(d time.Duration, stop func() bool) {
	end := w.now.Add(d)
	for w.now < end && !stop() {
		if len(w.out) > 0 && w.out[0].at <= w.next {
			w.end()
			continue
		}
		w.now = w.next
		w.next = w.now.Add(time.Duration(w.r.ExpFloat64() / w.rate * 1e9))
		w.call()
	}
}

// end lets the time pass until the next call ends, and ends it.
func (w *world) end() {
	done := heap.Pop(&w.out).(completion)
	w.now = max(w.now, done.at)
	w.x.settle(done.p, w.now, done.how)
}

// until lets the time pass up to t, without new calls.
func (w *world) until(t core.Time) {
	for len(w.out) > 0 && w.out[0].at <= t {
		w.end()
	}
	w.now = max(w.now, t)
}

func (w *world) call() {
	w.calls++
	p, reason, _ := w.x.acquire(w.now)
	if reason != 0 {
		w.rejected++
		return
	}
	took, how := w.answer(w.r, w.now)
	heap.Push(&w.out, completion{p, w.now.Add(took), how})
}

func forever() bool { return false }

// opened is a stop: the breaker is not closed.
func (w *world) opened() bool { return w.x.m.state != Closed }

// median of a healthy dependency in these tests.
const usual = 10 * time.Millisecond

// lognormal takes factor times as long as usual, spread with sigma 0.6.
func lognormal(factor float64) dependency {
	return func(r *rand.Rand, _ core.Time) (time.Duration, core.Outcome) {
		return time.Duration(math.Exp(0.6*r.NormFloat64()) * factor * float64(usual)), core.Success
	}
}

// tailed is lognormal, but one call in a hundred takes thirty times as long.
func tailed(r *rand.Rand, now core.Time) (time.Duration, core.Outcome) {
	if r.IntN(100) == 0 {
		return lognormal(30)(r, now)
	}
	return lognormal(1)(r, now)
}

// hanging ends after a timeout of 30s.
func hanging(*rand.Rand, core.Time) (time.Duration, core.Outcome) {
	return 30 * time.Second, core.Timeout
}

// failing answers with an error at once.
func failing(*rand.Rand, core.Time) (time.Duration, core.Outcome) {
	return time.Millisecond, core.Failure
}

// seeds draws n seeds and tells them, so that a failure can be repeated.
func seeds(t *testing.T, n int) (s []uint64) {
	for range n {
		s = append(s, rand.Uint64())
	}
	t.Logf("seeds %d", s)
	return s
}

// watching is the one switch.
var watching = Config{Latency: Latency{Watch: true}}
