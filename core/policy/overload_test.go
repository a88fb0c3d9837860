package policy

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mw-go/mw/core/budget"
)

// bucket is the tokens of a budget with the defaults.
const bucket = 10

const seeds = 5 // of each arm that is protected

var (
	loads = []float64{0.5, 0.8, 0.9, 0.93}
	costs = []float64{0, 0.02, 0.2}
)

// skipUnderRace: the detector would need minutes, and the machines have race tests of their own.
func skipUnderRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("an experiment")
	}
}

// most is the seconds until it is over. Of 200 runs at the highest load and cost 198 took one at most, one 2 and one 4.
const most = 5

// hold runs an arm for some seeds and checks its bars: the seconds until it is restored, that it stays so, and the
// attempts.
func (a arm) hold(t *testing.T, c *crew) {
	t.Helper()
	worst, amplification := 0, 0.0
	for range seeds {
		seed := rand.Uint64()
		o := a.run(t, seed, c)
		took := o.recovery(seconds)
		worst, amplification = max(worst, took), max(amplification, o.amplification())
		if took > most {
			t.Errorf("seed %d, load %v, cost %v: %v answered after %s, want %d s", seed, a.load, a.cost, a.bar, inSeconds(took), most)
		}
		if share := o.share(int(restored/time.Second)+5, seconds); a.whole && share < a.bar {
			t.Errorf("seed %d, load %v, cost %v: %.3f answered in the minute after", seed, a.load, a.cost, share)
		}
		if limit := 1.1*float64(o.requests) + float64(c.size*bucket); float64(o.attempts) > limit {
			t.Errorf("seed %d, load %v, cost %v: %d attempts for %d requests, want at most %.0f",
				seed, a.load, a.cost, o.attempts, o.requests, limit)
		}
	}
	t.Logf("load %v, %d clients, a rejection costs %v: %v answered after %s at worst, %.2f attempts a request",
		a.load, c.size, a.cost, a.bar, inSeconds(worst), amplification)
}

func inSeconds(n int) string {
	if n == never {
		return "never"
	}
	return fmt.Sprint(n, " s")
}

// With the defaults at both ends the server does its work again soon after the stall.
func TestOverloadEndsForOneClient(t *testing.T) {
	skipUnderRace(t)
	c := newCrew(t, 1, Config{})
	for _, load := range loads {
		for _, cost := range costs {
			arm{load: load, cost: cost, bar: 0.95}.hold(t, c)
		}
	}
}

// Without a limiter and with retries that have no budget, only jitter, the overload outlives the stall for good. How many
// clients share no budget makes no difference.
func TestOverloadWithoutProtectionNeverEnds(t *testing.T) {
	skipUnderRace(t)
	c := newCrew(t, 1, Config{Budgets: map[string]budget.Config{"0": {Rule: budget.Unlimited}}})
	for _, load := range loads {
		arm{load: load, open: true, bar: 0.95}.fail(t, c)
	}
}

// Ten thousand clients have a hundred thousand tokens, enough to try each call three times for a long while. Their
// budgets alone are no protection: the controls have them, and nothing else. The server's limiter is, and it asks few of
// those whom it rejects to come back: what they would cost is more than the slack of a server that is busy to 0.9. Where
// that is dearest the arms run on, since whoever is asked to come back later comes later. The controls have one seed each,
// for the time they take.
func TestOverloadOfManyClients(t *testing.T) {
	skipUnderRace(t)
	c := newCrew(t, 10_000, Config{})
	for _, load := range loads {
		for _, cost := range costs {
			arm{load: load, cost: cost, bar: 0.95, whole: cost == 0.2}.hold(t, c)
		}
		if load >= 0.8 {
			arm{load: load, open: true, bar: 0.95}.fail(t, c)
		}
	}
}

// fail runs an arm that must not recover; if it does, the experiment is void.
func (a arm) fail(t *testing.T, c *crew) {
	t.Helper()
	seed := rand.Uint64()
	o := a.run(t, seed, c)
	took := o.recovery(seconds)
	t.Logf("load %v, %d clients, no limiter, seed %d: recovered after %s, %.2f attempts a request",
		a.load, c.size, seed, inSeconds(took), o.amplification())
	if took != never {
		t.Error("void: it has recovered")
	}
}
