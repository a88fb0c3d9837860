package throttle

import (
	"context"
	"errors"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/window"
	"github.com/mw-go/mw/core/schema"
)

// call makes a call that ends at once with o if it is admitted.
func call(th *Throttle, c core.Call, o core.Outcome) core.Decision {
	p := new(core.Permit)
	d := acquire(bg, th, c, p)
	p.Done(c.Now, o)
	return d
}

// certain makes chance always reject if it can, or never.
func certain(th *Throttle, reject bool) {
	th.random = func() float64 { return 1 }
	if reject {
		th.random = func() float64 { return 0 }
	}
}

func wantSum(t *testing.T, th *Throttle, rank int, good, bad int64) {
	t.Helper()
	if s := th.Snapshot().Classes[rank]; s.Accepts != good || s.Requests != good+bad {
		t.Errorf("class %d: %d of %d accepted, want %d of %d", s.Class, s.Accepts, s.Requests, good, good+bad)
	}
}

func TestOdds(t *testing.T) {
	for _, test := range []struct {
		c         Config
		good, bad int64
		want      float64
	}{
		{Config{}, 0, 0, 0},
		{Config{}, 1000, 1000, 0},                     // half is what K = 2 allows
		{Config{}, 0, 5, 0},                           // the first calls are let off
		{Config{}, 0, 6, 1.0 / 7},                     //
		{Config{}, 0, 1000, 995.0 / 1001},             // never quite 1
		{Config{}, 100, 900, 795.0 / 1001},            // the book's formula, less MinCalls
		{Config{MinCalls: core.None}, 0, 1, 0.5},      //
		{Config{K: 1}, 900, 100, 95.0 / 1001},         // strict
		{Config{K: 10}, 100, 900, 0},                  // lenient
		{Config{K: 100}, math.MaxInt32, 0, 0},         //
		{Config{}, 0, math.MaxInt32, 1 - 6.0/(1<<31)}, //
	} {
		c, err := prepare(test.c)
		if err != nil {
			t.Fatal(err)
		}
		if got := odds(&c, window.Sum{Good: test.good, Bad: test.bad}); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%+v, %d good, %d bad: %v, want %v", test.c, test.good, test.bad, got, test.want)
		}
	}
}

func TestDecide(t *testing.T) {
	c, _ := prepare(Config{})
	never, _ := prepare(Config{ForcePass: core.None})
	for _, test := range []struct {
		c         *Config
		p, random float64
		idle      time.Duration
		want      verdict
	}{
		{&c, 0, 0, 0, spared},
		{&c, 0.5, 0.5, 0, spared},
		{&c, 0.5, 0.49, 0, shed},
		{&c, 0.5, 0, time.Second - 1, shed},
		{&c, 0.999, 0, time.Second, forced},
		{&c, 0.999, 0, -time.Hour, shed}, // the clock has run backwards
		{&never, 0.999, 0, math.MaxInt64, shed},
	} {
		if got := decide(test.c, test.p, test.random, test.idle); got != test.want {
			t.Errorf("%v, %v, %v: %v, want %v", test.p, test.random, test.idle, got, test.want)
		}
	}
}

// TestOutcomes walks the rows D1 to D3 of doc.go.
func TestOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for o, want := range map[core.Outcome][2]int64{
			core.Success: {1, 0}, core.Failure: {1, 0}, core.Overload: {0, 1}, core.Timeout: {0, 1},
			core.Expired: {0, 0}, core.Canceled: {0, 0}, core.Ignored: {0, 0},
		} {
			th := throttler(t, Config{})
			call(th, core.Call{}, o)
			wantSum(t, th, 1, want[0], want[1])
			if got := th.Snapshot().Outcomes[o]; got != 1 {
				t.Errorf("%v: counted %d times", o, got)
			}
		}
		th := throttler(t, Config{FailureRejects: true})
		call(th, core.Call{}, core.Failure)
		wantSum(t, th, 1, 0, 1)
	})
}

// TestTransitions walks the rows C1 to C5 of doc.go.
func TestTransitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		hear := func(e core.Event) { events = append(events, e.From+" to "+e.To+": "+e.Cause) }
		th, err := New("test", Config{}, Hooks{OnEvent: hear})
		if err != nil {
			t.Fatal(err)
		}
		certain(th, true)
		want := func(o core.Outcome, reason core.Reason) {
			t.Helper()
			if d := call(th, core.Call{}, o); d.Reason != reason || d.Remaining != -1 {
				t.Errorf("%+v, want %v", d, reason)
			}
			time.Sleep(10 * time.Millisecond)
		}
		want(core.Success, 0) // C1
		for range 7 {
			want(core.Overload, 0) // C2: 7 - 5 - 2*1 is 0 at the last
		}
		time.Sleep(time.Second)
		want(core.Overload, 0)              // C4
		want(core.Success, core.ReasonShed) // C5
		certain(th, false)
		want(core.Success, 0) // C3
		certain(th, true)
		want(core.Success, core.ReasonShed)
		if d := th.Peek(core.Call{}); d.Reason != core.ReasonShed {
			t.Errorf("Peek: %+v", d)
		}
		if err := call(th, core.Call{}, core.Success).Err(); !errors.Is(err, core.ErrShed) || err.Error() != `throttle "test": shed` {
			t.Error(err)
		}
		time.Sleep(31 * time.Second)
		want(core.Success, 0)
		if d := th.Peek(core.Call{}); d.Reason != 0 {
			t.Errorf("Peek: %+v", d)
		}
		if got := strings.Join(events, ", "); got != "passing to throttling: critical calls, throttling to passing: critical calls" {
			t.Errorf("events: %s", got)
		}
		if s := th.Snapshot(); s.Admitted != 11 || s.Rejected != 3 || s.Classes[1].Throttling {
			t.Errorf("%+v", s)
		}
	})
}

