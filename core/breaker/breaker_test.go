package breaker

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

func TestDo(t *testing.T) {
	b := mustNew(t, steady, Hooks{})
	v, err := Do(bg, b, func(context.Context) (int, error) { return 42, nil })
	if v != 42 || err != nil {
		t.Errorf("%v, %v", v, err)
	}
	v, err = Do(bg, b, func(context.Context) (int, error) { return 7, errDown })
	if v != 7 || !errors.Is(err, errDown) {
		t.Errorf("%v, %v: want what fn returned", v, err)
	}
	b.Trip(time.Minute)
	v, err = Do(bg, b, func(context.Context) (int, error) { t.Error("fn ran"); return 1, nil })
	var r *core.Rejection
	if v != 0 || !errors.As(err, &r) || r.Kind != core.KindBreaker || r.Policy != "test" || r.RetryAfter <= 0 || !errors.Is(err, core.ErrOpen) {
		t.Errorf("%v, %v", v, err)
	}
}

// A Classify that makes an outcome up must not be taken for a rejection, or for anything else that is counted.
func TestOutcomeThatDoesNotExist(t *testing.T) {
	for o := core.Outcome(core.Outcomes); o != 0; o++ {
		b := mustNew(t, strict, Hooks{Classify: func(context.Context, error) core.Outcome { return o }})
		_ = run(bg, b, fails)
		if s := b.Snapshot(); s.Admitted != 1 || s.Rejected+s.Shadowed != 0 || s.Outcomes[core.Ignored] != 1 || s.Bad != 0 {
			t.Fatalf("outcome %d: %+v, %v", o, s.Status, s.Outcomes)
		}
	}
}

func TestDoAsksHooksToClassify(t *testing.T) {
	b := mustNew(t, strict, Hooks{Classify: func(_ context.Context, err error) core.Outcome {
		if errors.Is(err, errDown) {
			return core.Ignored
		}
		return core.Failure
	}})
	_ = run(bg, b, fails)
	wantState(t, b, Closed)
	_ = run(bg, b, works)
	wantState(t, b, Open)
}

// Retry-After: 0 is a way of saying "soon"; it once closed the breaker.
func TestTripForNothingOpensForTheLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, d := range []time.Duration{0, -time.Second, 1} {
			b := mustNew(t, steady, Hooks{})
			b.Trip(d)
			wantState(t, b, Open)
			if got := call(b, core.Success).RetryAfter; got != time.Millisecond {
				t.Errorf("Trip(%v): retry after %v, want 1ms", d, got)
			}
		}
	})
}

func TestTripAndReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var causes []string
		b := mustNew(t, steady, Hooks{OnEvent: func(e core.Event) { causes = append(causes, e.To+" "+e.Cause) }})
		running := enter(t, b)
		call(b, core.Failure)
		b.Reset() // of a closed breaker: empties its counts
		running.Done(0, core.Failure)
		if s := b.Snapshot(); s.Bad != 0 || s.InARow != 0 || s.Cause != "operator" {
			t.Errorf("%+v", s)
		}
		b.Trip(time.Hour) // more than MaxOpenFor
		b.Trip(time.Hour)
		if s := b.Snapshot(); s.Until.Sub(core.Now()) != 5*time.Minute || s.Era != 2 {
			t.Errorf("%+v", s)
		}
		b.Reset()
		wantReason(t, call(b, core.Success), 0)
		if len(causes) != 2 || causes[0] != "open operator" || causes[1] != "closed operator" {
			t.Errorf("events %q", causes)
		}
	})
}

