package timeout

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// follow is an adaptive timeout: twice the median of 30 s, from 10 ms to 1 s. Ten samples are enough for it.
var follow = Config{Limit: time.Second, Adaptive: true, Quantile: 0.5, Factor: 2}

// feed makes n calls, one after the other.
func feed(ctx context.Context, to *Timeout, n int, f fn) {
	for range n {
		_, _ = Do(ctx, to, f)
	}
}

// wantLimit allows for the histogram, whose buckets have a width.
func wantLimit(t *testing.T, to *Timeout, want time.Duration) {
	t.Helper()
	time.Sleep(refresh)
	if got := to.Snapshot().Limit; (got - want).Abs() > want/8 {
		t.Errorf("the limit is %v, want about %v", got, want)
	}
}

func TestAdaptiveLimitFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mustNew(t, follow, Hooks{})
		wantLimit(t, to, time.Second)
		feed(bg, to, 9, works(1, 20*ms))
		wantLimit(t, to, time.Second) // too few
		feed(bg, to, 20, works(1, 20*ms))
		wantLimit(t, to, 40*ms)
		if _, err := Do(bg, to, works(1, time.Minute)); !errors.Is(err, core.ErrTimeout) {
			t.Errorf("%v", err)
		} else if e := new(*Error); !errors.As(err, e) || (*e).Limit != to.Snapshot().Limit {
			t.Errorf("the error names %v, not the limit in force", (*e).Limit)
		}
		time.Sleep(31 * time.Second)
		if got := to.Snapshot().Limit; got != time.Second {
			t.Errorf("nothing was called for a window, and the limit is %v", got)
		}
	})
}

// erpc issue 1112: a limit taken from quantiles could reach 0, and then nothing got through any more.
func TestAdaptiveLimitCannotCollapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mustNew(t, follow, Hooks{})
		feed(bg, to, 1000, works(1, 0)) // answers that take no time at all
		wantLimit(t, to, 10*ms)
		if _, err := Do(bg, to, works(1, 9*ms)); err != nil {
			t.Errorf("an answer within Min: %v", err)
		}
	})
}

// A dependency that turns slow is timed out at first; its samples are censored at the limit, and make the limit grow until
// the calls fit. The control is a machine that does not learn from what it cuts short.
func TestAdaptiveLimitGrowsAgain(t *testing.T) {
	for _, censored := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := follow
			c.Quantile = 0.9
			to := mustNew(t, c, Hooks{})
			feed(bg, to, 100, works(1, 20*ms))
			wantLimit(t, to, 40*ms)
			slow := works(1, 300*ms)
			for range 400 {
				if censored {
					_, _ = Do(bg, to, slow)
					continue
				}
				a, _ := to.Admit(0, core.Never)
				ctx, cancel := a.Context(bg)
				o := core.Success
				if _, err := slow(ctx); err != nil {
					o = core.Failure // as if it were none of ours
				}
				cancel()
				a.Done(0, o)
			}
			_, err := Do(bg, to, slow)
			if limit := to.Snapshot().Limit; censored != (err == nil) || censored != (limit > 300*ms) {
				t.Errorf("censored samples %v: %v, the limit is %v", censored, err, limit)
			}
		})
	}
}

// Only success says how long an answer takes.
func TestFailuresAndCancellationsTeachNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mustNew(t, follow, Hooks{})
		feed(bg, to, 100, deaf(0, errDown, ms))
		feed(bg, to, 100, deaf(0, core.ErrTimeout, ms))
		feed(bg, to, 100, deaf(0, context.DeadlineExceeded, ms)) // further down
		for range 100 {
			ctx, cancel := context.WithTimeout(bg, ms)
			_, _ = Do(ctx, to, works(1, time.Hour))
			cancel()
			ctx, cancel = context.WithCancel(bg)
			time.AfterFunc(ms, cancel)
			_, _ = Do(ctx, to, works(1, time.Hour))
			call(func() (int, error) { return Do(bg, to, panics) })
		}
		wantLimit(t, to, time.Second)
		if got := to.Snapshot().Limit; got != time.Second {
			t.Errorf("the limit is %v", got)
		}
		feed(bg, to, 20, works(1, 100*ms))
		wantLimit(t, to, 200*ms)
	})
}

// Hooks.Classify decides what is a success.
func TestClassifyDecidesWhatIsASample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notFound := errors.New("not found")
		to := mustNew(t, follow, Hooks{Hooks: core.Hooks{Classify: func(ctx context.Context, err error) core.Outcome {
			if errors.Is(err, notFound) {
				return core.Success
			}
			return core.Classify(ctx, err)
		}}})
		feed(bg, to, 20, deaf(0, notFound, 50*ms))
		wantLimit(t, to, 100*ms)
	})
}

// The floor: who has less time left than half of the calls take is turned away, until nobody knows any more.
func TestTurnedAwayBelowTheMedian(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mustNew(t, Config{Limit: time.Second, RestQuantile: 0.5, MinRest: 5 * ms, Margin: 10 * ms}, Hooks{})
		within := func(d time.Duration) error {
			ctx, cancel := context.WithTimeout(bg, d)
			defer cancel()
			_, err := Do(ctx, to, works(1, 0))
			return err
		}
		if err := within(14 * ms); !errors.Is(err, core.ErrTooLong) {
			t.Errorf("below MinRest: %v", err)
		}
		if err := within(15 * ms); err != nil {
			t.Errorf("nothing is known of the calls: %v", err)
		}
		feed(bg, to, 50, works(1, 100*ms))
		time.Sleep(refresh)
		var rejection *core.Rejection
		if err := within(90 * ms); !errors.As(err, &rejection) || rejection.Reason != core.ReasonTooLong || rejection.Policy != "test" {
			t.Errorf("below the median: %v", err)
		}
		if err := within(200 * ms); err != nil {
			t.Errorf("above it: %v", err)
		}
		if _, err := Do(bg, to, works(1, 0)); err != nil {
			t.Errorf("no deadline: %v", err)
		}
		quick := mustNew(t, Config{Limit: time.Second, RestQuantile: 0.5, MinRest: 5 * ms}, Hooks{})
		feed(bg, quick, 50, works(1, ms))
		time.Sleep(refresh)
		if floor := quick.Snapshot().Floor; floor != 5*ms {
			t.Errorf("with calls quicker than MinRest the floor is %v", floor)
		}
		if s := to.Snapshot(); s.Rejected != 2 || s.Floor < 90*ms || s.Floor > 110*ms || s.Limit != time.Second {
			t.Errorf("%d rejected, floor %v, limit %v", s.Rejected, s.Floor, s.Limit)
		}
		time.Sleep(31 * time.Second)
		if err := within(20 * ms); err != nil {
			t.Errorf("after a window without calls: %v", err)
		}
	})
}

// The clock of the machine may run backwards: the bound is taken anew.
func TestBoundOfALaterTime(t *testing.T) {
	m := derive("test", nil, Config{Limit: time.Second, Adaptive: true, Quantile: 0.5, Factor: 2, Min: ms, Window: 30 * time.Second, RestQuantile: core.None})
	for range 100 {
		m.learn(1_000_000, core.Success, 20*ms, nil)
	}
	later := m.at(2_000_000)
	if again := m.at(2_000_000 + core.Time(refresh) - 1); again != later {
		t.Error("renewed before its time")
	}
	if again := m.at(2_000_000 + core.Time(refresh)); again == later {
		t.Error("not renewed in time")
	}
	if back := m.at(1_500_000); back.at != 1_500_000 {
		t.Errorf("the bound of %d stands at 1500000", back.at)
	}
}
