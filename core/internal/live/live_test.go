package live

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// conf is a machine's Config: 0 means 10, and nothing is below zero.
type conf struct {
	Size int
	Mode core.Mode
}

var errNegative = errors.New("size is below zero")

func prepare(c conf) (conf, error) {
	if c.Size < 0 {
		return c, errNegative
	}
	if c.Size == 0 {
		c.Size = 10
	}
	return c, nil
}

// fixture is a Live whose derived part counts the snapshots made.
type fixture struct {
	Live[conf, int]
	events  []string
	changes int
}

func (f *fixture) rules(forced bool) Rules[conf, int] {
	return Rules[conf, int]{
		Prepare:  prepare,
		Describe: func(c conf) core.Policy { return core.Policy{Mode: c.Mode, Limit: int64(c.Size)} },
		Derive: func(old *Settings[conf, int], _ conf, _ core.Time) int {
			if old == nil {
				return 1
			}
			return old.Derived + 1
		},
		Changed: func(old, fresh *Settings[conf, int], _ core.Time) {
			if fresh.Derived != old.Derived+1 {
				panic("a snapshot was skipped")
			}
			f.changes++
		},
		Forced: forced,
	}
}

func start(t *testing.T, c conf) *fixture {
	t.Helper()
	f := &fixture{}
	hooks := core.Hooks{OnEvent: func(e core.Event) {
		f.events = append(f.events, strings.TrimSpace(fmt.Sprintf("%v %s>%s %s", e.Type, e.From, e.To, e.Cause)))
		if e.By.Kind != "kind" || e.By.Name != "a" {
			t.Errorf("by %+v", e.By)
		}
	}}
	if err := f.Start("kind", "a", c, hooks, f.rules(true)); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) want(t *testing.T, mode core.Mode, size int, events ...string) {
	t.Helper()
	s := f.At(0)
	if s.Policy.Mode != mode || s.Config.Size != size || s.Policy.Limit != int64(size) {
		t.Errorf("%+v, want %v and %d", s, mode, size)
	}
	if !slices.Equal(f.events, events) {
		t.Errorf("events %q, want %q", f.events, events)
	}
	f.events = nil
}

func TestStart(t *testing.T) {
	f := start(t, conf{})
	f.want(t, core.Enforce, 10)
	if s := f.Load(); s.Policy.Kind != "kind" || s.Policy.Name != "a" || s.Derived != 1 || f.changes != 0 {
		t.Errorf("%+v", s)
	}
	for name, c := range map[string]conf{"b": {Size: -1}, "no name": {}, "": {}} {
		var l Live[conf, int]
		err := l.Start("kind", name, c, core.Hooks{}, f.rules(true))
		if err == nil || !strings.HasPrefix(err.Error(), "kind") || c.Size < 0 && !errors.Is(err, errNegative) {
			t.Errorf("%q: error %v", name, err)
		}
		if name != "b" && !strings.Contains(err.Error(), fmt.Sprintf("name %q is not allowed", name)) {
			t.Errorf("%q: error %v", name, err)
		}
	}
}

func TestTune(t *testing.T) {
	f := start(t, conf{})
	first := f.Load()
	for _, same := range []conf{{}, {Size: 10}} {
		if err := f.Tune(same); err != nil {
			t.Fatal(err)
		}
	}
	if f.Load() != first || f.changes != 0 {
		t.Error("a Tune to the same settings made a snapshot")
	}
	if err := f.Tune(conf{Size: -1}); !errors.Is(err, errNegative) || f.Load() != first || err.Error() != `kind "a": size is below zero` {
		t.Errorf("error %v", err)
	}
	if err := f.Tune(conf{Size: 7}); err != nil {
		t.Fatal(err)
	}
	f.want(t, core.Enforce, 7, "tuned > configuration")
	if err := f.Tune(conf{Size: 8, Mode: core.Shadow}); err != nil {
		t.Fatal(err)
	}
	f.want(t, core.Shadow, 8, "tuned > configuration", "mode_changed enforce>shadow configuration")
	if first.Config.Size != 10 || first.Policy.Mode != core.Enforce {
		t.Error("a snapshot changed")
	}
}

// What Prepare returns takes effect on commit alone, and by what is in force then.
func TestPrepare(t *testing.T) {
	f := start(t, conf{})
	commit, err := f.Prepare(conf{Size: 7})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Override(core.Disabled, 0); err != nil {
		t.Fatal(err)
	}
	f.want(t, core.Disabled, 10, "mode_changed enforce>disabled override")
	commit()
	f.want(t, core.Disabled, 7, "tuned > configuration")
	commit()
	f.want(t, core.Disabled, 7)
}