// TestD04_TheWindowExpiresWhenItIsRead: failsafe-go read its window without expiring it, and after an outage and ten idle
// windows rejected 898 of 1000 calls.
func TestD04_TheWindowExpiresWhenItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := throttler(t, Config{})
		for range 1000 {
			call(th, core.Call{}, core.Overload)
			time.Sleep(time.Millisecond)
		}
		if s := th.Snapshot().Classes[1]; s.Odds < 0.9 || !s.Throttling {
			t.Fatalf("in the outage: %+v", s)
		}
		time.Sleep(10 * 30 * time.Second)
		if s := th.Snapshot().Classes[1]; s.Odds != 0 || s.Requests != 0 || s.Throttling {
			t.Errorf("after it: %+v", s)
		}
		if d := th.Peek(core.Call{}); d.Reason != 0 {
			t.Errorf("Peek: %v", d.Reason)
		}
		for range 1000 {
			if d := call(th, core.Call{}, core.Success); d.Reason != 0 {
				t.Fatalf("rejected: %v", d.Reason)
			}
		}
	})
}

// TestD05_RejectionsAreRequests: failsafe-go did not count calls that it had rejected, unlike the formula it cites.
// Then a backend that accepts nothing would be sent one call in six; so it is sent hardly any.
func TestD05_RejectionsAreRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := throttler(t, Config{ForcePass: core.None})
		sent := 0
		for range 10_000 {
			if call(th, core.Call{}, core.Overload).Admitted() {
				sent++
			}
			time.Sleep(time.Millisecond)
		}
		wantSum(t, th, 1, 0, 10_000)
		if s := th.Snapshot(); s.Rejected != uint64(10_000-sent) || sent > 200 {
			t.Errorf("%d sent, %d rejected", sent, s.Rejected)
		}
	})
}

// TestD25_NoGoroutineAndNoConstants: aegis starts a goroutine that never ends when it is imported; go-zero's
// constants cannot be set.
func TestD25_NoGoroutineAndNoConstants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		th := throttler(t, Config{})
		call(th, core.Call{}, core.Overload)
		call(th, core.Call{}, core.Overload)
		if after := runtime.NumGoroutine(); after > before {
			t.Errorf("%d goroutines more", after-before)
		}
		set := Config{K: 3, Window: time.Minute, MinCalls: 9, ForcePass: time.Minute, FailureRejects: true, Mode: core.Shadow}
		v := reflect.ValueOf(set)
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("this test leaves %s out", v.Type().Field(i).Name)
			}
		}
		if err := th.Tune(set); err != nil || th.Config() != set {
			t.Errorf("%v, %+v", err, th.Config())
		}
	})
}

// A panic or runtime.Goexit in the call is a result like any other.
func TestPanicIsAFailure(t *testing.T) {
	th := throttler(t, Config{FailureRejects: true})
	for _, fall := range []func(){func() { panic("x") }, runtime.Goexit} {
		done := make(chan any)
		go func() {
			defer func() { done <- recover() }()
			_, _ = Do(bg, th, func(context.Context) (int, error) { fall(); return 0, nil })
		}()
		<-done
	}
	if s := th.Snapshot(); s.Outcomes[core.Failure] != 2 || s.Classes[1].Requests != 2 {
		t.Errorf("%+v", s)
	}
}

// TestClassesAreApart: what becomes of one class says nothing about another.
func TestClassesAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := throttler(t, Config{})
		certain(th, true)
		for range 100 {
			call(th, core.Call{Class: core.Sheddable}, core.Overload)
			call(th, core.Call{Class: core.CriticalPlus}, core.Success)
			time.Sleep(10 * time.Millisecond)
		}
		if d := call(th, core.Call{Class: core.Sheddable}, core.Success); d.Reason != core.ReasonShed {
			t.Errorf("sheddable: %v", d.Reason)
		}
		if d := call(th, core.Call{Class: 200}, core.Success); d.Reason != core.ReasonShed {
			t.Errorf("a class that does not exist: %v", d.Reason)
		}
		for _, class := range []core.Class{core.CriticalPlus, core.Critical, core.Unclassified, core.SheddablePlus} {
			if d := call(th, core.Call{Class: class}, core.Success); d.Reason != 0 {
				t.Errorf("class %d: %v", class, d.Reason)
			}
		}
		for r, c := range th.Snapshot().Classes {
			if rank(c.Class) != r {
				t.Errorf("class %d has place %d", c.Class, r)
			}
		}
	})
}

