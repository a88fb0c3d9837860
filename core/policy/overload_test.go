package policy

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mw-go/mw/core/budget"
)

// bucket is the tokens of a budget with the defaults.
const bucket = 10

const seeds = 5 // of each arm with one client

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

// hold runs an arm for some seeds and checks its bars: the seconds until it is restored, and the attempts.
func (a arm) hold(t *testing.T, c *crew, seeds, most int) {
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
			arm{load: load, cost: cost, bar: 0.95}.hold(t, c, seeds, 3)
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
// budgets alone are no protection; with the server's limiter they are, and the retries cost little as long as rejections
// do. With 20 % of a call each they take the slack of a server that has hardly any: at 0.9 and more of its capacity it
// answers 60 % of the requests at once, but 95 % only after five seconds to a minute or more, as the tokens go. (A limit
// fixed at the best value is little better there.) These arms have two seeds each, the controls one, for the time they
// take.
func TestOverloadOfManyClients(t *testing.T) {
	skipUnderRace(t)
	c := newCrew(t, 10_000, Config{})
	for _, load := range loads {
		for _, cost := range costs {
			a := arm{load: load, cost: cost, bar: 0.95}
			if load >= 0.9 && cost == 0.2 {
				a.bar = 0.6
			}
			a.hold(t, c, 2, 5)
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
