package retry

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
)

func TestAttemptMark(t *testing.T) {
	for n, want := range map[int]int{-1: 1, 0: 1, 1: 1, 2: 2, 7: 7} {
		if got := Attempt(WithAttempt(bg, n)); got != want {
			t.Errorf("marked with %d: attempt %d, want %d", n, got, want)
		}
	}
	if WithAttempt(bg, 1) != bg || Attempt(WithAttempt(WithAttempt(bg, 5), 1)) != 5 {
		t.Error("a first attempt is marked, or a mark is taken away")
	}
}

// A retry within the first attempt of another one retries; within a later one it does not, whoever made the mark.
func TestNestedRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer, inner := mustNew(t, Config{}, Hooks{}), mustNew(t, Config{}, Hooks{})
		var made []int
		err := run(bg, outer, func(ctx context.Context) error {
			n := 0
			err := run(ctx, inner, func(within context.Context) error {
				if n++; Attempt(within) != max(n, Attempt(ctx)) {
					t.Errorf("attempt %d within %d is marked %d", n, Attempt(ctx), Attempt(within))
				}
				return errDown
			})
			made = append(made, n)
			why := ReasonAttempts
			if len(made) > 1 {
				why = ReasonNested
			}
			if wantError(t, err, n, why, errDown); errors.Is(err, ErrBudget) != (why == ReasonNested) {
				t.Errorf("%v: an exhausted budget: %v", err, errors.Is(err, ErrBudget))
			}
			return err
		})
		wantError(t, err, 3, ReasonAttempts, errDown)
		if len(made) != 3 || made[0] != 3 || made[1] != 1 || made[2] != 1 {
			t.Errorf("attempts within each attempt: %v, want 3, 1, 1", made)
		}
		if s := inner.Snapshot(); s.Rejected != 2 || s.GaveUp[ReasonNested] != 2 || s.Budget.Withdrawn != 2 {
			t.Errorf("%+v", s)
		}
		calls := 0
		wantError(t, run(WithAttempt(bg, 2), inner, failing(&calls, errDown)), 1, ReasonNested, errDown)
	})
}

// tiers is three services in a row, each of several instances that retry what they ask of the next. The last asks a
// bottom that is dead.
type tiers struct {
	instances [3][]*Retry
	marks     bool // are sent over the wire
	mu        sync.Mutex
	rng       *rand.Rand
	bottom    int
}

func newTiers(t *testing.T, seed uint64, instances, attempts int, c budget.Config, marks bool) *tiers {
	x := &tiers{marks: marks, rng: rand.New(rand.NewPCG(seed, 41))}
	for tier := range x.instances {
		for range instances {
			r := mustNew(t, Config{MaxAttempts: attempts}, Hooks{Budget: mustBudget(t, c)})
			r.random = x.random
			x.instances[tier] = append(x.instances[tier], r)
		}
	}
	return x
}

func (x *tiers) random() float64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.rng.Float64()
}

// ask is a request as a tier receives it: the context is a new one, with nothing in it but the mark, if it is sent.
func (x *tiers) ask(tier, attempt int) error {
	time.Sleep(time.Millisecond)
	if tier == len(x.instances) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.bottom++
		return errDown
	}
	ctx := bg
	if x.marks {
		ctx = WithAttempt(bg, attempt)
	}
	r := x.instances[tier][int(x.random()*float64(len(x.instances[tier])))]
	return run(ctx, r, func(ctx context.Context) error { return x.ask(tier+1, Attempt(ctx)) })
}

// load sends requests at random times, ten a second, and returns the attempts at the bottom for each.
func (x *tiers) load(requests int) float64 {
	var all sync.WaitGroup
	for range requests {
		all.Go(func() { _ = x.ask(0, 1) })
		x.mu.Lock()
		pause := x.rng.ExpFloat64() / 10
		x.mu.Unlock()
		time.Sleep(time.Duration(pause * float64(sec)))
	}
	all.Wait()
	return float64(x.bottom) / float64(requests)
}

// Three tiers of retries over a dead bottom: what arrives there is at most 1.4 times the requests, and without budget
// and marks every tier multiplies.
func TestThreeTiersOverADeadBottom(t *testing.T) {
	const requests, instances = 1000, 4
	free := budget.Config{Rule: budget.Unlimited}
	ofCalls := budget.Config{Rule: budget.Window, Reserve: core.None}
	for range 5 {
		seed := rand.Uint64()
		for _, tt := range []struct {
			name        string
			attempts    int
			budget      budget.Config
			marks       bool
			least, most float64
		}{
			{"budget and marks", 3, budget.Config{}, true, 1, 1.4},
			{"budget and marks", 4, budget.Config{}, true, 1, 1.4},
			{"budget of calls and marks", 4, ofCalls, true, 1, 1.4},
			{"marks alone", 4, free, true, 4 + 3 + 3, 4 + 3 + 3},
			{"control: neither", 3, free, false, 27, 27},
			{"control: neither", 4, free, false, 64, 64},
		} {
			n := requests
			if tt.budget == free {
				n = 100 // the multiples are exact
			}
			synctest.Test(t, func(t *testing.T) {
				got := newTiers(t, seed, instances, tt.attempts, tt.budget, tt.marks).load(n)
				t.Logf("seed %d, %s, %d attempts: %.3f", seed, tt.name, tt.attempts, got)
				if got < tt.least || got > tt.most {
					t.Errorf("%.3f attempts at the bottom for each request, want %v to %v", got, tt.least, tt.most)
				}
			})
		}
	}
}

// A mark does not outlive the call that it was made for.
func TestMarkEndsWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, made := mustNew(t, Config{}, Hooks{}), 0
		for range 2 {
			_ = run(bg, r, failing(&made, errDown))
		}
		if made != 6 || r.Snapshot().GaveUp[ReasonNested] != 0 || r.Status().Rejected != 0 {
			t.Errorf("%d attempts, %+v", made, r.Snapshot())
		}
	})
}
