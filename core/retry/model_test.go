package retry

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/internal/pushback"
)

// script is a call as the test has made it up.
type script struct {
	takes    []time.Duration // by each attempt
	errs     []error
	deadline time.Duration // 0 none
	leaves   time.Duration // 0 never
	nested   bool
}

func randomScript(rng *rand.Rand) (s script) {
	errs := []error{
		errDown, errDown, errDown, hinting{errDown, 700 * ms}, hinting{errDown, -1}, hinting{errDown, time.Hour}, Permanent(errDown),
		&core.Rejection{Reason: core.ReasonOpen, RetryAfter: sec}, context.Canceled, nil,
	}
	for range 10 {
		s.takes = append(s.takes, time.Duration(rng.IntN(300))*ms)
		s.errs = append(s.errs, errs[rng.IntN(len(errs))])
	}
	if rng.IntN(3) == 0 {
		s.deadline = time.Duration(1+rng.IntN(5000))*ms + 1 // never at the very end of an attempt or a delay
	}
	if rng.IntN(4) == 0 {
		s.leaves = time.Duration(rng.IntN(3000))*ms + 2
	}
	s.nested = rng.IntN(10) == 0
	return s
}

// ended is when the caller is gone, and why.
func (s script) ended() (at time.Duration, why Reason) {
	switch {
	case s.leaves != 0 && (s.deadline == 0 || s.leaves < s.deadline):
		return s.leaves, ReasonLeft
	case s.deadline != 0:
		return s.deadline, ReasonExpired
	default:
		return 1 << 62, 0
	}
}

// play is what the pure machine makes of it: when each attempt begins, and how the call ends.
func (s script) play(c *Config, random func() float64, withdraw func() bool, refund func()) (at []time.Duration, why Reason, last error) {
	now, st := time.Duration(0), state{}
	end, gone := s.ended()
	for {
		at = append(at, now)
		now += s.takes[st.attempts]
		last = s.errs[st.attempts]
		st.attempts++
		if last == nil {
			return at, 0, nil
		}
		f := failure{nested: s.nested, left: core.Never, hint: pushback.After(last), permanent: pushback.Permanent(last), retryable: true}
		if now >= end {
			f.gone = gone
		}
		if s.deadline != 0 {
			f.left = s.deadline - now
		}
		switch rejection, ok := last.(*core.Rejection); {
		case ok:
			f.rejected, f.hint = true, rejection.RetryAfter
		case last == context.Canceled:
			f.retryable = false
		}
		if why = st.veto(c, f); why != 0 {
			return at, why, last
		}
		st.drawn = st.draw(c, random())
		delay, why := st.wait(c, f, st.drawn, random())
		if why != 0 {
			return at, why, last
		}
		if !withdraw() {
			return at, ReasonBudget, last
		}
		if now+delay >= end {
			refund()
			return at, gone, last
		}
		now += delay
	}
}

// TestShellEqualsMachine plays made-up calls on both, with the same random numbers and the same budget.
func TestShellEqualsMachine(t *testing.T) {
	settings := append([]Config{
		{MaxAttempts: 8}, {MaxAttempts: 5, RetryRejections: true, MinAttempt: 100 * ms}, {Jitter: Equal, Base: 300 * ms},
	}, fuzzed...)
	reasons := map[Reason]int{}
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 31))
			c := settings[rng.IntN(len(settings))]
			c.MaxAttempts = min(c.MaxAttempts, 10)
			r := mustNew(t, c, Hooks{Budget: mustBudget(t, budget.Config{Size: 6})})
			shadow := mustBudget(t, budget.Config{Size: 6})
			for range 10 {
				s := randomScript(rng)
				draws := rng.Uint64()
				r.random = rand.New(rand.NewPCG(draws, 1)).Float64
				want, why, last := s.play(filled(t, c), rand.New(rand.NewPCG(draws, 1)).Float64,
					func() bool { return shadow.Withdraw(0) }, func() { shadow.Refund(0) })
				if last == nil {
					shadow.End(core.Success)
				}
				got, err := s.run(r)
				if !slices.Equal(got, want) {
					t.Fatalf("seed %d, %+v: attempts at %v, want %v", seed, s, got, want)
				}
				reasons[why]++
				if last == nil {
					if err != nil {
						t.Fatalf("seed %d: %v", seed, err)
					}
					continue
				}
				wantError(t, err, len(want), why, last)
			}
			if got, want := r.Budget().Snapshot().Balance, shadow.Snapshot().Balance; got != want {
				t.Fatalf("seed %d: %v tokens left, want %v", seed, got, want)
			}
		})
	}
	if len(reasons) != Reasons {
		t.Errorf("not every reason was reached: %v", reasons)
	}
}

// run does the call for real, in virtual time.
func (s script) run(r *Retry) (at []time.Duration, err error) {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	if s.deadline != 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, s.deadline)
		defer stop()
	}
	if s.leaves != 0 {
		defer time.AfterFunc(s.leaves, cancel).Stop()
	}
	if s.nested {
		ctx = WithAttempt(ctx, 2)
	}
	start := time.Now()
	err = run(ctx, r, func(context.Context) error {
		at = append(at, time.Since(start))
		n := len(at) - 1
		time.Sleep(s.takes[n])
		return s.errs[n]
	})
	return at, err
}
