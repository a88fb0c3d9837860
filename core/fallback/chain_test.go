package fallback

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// P1, S6, R1, R2: the first answer, and whose it is.
func TestFirstAnswer(t *testing.T) {
	for _, tt := range []struct {
		name      string
		fn        func(context.Context) (int, error)
		one, two  func(context.Context, error) (int, error)
		want      int
		step      string
		index     int
		ran       [2]uint64
		before    []error // From.Err matches these
		notBefore error
	}{
		{"fn", first(7, nil), answers(1), answers(2), 7, "", 0, [2]uint64{0, 0}, nil, nil},
		{"step one", first(7, errDown), answers(1), answers(2), 1, "one", 1, [2]uint64{1, 0}, []error{errDown}, errOne},
		{"step two", first(7, errDown), fails(errOne), answers(2), 2, "two", 2, [2]uint64{1, 1}, []error{errDown, errOne}, errTwo},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Chain[int]{step(t, "one", tt.one), step(t, "two", tt.two)}
			v, from, err := DoFrom(bg, c, tt.fn)
			if v != tt.want || err != nil || from.Step != tt.step || from.Index != tt.index {
				t.Errorf("%d from %+v, %v", v, from, err)
			}
			if tt.before == nil && from.Err != nil || tt.notBefore != nil && errors.Is(from.Err, tt.notBefore) {
				t.Errorf("before it was said: %v", from.Err)
			}
			for _, e := range tt.before {
				if !errors.Is(from.Err, e) {
					t.Errorf("%v is missing from %v", e, from.Err)
				}
			}
			if again, err := Do(bg, c, tt.fn); again != v || err != nil {
				t.Errorf("Do: %d, %v", again, err)
			}
			for i := range c {
				if s := c[i].By.Snapshot(); s.Admitted != 2*tt.ran[i] {
					t.Errorf("step %d ran %d times", i+1, s.Admitted)
				}
			}
			atRest(t, c)
		})
	}
}

// N1: all errors, in order; each step is told the last one.
func TestAllFail(t *testing.T) {
	var told []string
	tell := func(err error) func(context.Context, error) (int, error) {
		return func(_ context.Context, before error) (int, error) {
			told = append(told, before.Error())
			return 5, err
		}
	}
	c := Chain[int]{step(t, "one", tell(errOne)), step(t, "two", tell(errTwo))}
	v, from, err := DoFrom(bg, c, first(7, errDown))
	if v != 0 || from != (From{}) {
		t.Errorf("%d from %+v", v, from)
	}
	if got := err.Error(); got != "down\nfallback \"one\": one\nfallback \"two\": two" {
		t.Error(got)
	}
	var e *Error
	if !errors.Is(err, errDown) || !errors.Is(err, errOne) || !errors.Is(err, errTwo) || !errors.As(err, &e) || e.Step != "one" {
		t.Errorf("not all are in %v", err)
	}
	if errors.Is(err, core.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no step was too slow: %v", err)
	}
	if got := fmt.Sprint(told); got != `[down fallback "one": one]` {
		t.Errorf("told %s", got)
	}
	atRest(t, c)
}

// If no step is for it, the error and the value of fn come back as they are.
func TestNoStepForIt(t *testing.T) {
	never := Hooks{When: func(core.Outcome, error) bool { return false }}
	for _, c := range []Chain[int]{nil, {}, {{By: mustNew(t, "never", Config{}, never), Run: answers(1)}}} {
		if v, from, err := DoFrom(bg, c, first(7, errDown)); v != 7 || err != errDown || from != (From{}) {
			t.Errorf("%d from %+v, %v", v, from, err)
		}
	}
}