// TestForcedPassIsOne: of many calls at once that could pass because none has, one does.
func TestForcedPassIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := throttler(t, Config{})
		certain(th, false)
		for range 100 {
			call(th, core.Call{}, core.Overload)
		}
		certain(th, true)
		time.Sleep(time.Second)
		passed := make(chan bool, 100)
		for range 100 {
			go func() { passed <- call(th, core.Call{}, core.Overload).Admitted() }()
		}
		n := 0
		for range 100 {
			if <-passed {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d passed", n)
		}
	})
}

func TestTune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := throttler(t, Config{})
		certain(th, true)
		for range 20 {
			call(th, core.Call{}, core.Success)
			time.Sleep(100 * time.Millisecond)
		}
		for _, w := range []time.Duration{time.Minute, 10 * time.Second} {
			if err := th.Tune(Config{Window: w}); err != nil {
				t.Fatal(err)
			}
			wantSum(t, th, 1, 20, 0)
		}
		for range 30 {
			call(th, core.Call{}, core.Overload)
		}
		if d := call(th, core.Call{}, core.Success); d.Reason != core.ReasonShed {
			t.Errorf("%v", d.Reason)
		}
		if err := th.Tune(Config{Window: 10 * time.Second, K: 10}); err != nil {
			t.Fatal(err)
		}
		if d := call(th, core.Call{}, core.Success); d.Reason != 0 {
			t.Errorf("with a greater K: %v", d.Reason)
		}
		before := th.Config()
		err := th.Tune(Config{K: 0.5, Window: 1, MinCalls: -3, ForcePass: 1, Mode: core.ForcedOpen})
		if err == nil || th.Config() != before {
			t.Errorf("%v", err)
		} else if n := strings.Count(err.Error(), "not allowed"); n != 5 {
			t.Errorf("%d faults in %q, want 5", n, err)
		}
	})
	if _, err := schema.Describe(reflect.TypeFor[Config]()); err != nil {
		t.Error(err)
	}
}

// TestModes: shadow counts as enforce would; disabled counts nothing.
func TestModes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := throttler(t, Config{Mode: core.Shadow, ForcePass: core.None})
		certain(th, true)
		for range 20 {
			call(th, core.Call{}, core.Overload)
			time.Sleep(10 * time.Millisecond)
		}
		d := call(th, core.Call{}, core.Success)
		if !d.Admitted() || d.Reason != core.ReasonShed.InShadow() || th.Peek(core.Call{}).Reason != d.Reason {
			t.Errorf("%+v", d)
		}
		wantSum(t, th, 1, 0, 21)
		if s := th.Snapshot(); s.Shadowed == 0 || s.Rejected != 0 || s.Admitted != 21 {
			t.Errorf("%+v", s.Status)
		}
		if err := th.Override(core.Disabled, time.Second); err != nil {
			t.Fatal(err)
		}
		if d := call(th, core.Call{}, core.Overload); d.Reason != 0 || th.Peek(core.Call{}).Reason != 0 {
			t.Errorf("disabled: %+v", d)
		}
		wantSum(t, th, 1, 0, 21)
		time.Sleep(time.Second)
		if d := call(th, core.Call{}, core.Success); d.Reason != core.ReasonShed.InShadow() {
			t.Errorf("the override is over: %+v", d)
		}
		th.Restore()
		if err := th.Override(core.ForcedOpen, 0); err == nil {
			t.Error("a breaker's mode")
		}
	})
}

func TestAllocs(t *testing.T) {
	well, ill, shadow := throttler(t, Config{}), throttler(t, Config{}), throttler(t, Config{Mode: core.Shadow})
	for range 100 {
		call(ill, core.Call{}, core.Overload)
		call(shadow, core.Call{}, core.Overload)
	}
	guards := []core.Guard{well, ill}
	for _, tt := range []struct {
		name string
		f    func()
	}{
		{"accepted", func() { p, _ := well.Acquire(bg, core.Call{}); p.Done(0, core.Success) }},
		{"by the odds", func() { p, _ := ill.Acquire(bg, core.Call{}); p.Done(0, core.Overload) }},
		{"shadow", func() { p, _ := shadow.Acquire(bg, core.Call{}); p.Done(0, core.Overload) }},
		{"peek", func() { well.Peek(core.Call{}); ill.Peek(core.Call{}) }},
		{"through core.Guard", func() {
			for _, g := range guards {
				p, _ := g.Acquire(bg, core.Call{})
				p.Done(0, core.Success)
			}
		}},
		{"Do", func() { _, _ = Do(bg, well, func(context.Context) (int, error) { return 1, nil }) }},
	} {
		if n := testing.AllocsPerRun(1000, tt.f); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}