// A stream's first response settles its probe; the end of the stream goes into the window of the state that began.
func TestProgressSettlesTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := steady
		c.Probes, c.MinCalls = 1, 100
		b := mustNew(t, c, Hooks{})
		b.Trip(time.Second)
		time.Sleep(time.Second)
		stream := enter(t, b)
		stream.Progress(0)
		wantState(t, b, Closed)
		stream.Progress(0)
		stream.Restart(core.Now())
		stream.Done(0, core.Failure)
		stream.Done(0, core.Failure)
		if s := b.Snapshot(); s.Bad != 1 || s.Good != 0 || s.Outcomes[core.Failure] != 1 || s.Admitted != 1 {
			t.Errorf("%+v", s)
		}

		b.Trip(time.Second) // and if the breaker has moved on once more, nowhere
		time.Sleep(time.Second)
		stream = enter(t, b)
		stream.Progress(0)
		b.Reset()
		stream.Done(0, core.Failure)
		if s := b.Snapshot(); s.Bad != 0 {
			t.Errorf("%d bad, want none", s.Bad)
		}
	})
}

// A wait in a later guard is not the dependency's.
func TestRestartMovesTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, strict, Hooks{})
		b.Trip(time.Second)
		time.Sleep(time.Second)
		p := enter(t, b)
		time.Sleep(9 * time.Second)
		p.Restart(core.Now())
		p.Restart(core.Now().Add(-time.Hour)) // never back
		time.Sleep(9 * time.Second)
		wantReason(t, b.Peek(core.Call{}), core.ReasonProbing)
		time.Sleep(time.Second)
		wantReason(t, call(b, core.Success), core.ReasonOpen)
		p.Restart(0) // of an era that is over
		wantState(t, b, Open)
	})
}

func TestSnapshotExpiresOnRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, Config{}, Hooks{})
		call(b, core.Failure)
		call(b, core.Success)
		if s := b.Snapshot(); s.Good != 1 || s.Bad != 1 {
			t.Errorf("%+v", s)
		}
		time.Sleep(10 * time.Second)
		if s := b.Snapshot(); s.Good != 0 || s.Bad != 0 {
			t.Errorf("after a window: %+v", s)
		}
	})
}

// The failure rate is compared with >=, over the window alone, from MinCalls results on.
func TestFailureRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, Config{MinCalls: 10, FailureRate: 0.3}, Hooks{})
		for range 5 {
			call(b, core.Failure)
		}
		time.Sleep(10 * time.Second) // out of the window
		for range 7 {
			call(b, core.Success)
		}
		call(b, core.Failure)
		call(b, core.Failure)
		wantState(t, b, Closed)
		call(b, core.Failure)
		wantState(t, b, Open)
	})
}

func TestOverloadTripsWhenAsked(t *testing.T) {
	c := strict
	b := mustNew(t, c, Hooks{})
	call(b, core.Overload)
	wantState(t, b, Closed)
	c.OverloadTrips = true
	tune(t, b, c)
	call(b, core.Overload)
	wantState(t, b, Open)
}

// The tag holds 24 bits of the era; neighbours stay apart where they wrap.
func TestTagOfErasThatWrap(t *testing.T) {
	for _, era := range []uint32{0, 1, 1<<24 - 1, 1 << 24, 1<<32 - 1} {
		for _, place := range []uint32{0, 15, noPlace} {
			tg := tag(era, place)
			if tg>>core.TagBits != 0 || tg&noPlace != place || !sameEra(tg, era) || sameEra(tg, era+1) || sameEra(tg, era-1) {
				t.Errorf("era %d, place %d: tag %#x", era, place, tg)
			}
			if !sameEra(tg+1<<5, era+1) {
				t.Errorf("era %d: one more is not the next", era)
			}
		}
	}
}

// Jitter keeps a fleet from probing in step, and stays within its bounds.
func TestJitterSpreads(t *testing.T) {
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		c := newModel(Config{}, 0).config
		d := control{double: 1, jitter: spread(&c, rand.Float64())}.openTime(&c)
		least, most = min(least, d), max(most, d)
	}
	if least < 4*time.Second || most > 6*time.Second || most-least < time.Second {
		t.Errorf("open times range from %v to %v, want about 4s to 6s", least, most)
	}
}