// The condition sees the error, and what Classify makes of it; a step passed over leaves the error to the next.
func TestConditions(t *testing.T) {
	notFound := errors.New("not found")
	classify := func(ctx context.Context, err error) core.Outcome {
		if errors.Is(err, notFound) {
			return core.Success
		}
		return core.Classify(ctx, err)
	}
	only := func(o core.Outcome) Hooks {
		return Hooks{Hooks: core.Hooks{Classify: classify}, When: func(got core.Outcome, _ error) bool { return got == o }}
	}
	c := Chain[int]{
		{By: mustNew(t, "slow", Config{}, only(core.Timeout)), Run: answers(1)},
		{By: mustNew(t, "busy", Config{}, only(core.Overload)), Run: answers(2)},
		{By: mustNew(t, "any", Config{}, Hooks{Hooks: core.Hooks{Classify: classify}}), Run: answers(3)},
	}
	for _, tt := range []struct {
		err  error
		want int
	}{
		{core.ErrTimeout, 1},
		{fmt.Errorf("get: %w", context.DeadlineExceeded), 1},
		{errDown, 3},
		{notFound, 0}, // an answer
		{context.Canceled, 0},
		{&core.Rejection{Kind: core.KindBreaker, Reason: core.ReasonOpen}, 3},
		{&core.Rejection{Kind: core.KindBulkhead, Reason: core.ReasonFull}, 3},
		{&core.Rejection{Kind: core.KindBulkhead, Reason: core.ReasonExpired}, 3},
		{&core.Rejection{Kind: core.KindBulkhead, Reason: core.ReasonLeft}, 0},
	} {
		v, from, err := DoFrom(bg, c, first(0, tt.err))
		if v != tt.want || from.Index != tt.want || (err == nil) != (tt.want != 0) || err != nil && err != tt.err {
			t.Errorf("%v: %d from %+v, %v", tt.err, v, from, err)
		}
	}
	for o, want := range map[core.Outcome]bool{
		core.Failure: true, core.Timeout: true, core.Overload: true, core.Ignored: true,
		core.Success: false, core.Expired: false, core.Canceled: false,
	} {
		if usual(o, errDown) != want {
			t.Errorf("by default a step answers %v: %v", o, !want)
		}
	}
}

// S1: nobody is asked for somebody who has gone, whatever the conditions say.
func TestCallerHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		always := Hooks{When: func(core.Outcome, error) bool { return true }}
		ran := 0
		c := Chain[int]{
			{By: mustNew(t, "one", Config{}, always), Run: func(ctx context.Context, _ error) (int, error) {
				ran++
				<-ctx.Done()
				return 0, errOne // in words of its own
			}},
			{By: mustNew(t, "two", Config{}, always), Run: answers(2)},
		}
		gone, cancel := context.WithCancel(bg)
		cancel()
		if v, _, err := DoFrom(gone, c, first(0, errDown)); v != 0 || err != errDown || ran != 0 {
			t.Errorf("before: %d, %v, ran %d", v, err, ran)
		}
		if v, _, err := DoFrom(gone, c, first(7, nil)); v != 7 || err != nil {
			t.Errorf("an answer is one all the same: %d, %v", v, err)
		}
		for _, wait := range []time.Duration{100 * ms, 10 * time.Second} {
			ctx, cancel := context.WithTimeout(bg, min(wait, 500*ms))
			got := call(ctx, c, first(0, errDown))
			cancel()
			if got.took != min(wait, 500*ms) || !errors.Is(got.err, errDown) || !errors.Is(got.err, errOne) || errors.Is(got.err, core.ErrTimeout) {
				t.Errorf("its deadline passed in step one: %+v", got)
			}
			ctx, cancel = context.WithCancel(bg)
			time.AfterFunc(50*ms, cancel)
			got = call(ctx, c, first(0, errDown))
			if got.took != 50*ms || !errors.Is(got.err, errOne) || core.Classify(ctx, got.err) != core.Canceled {
				t.Errorf("it was canceled in step one: %+v", got)
			}
		}
		if s := c[1].By.Snapshot(); s.Admitted != 0 {
			t.Errorf("step two ran %d times for nobody", s.Admitted)
		}
		atRest(t, c)
	})
}

