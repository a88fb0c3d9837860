package breaker

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// Traffic that is no steady stream: callers who wait for their answers, bursts, and a dependency that only stumbles.

// closedLoop lets n callers call one after another, each waiting for its answer, and returns how long after the fault the
// breaker opens; -1 if it does not within a minute.
func closedLoop(t *testing.T, c Config, seed uint64, n int, fault dependency) time.Duration {
	t.Helper()
	w := newWorld(c, seed, 1, lognormal(1))
	again := func(d time.Duration) { // whoever is answered calls again
		for end := w.now.Add(d); len(w.out) > 0 && w.out[0].at < end && !w.opened(); {
			w.end()
			w.call()
		}
	}
	for range n {
		w.call()
	}
	again(warm)
	if w.opened() {
		t.Fatalf("opened while healthy: %v", w.x.events)
	}
	struck := w.now
	w.answer = fault
	if again(time.Minute); !w.opened() {
		return -1
	}
	return w.now.Sub(struck)
}

// Callers in a closed loop make fewer calls the slower these are; few are enough if they are overwhelming.
func TestSlownessOpensInAClosedLoop(t *testing.T) {
	for _, takes := range []time.Duration{400 * time.Millisecond, time.Second, 2 * time.Second, 30 * time.Second} {
		fault := func(*rand.Rand, core.Time) (time.Duration, core.Outcome) { return takes, core.Success }
		for _, seed := range seeds(t, 10) {
			// Nobody calls while all wait: the first answer is the first to be judged.
			if took := closedLoop(t, watching, seed, 16, fault); took < 0 || took > takes+3*time.Second {
				t.Errorf("16 callers, calls take %v: opened after %v", takes, took)
			}
		}
	}
	if took := closedLoop(t, Config{}, 1, 16, lognormal(50)); took >= 0 {
		t.Errorf("the control, which counts failures alone, opened after %v", took)
	}
}

// bursts sends 300 calls within 100ms every three seconds.
func bursts(w *world, n int) {
	for range n {
		start := w.now
		for i := range 300 {
			w.until(start.Add(time.Duration(i) * 100 * time.Millisecond / 300))
			w.call()
		}
		w.until(start.Add(3 * time.Second))
	}
}

func TestSlownessOpensInBursts(t *testing.T) {
	for _, factor := range []float64{15, 50} {
		for _, seed := range seeds(t, 10) {
			w := newWorld(watching, seed, 1, lognormal(1))
			if bursts(w, 40); w.opened() {
				t.Fatalf("opened while healthy: %v", w.x.events)
			}
			w.answer = lognormal(factor)
			if bursts(w, 4); !w.opened() && len(w.x.events) == 0 {
				t.Errorf("%v times slower: not opened after four bursts", factor)
			}
		}
	}
}

// A dependency that stands still for a quarter of a second and goes on opens nothing: when it is judged it is well.
func TestAStumbleOpensNothing(t *testing.T) {
	opened := 0
	for _, seed := range seeds(t, 40) {
		w := newWorld(watching, seed, 100, lognormal(0.2))
		w.run(warm, forever)
		up := w.now.Add(250 * time.Millisecond)
		w.answer = func(r *rand.Rand, now core.Time) (time.Duration, core.Outcome) {
			d, o := lognormal(0.2)(r, now)
			return d + max(up.Sub(now), 0), o
		}
		w.run(10*time.Second, w.opened)
		if w.opened() && w.now > up {
			opened++
		}
	}
	if opened > 2 {
		t.Errorf("%d of 40 stumbles have opened it after they were over", opened)
	}
}

// What was learned while the dependency warmed up does not hide a slowdown half a minute later.
func TestASlowStartDoesNotHideASlowdown(t *testing.T) {
	for _, seed := range seeds(t, 10) {
		w := newWorld(watching, seed, 100, lognormal(30))
		w.run(4*time.Second, forever)
		w.answer = lognormal(1)
		w.run(30*time.Second, forever)
		w.answer = lognormal(10)
		if w.run(5*time.Second, w.opened); !w.opened() {
			t.Errorf("not opened; the baseline is %v", time.Duration(w.x.pace.baseline))
		}
	}
}

// A dependency that has become slower for good is called again in the end.
func TestLastingSlownessIsLetThrough(t *testing.T) {
	for _, seed := range seeds(t, 3) {
		w := newWorld(watching, seed, 100, lognormal(1))
		w.run(warm, forever)
		w.answer = lognormal(20)
		w.run(30*time.Minute, forever)
		calls, rejected := w.calls, w.rejected
		w.run(5*time.Minute, forever)
		if turned := w.rejected - rejected; turned*100 > w.calls-calls {
			t.Errorf("after half an hour %d of %d calls are rejected, %v", turned, w.calls-calls, w.x.m.state)
		}
	}
}