func TestOverride(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, conf{})
		override := func(mode core.Mode, d time.Duration) {
			t.Helper()
			if err := f.Override(mode, d); err != nil {
				t.Fatal(err)
			}
		}
		override(core.ForcedOpen, time.Minute)
		f.want(t, core.ForcedOpen, 10, "mode_changed enforce>forced-open override")
		if s := f.Load(); !s.Overridden() {
			t.Error("an override that ends is not seen as one")
		}
		if st := f.Status(); !st.Overridden || st.OverrideUntil != core.Now().Add(time.Minute) || st.Policy.Mode != core.ForcedOpen {
			t.Errorf("%+v", st)
		}
		if err := f.Tune(conf{Mode: core.Shadow}); err != nil { // the configuration's mode waits
			t.Fatal(err)
		}
		f.want(t, core.ForcedOpen, 10, "tuned > configuration")
		time.Sleep(time.Minute - 1)
		f.want(t, core.ForcedOpen, 10)
		time.Sleep(time.Nanosecond)
		if f.Load().Policy.Mode != core.ForcedOpen {
			t.Error("Load looked at the clock")
		}
		f.want(t, core.Shadow, 10, "mode_changed forced-open>shadow override ended") // At ended it
		if st := f.Status(); st.Overridden || st.OverrideUntil != 0 {
			t.Errorf("%+v", st)
		}

		override(core.Disabled, time.Minute)
		override(core.Enforce, 0) // replaces the one that would end
		time.Sleep(time.Hour)
		f.want(t, core.Enforce, 10, "mode_changed shadow>disabled override", "mode_changed disabled>enforce override")
		if _, until, ok := f.Load().Override(); !ok || until != 0 || f.Load().Overridden() {
			t.Error("an override until restored is gone, or asks for the clock")
		}
		f.Restore()
		f.Restore()
		f.want(t, core.Shadow, 10, "mode_changed enforce>shadow override ended")
	})
}

func TestOverrideErrors(t *testing.T) {
	f := start(t, conf{})
	var plain Live[conf, int]
	rules := f.rules(false)
	rules.Changed = nil
	if err := plain.Start("kind", "b", conf{}, core.Hooks{}, rules); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		f.Override(core.Shadow, -1), f.Override(core.ForcedClosed+1, 0), plain.Override(core.ForcedOpen, 0), plain.Override(core.ForcedClosed, 0),
	} {
		if err == nil || !strings.Contains(err.Error(), "not allowed") {
			t.Errorf("error %v", err)
		}
	}
	if f.Status().Overridden || plain.Status().Overridden {
		t.Error("overridden all the same")
	}
	if err := errors.Join(f.Override(core.ForcedClosed, 0), plain.Override(core.Disabled, 0)); err != nil {
		t.Error(err)
	}
}

func TestRederive(t *testing.T) {
	f := start(t, conf{})
	first := f.Load()
	second := f.Rederive(first, core.Now())
	if second == first || second != f.Load() || second.Derived != 2 || second.Config != first.Config {
		t.Errorf("%+v", second)
	}
	if again := f.Rederive(first, core.Now()); again != second {
		t.Error("derived anew from a stale snapshot")
	}
	f.want(t, core.Enforce, 10)
}

// The listener may call back into all of it.
func TestListenerCallsBack(t *testing.T) {
	f, told := &fixture{}, 0
	hooks := core.Hooks{OnEvent: func(core.Event) {
		if told++; told > 1 {
			return
		}
		f.Restore()
		f.Status()
		if err := errors.Join(f.Tune(conf{Size: 3}), f.Override(core.Shadow, time.Hour)); err != nil {
			t.Error(err)
		}
	}}
	if err := f.Start("kind", "a", conf{}, hooks, f.rules(true)); err != nil {
		t.Fatal(err)
	}
	if err := f.Tune(conf{Size: 2}); err != nil {
		t.Fatal(err)
	}
	if s := f.Load(); s.Config.Size != 3 || s.Policy.Mode != core.Shadow || told != 3 {
		t.Errorf("%+v, told %d times", s, told)
	}
}

// However writers mix, each snapshot comes from the one before it (Changed checks that), and events tell each change of
// mode: they form a chain.
func TestConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mode := core.Enforce.String()
		f := &fixture{}
		hooks := core.Hooks{OnEvent: func(e core.Event) {
			if e.Type != core.ModeChanged {
				return
			}
			if e.From != mode {
				t.Errorf("from %s, but it was %s", e.From, mode)
			}
			mode = e.To
		}}
		if err := f.Start("kind", "a", conf{}, hooks, f.rules(true)); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 100 {
					time.Sleep(time.Duration(g+1) * time.Millisecond)
					if err := f.Tune(conf{Size: 1 + i, Mode: core.Mode(i % 5)}); err != nil {
						t.Error(err)
					}
					if err := f.Override(core.Mode((i+g)%5), time.Duration(i)*time.Millisecond); err != nil {
						t.Error(err)
					}
					f.At(0)
					if i%3 == 0 {
						f.Restore()
					}
					f.Rederive(f.Load(), core.Now())
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Hour)
		if s := f.At(0); s.Policy.Mode.String() != mode || s.Overridden() && s.until < core.Now() {
			t.Errorf("%v is in force, the events say %s", s.Policy.Mode, mode)
		}
		if dropped, panics := f.Feed.Faults(); dropped != 0 || panics != 0 {
			t.Errorf("%d dropped, %d panics", dropped, panics)
		}
	})
}
