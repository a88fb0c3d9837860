package adaptive

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// The tests of this file are named for what goes wrong in other limiters.

// failsafe-go: a panic leaked the slot. A panic or runtime.Goexit in the call costs none, however often.
func TestD02_PanicGivesTheSlotBack(t *testing.T) {
	c := fixed(2)
	c.Queue = core.None
	l := limiter(t, c)
	ways := map[string]func(f func(context.Context) (int, error)){
		"Do":      func(f func(context.Context) (int, error)) { _, _ = Do(bg, l, f) },
		"core.Do": func(f func(context.Context) (int, error)) { _, _ = core.Do(bg, l, core.Call{Cost: 2}, nil, f) },
	}
	for name, do := range ways {
		for range 10 {
			for _, fall := range []func(){func() { panic("x") }, runtime.Goexit} {
				done, ran := make(chan any), false
				go func() {
					defer func() { done <- recover() }()
					do(func(context.Context) (int, error) { ran = true; fall(); return 0, nil })
				}()
				<-done
				if !ran {
					t.Fatalf("%s: the call did not run: a slot is lost", name)
				}
			}
		}
	}
	atRest(t, l)
}

// aegis BBR: a package that is imported starts a goroutine that never ends, and keeps its state in variables of the
// package.
func TestD25_NoGoroutineNoGlobalState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		l := limiter(t, Config{})
		for range 100 {
			enter(t, l, core.Call{}).Done(0, core.Success)
		}
		if after := runtime.NumGoroutine(); after > before {
			t.Errorf("%d goroutines more", after-before)
		}
	})
	names, err := filepath.Glob("*.go")
	if err != nil || len(names) == 0 {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has an init function", name)
			}
			if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.VAR {
				for _, spec := range g.Specs {
					for _, v := range spec.(*ast.ValueSpec).Names {
						if v.Name != "algorithms" && v.Name != "algorithmNames" { // tables that nothing writes to
							t.Errorf("%s keeps %s", name, v.Name)
						}
					}
				}
			}
		}
	}
}

// go-zero: the constants cannot be set. Here each has a field, and a Tune changes it under load.
func TestD25_ConstantsAreSettings(t *testing.T) {
	l := limiter(t, Config{})
	set := Config{
		Algorithm: AIMD, InitialLimit: 30, MinLimit: 3, MaxLimit: 300, Window: time.Second, MinSamples: 7, Smoothing: 0.5,
		Tolerance: 2, Backoff: 0.5, DropShare: 0.5, FailureDrops: true, MaxHealthyLatency: time.Second, Headroom: 10,
		Probe: time.Minute, Queue: 7, QueueInterval: time.Second, QueueTarget: 7 * ms, ShareCritical: 0.5,
		ShareSheddablePlus: 0.4, ShareSheddable: 0.3, RetryAfter: time.Minute, Mode: core.Shadow,
	}
	v := reflect.ValueOf(set)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("this test leaves %s out", v.Type().Field(i).Name)
		}
	}
	tune(t, l, set)
	if got := l.Config(); got != set {
		t.Errorf("%+v", got)
	}
}

// failsafe-go #127: in a long incident the baseline followed the latency, and the limit stopped cutting. And the
// guard that was asked for there: a latency that is never healthy.
func TestBaselineDoesNotDriftInALongIncident(t *testing.T) {
	for _, c := range []Config{{}, {MaxHealthyLatency: 150 * ms}} {
		full := prepared(t, c)
		m := control{limit: 36, base: learned(&full, 100*ms, 30)}
		now := core.Time(0)
		for range 10 * 60 * 60 { // an hour
			now = now.Add(100 * ms)
			running := int(m.effective(&full))
			m = m.next(&full, holding(window(max(100*ms, 100*ms*time.Duration(running)/30), running)), now, 0.5)
		}
		if m.limit > 45 || m.base.value > float64(110*ms) {
			t.Errorf("after an hour the limit is %.1f, the baseline %v", m.limit, time.Duration(m.base.value))
		}
	}
}

// Netflix #137: calls that all time out look alike, so the gradient was 1 and the limit climbed to the top.
func TestTimeoutsDoNotRaiseTheLimit(t *testing.T) {
	for _, a := range []Algorithm{Gradient2, Vegas, AIMD} {
		c := prepared(t, Config{Algorithm: a})
		m := control{limit: 100, base: learned(&c, 100*ms, 50)}
		for i := range 200 {
			m = m.next(&c, sample{span: 100 * ms, dropped: 30, most: int(m.limit)}, core.Time(i), 0)
		}
		if m.limit > 10 {
			t.Errorf("%v: limit %v", a, m.limit)
		}
	}
}

// Netflix #125: windows of a few calls, such as health checks at night, poisoned the baseline.
func TestFewCallsTeachNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{})
		for range 30 {
			for range 30 {
				p := enter(t, l, core.Call{})
				time.Sleep(10 * ms)
				p.Done(0, core.Success)
			}
		}
		before := l.Snapshot().Baseline
		for range 1000 { // one a second: ten in the longest window there is
			p := enter(t, l, core.Call{})
			time.Sleep(ms)
			p.Done(0, core.Success)
			time.Sleep(time.Second)
		}
		if after := l.Snapshot().Baseline; after != before || before < 9*ms || before > 11*ms {
			t.Errorf("baseline %v, was %v", after, before)
		}
	})
}

// Netflix #134: room for a queue that is added always makes the limit creep up in mild overload.
func TestMildOverloadDoesNotCreep(t *testing.T) {
	c := prepared(t, Config{Probe: core.None})
	m := control{limit: 36, base: learned(&c, 100*ms, 30)}
	for i := range 10000 {
		running := int(m.limit)
		m = m.next(&c, holding(window(max(100*ms, 100*ms*time.Duration(running)/30), running)), core.Time(i), 0)
	}
	if m.limit > 40 {
		t.Errorf("limit %v", m.limit)
	}
}
