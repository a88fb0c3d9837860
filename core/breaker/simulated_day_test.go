package breaker

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/latency"
)

// quiet is a day seen by the rules on slow calls alone: the pure pace and a window, without the rest of the breaker, since a
// day at a thousand calls a second has 86 million. Time goes in steps of a millisecond.
type quiet struct {
	c     Config
	p     pace
	w     *latency.Window
	due   core.Time
	heard int                    // judgements that had enough to judge
	draws [1 << 16]time.Duration // of the dependency, drawn once and then at random
	wheel [1 << 16][]core.Time   // the starts of the calls that end in that millisecond
}

func newQuiet(c Config, r *rand.Rand, given dependency) *quiet {
	q := &quiet{c: prepared(c)}
	q.w, _ = latency.NewStriped(latency.Config{Window: q.c.Latency.Window, InFlight: true}, 1)
	for i := range q.draws {
		q.draws[i], _ = given(r, 0)
		q.draws[i] = min(q.draws[i], time.Minute)
	}
	return q
}

// pass lets a day pass and returns why the breaker would have opened, and when; or an empty cause.
func (q *quiet) pass(r *rand.Rand, rate float64, day time.Duration) (cause string, after time.Duration) {
	next := core.Time(1)
	for ms := range int(day / time.Millisecond) {
		now := core.Time(ms+1) * core.Time(time.Millisecond)
		slot := &q.wheel[ms%len(q.wheel)]
		for _, start := range *slot {
			q.w.End(start, now, true)
		}
		*slot = (*slot)[:0]
		for ; next <= now; next = next.Add(time.Duration(r.ExpFloat64() / rate * 1e9)) {
			if next >= q.due {
				seen := q.p.read(q.w, &q.c, next)
				if seen.quantile > 0 {
					q.heard++
				}
				q.p, cause = q.p.judge(&q.c, seen, next)
				if q.due = q.w.SliceEnd(next); cause != "" {
					return cause, time.Duration(next)
				}
			}
			q.w.Begin(next)
			ends := (ms + 1 + int(q.draws[r.Uint32()%uint32(len(q.draws))]/time.Millisecond)) % len(q.wheel)
			q.wheel[ends] = append(q.wheel[ends], next)
		}
	}
	return "", 0
}

// A day of healthy traffic, with a long tail or without, opens nothing.
func TestHealthyDayOpensNothing(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rate  float64
		days  int
		given dependency
	}{
		{"10 a second, long tail", 10, 1, tailed},
		{"26 a second, long tail", 26, 2, tailed}, // where the quantile begins to speak
		{"30 a second, long tail", 30, 2, tailed},
		{"100 a second", 100, 1, lognormal(1)},
		{"100 a second, long tail", 100, 1, tailed},
		{"1000 a second, long tail", 1000, 1, tailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			day := 24 * time.Hour
			if raceEnabled {
				day = time.Hour // ten times slower, and one goroutine races with nobody
			}
			for _, seed := range seeds(t, tt.days) {
				r := rand.New(rand.NewPCG(seed, 9))
				q := newQuiet(watching, r, tt.given)
				if cause, after := q.pass(r, tt.rate, day); cause != "" {
					t.Errorf("opened after %v: %s; %+v", after, cause, q.p)
				}
				if q.heard < 1000 && tt.rate > 10 {
					t.Errorf("the quantile has spoken %d times: the day proves nothing", q.heard)
				}
			}
		})
	}
}

// The control: rules that are too tight do open in such a day.
func TestHealthyDayOpensATwitchyBreaker(t *testing.T) {
	r := rand.New(rand.NewPCG(seeds(t, 1)[0], 9))
	c := Config{Latency: Latency{Watch: true, Slowdown: 1.2, Confirm: 1, ConfirmOf: 1, Quantile: 0.99}}
	if cause, _ := newQuiet(c, r, tailed).pass(r, 1000, time.Hour); cause == "" {
		t.Error("the control did not open: the experiment shows nothing")
	}
}