// R3: a step has its own time, less if its caller has less, and the next one goes on.
func TestStepTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context, _ error) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
		cause := func(ctx context.Context, _ error) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) }
		late := func(ctx context.Context, _ error) (int, error) { <-ctx.Done(); return 9, nil }
		one := mustNew(t, "one", Config{Timeout: 50 * ms}, Hooks{})
		two := mustNew(t, "two", Config{Timeout: core.None}, Hooks{})
		for _, hangs := range []func(context.Context, error) (int, error){hang, cause} {
			c := Chain[int]{{one, hangs}, {two, answers(2)}}
			got := call(bg, c, first(0, errDown))
			if got.v != 2 || got.took != 50*ms || !errors.Is(got.from.Err, core.ErrTimeout) || !errors.Is(got.from.Err, context.DeadlineExceeded) {
				t.Errorf("%+v", got)
			}
			if text := got.from.Err.Error(); !strings.HasPrefix(text, "down\nfallback \"one\": over after 50ms") {
				t.Error(text)
			}
		}
		if got := call(bg, Chain[int]{{one, late}, {two, answers(2)}}, first(0, errDown)); got.v != 9 || got.from.Index != 1 {
			t.Errorf("late, but an answer: %+v", got)
		}
		if s := one.Snapshot(); s.TimedOut != 2 || s.Admitted != 3 || s.Answered != 1 {
			t.Errorf("%+v", s)
		}
		var deadline bool
		look := func(ctx context.Context, _ error) (int, error) { _, deadline = ctx.Deadline(); return 1, nil }
		if _, err := Do(bg, Chain[int]{{two, look}}, first(0, errDown)); err != nil || deadline {
			t.Errorf("a step without a Timeout has a deadline: %v, %v", deadline, err)
		}
		ctx, cancel := context.WithTimeout(bg, 20*ms)
		defer cancel()
		if got := call(ctx, Chain[int]{{one, hang}, {two, answers(2)}}, first(0, errDown)); got.took != 20*ms || errors.Is(got.err, core.ErrTimeout) {
			t.Errorf("the caller has less time: %+v", got)
		}
		if s := one.Snapshot(); s.TimedOut != 2 {
			t.Errorf("the caller's deadline was taken for the step's: %d timed out", s.TimedOut)
		}
	})
}

// S5: a step that is full does not queue: the next one is asked, and told so.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var most atomic.Int64
		one, two := mustNew(t, "one", Config{Limit: 3}, Hooks{}), mustNew(t, "two", Config{Limit: core.None}, Hooks{})
		c := Chain[int]{
			{one, func(context.Context, error) (int, error) {
				most.Store(max(most.Load(), one.Snapshot().Running))
				time.Sleep(time.Second / 2)
				return 1, nil
			}},
			{two, func(_ context.Context, before error) (int, error) {
				var r *core.Rejection
				if !errors.As(before, &r) || r.Kind != core.KindFallback || r.Policy != "one" || !errors.Is(before, core.ErrFull) {
					t.Errorf("step two is told %v", before)
				}
				return 2, nil
			}},
		}
		from := make(chan int, 100)
		for range 100 {
			go func() {
				_, f, _ := DoFrom(bg, c, first(0, errDown))
				from <- f.Index
			}()
		}
		count := map[int]int{}
		for range 100 {
			count[<-from]++
		}
		if count[1] != 3 || count[2] != 97 || most.Load() > 3 {
			t.Errorf("answers from %v, at most %d at once", count, most.Load())
		}
		if s := one.Snapshot(); s.Admitted != 3 || s.Rejected != 97 {
			t.Errorf("%+v", s.Status)
		}
		atRest(t, c)
		if _, err := Do(bg, c, first(0, errDown)); err != nil {
			t.Error(err)
		}
	})
}

// The limit holds on several cores at once.
func TestLimitHolds(t *testing.T) {
	f := mustNew(t, "one", Config{Limit: 1}, Hooks{})
	var inside, most atomic.Int64
	c := Chain[int]{{f, func(context.Context, error) (int, error) {
		if n := inside.Add(1); n > most.Load() {
			most.Store(n)
		}
		inside.Add(-1)
		return 1, nil
	}}}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			fn := first(0, errDown)
			for range 50_000 {
				_, _ = Do(bg, c, fn)
			}
		})
	}
	wg.Wait()
	if most.Load() != 1 {
		t.Errorf("%d at once", most.Load())
	}
	atRest(t, c)
}

func TestBadInput(t *testing.T) {
	ran := false
	fn := func(context.Context) (int, error) { ran = true; return 1, nil }
	good := step(t, "good", answers(1))
	if _, err := Do(bg, Chain[int]{good}, nil); err == nil || err.Error() != "fallback: the function is nil" {
		t.Errorf("%v", err)
	}
	_, err := Do(bg, Chain[int]{good, {Run: answers(1)}, {By: good.By}, {}}, fn)
	if err == nil || ran {
		t.Fatalf("%v, ran %v", err, ran)
	}
	want := "fallback: step 2 has no policy: By is nil\nfallback: step 3 has no function: Run is nil\n" +
		"fallback: step 4 has no policy: By is nil\nfallback: step 4 has no function: Run is nil"
	if got := err.Error(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if err := (Chain[int]{good, good}).Validate(); err != nil {
		t.Errorf("two steps may share a policy: %v", err)
	}
}
