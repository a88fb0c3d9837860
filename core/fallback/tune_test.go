package fallback

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// The machine is under operation as every other.
var _ core.Machine = (*Fallback)(nil)

func TestConfig(t *testing.T) {
	if got, want := mustNew(t, "x", Config{}, Hooks{}).Config(), (Config{Timeout: time.Second, Limit: 10}); got != want {
		t.Errorf("the zero Config is %+v, want %+v", got, want)
	}
	off := Config{Timeout: core.None, Limit: core.None}
	if got := mustNew(t, "x", off, Hooks{}); got.Config() != off || got.Status().Policy.Limit != 0 {
		t.Errorf("none is %+v", got.Snapshot())
	}
	for _, tt := range []struct {
		field, value string
		bad          Config
	}{
		{"timeout", "1ns", Config{Timeout: 1}},
		{"timeout", "-2ns", Config{Timeout: -2}},
		{"timeout", "2h", Config{Timeout: 2 * time.Hour}},
		{"limit", "-2", Config{Limit: -2}},
		{"limit", "1000001", Config{Limit: 1e6 + 1}},
		{"mode", "forced-open", Config{Mode: core.ForcedOpen}},
	} {
		err := tt.bad.Validate()
		var fault *schema.FieldError
		if !errors.As(err, &fault) || fault.Path != tt.field || !strings.Contains(fault.Value, tt.value) || fault.Want == "" {
			t.Errorf("%s %s: error %v", tt.field, tt.value, err)
		}
		if _, err := New("x", tt.bad, Hooks{}); err == nil || !strings.HasPrefix(err.Error(), `fallback "x": `) {
			t.Errorf("New: %v", err)
		}
	}
	for _, name := range []string{"", "a b", strings.Repeat("x", 65)} {
		if _, err := New(name, Config{}, Hooks{}); err == nil {
			t.Errorf("%q is no name", name)
		}
	}
}

// S2, S4: a step that is off, and one that only says what it would do.
func TestModes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		one := mustNew(t, "one", Config{}, Hooks{Hooks: core.Hooks{OnEvent: func(e core.Event) {
			events = append(events, fmt.Sprint(e.By.Kind, " ", e.Type, " ", e.To))
		}}})
		c := Chain[int]{{one, answers(1)}, step(t, "two", answers(2))}
		from := func() int { _, f, _ := DoFrom(bg, c, first(0, errDown)); return f.Index }
		if err := one.Override(core.Disabled, time.Minute); err != nil {
			t.Fatal(err)
		}
		if got, s := from(), one.Snapshot(); got != 2 || s.Admitted+s.Shadowed+s.Rejected != 0 {
			t.Errorf("disabled: from %d, %+v", got, s)
		}
		time.Sleep(time.Minute)
		if got := from(); got != 1 {
			t.Errorf("the override has ended: from %d", got)
		}
		if err := one.Tune(Config{Mode: core.Shadow}); err != nil {
			t.Fatal(err)
		}
		if got, s := from(), one.Snapshot(); got != 2 || s.Shadowed != 1 || s.Admitted != 1 {
			t.Errorf("shadow: from %d, %+v", got, s)
		}
		if _, err := Do(bg, c[:1], first(0, errDown)); err != errDown {
			t.Errorf("nothing but shadow: %v", err)
		}
		if err := one.Override(core.ForcedOpen, 0); err == nil {
			t.Error("forced-open is no mode of a fallback")
		}
		commit, err := one.Prepare(Config{Limit: 5})
		if err != nil || one.Config().Limit != 10 {
			t.Errorf("Prepare: %v, %v", err, one.Config())
		}
		commit()
		if got := one.Config(); got.Limit != 5 || from() != 1 {
			t.Errorf("committed: %+v", got)
		}
		if err := one.Tune(Config{Limit: -5}); err == nil || one.Config().Limit != 5 {
			t.Errorf("a bad Config: %v", err)
		}
		want := "[fallback mode_changed disabled fallback mode_changed enforce fallback tuned  fallback mode_changed shadow fallback tuned  fallback mode_changed enforce]"
		if got := fmt.Sprint(events); got != want {
			t.Errorf("events %s\nwant   %s", got, want)
		}
	})
}

// A step under way keeps its time and its place.
func TestTuneKeepsWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := mustNew(t, "one", Config{Limit: 2, Timeout: 100 * ms}, Hooks{})
		c := Chain[int]{{one, func(ctx context.Context, _ error) (int, error) { <-ctx.Done(); return 0, ctx.Err() }}}
		ends := make(chan ending, 2)
		for range 2 {
			go func() { ends <- call(bg, c, first(0, errDown)) }()
		}
		synctest.Wait()
		if err := one.Tune(Config{Limit: 1, Timeout: 10 * ms}); err != nil {
			t.Fatal(err)
		}
		if s := one.Snapshot(); s.Running != 2 {
			t.Errorf("%d run", s.Running)
		}
		if got := call(bg, c, first(0, errDown)); !errors.Is(got.err, core.ErrFull) {
			t.Errorf("beyond the new limit: %+v", got)
		}
		for range 2 {
			var e *Error
			if got := <-ends; got.took != 100*ms || !errors.As(got.err, &e) || e.Limit != 100*ms {
				t.Errorf("before the Tune: %+v", got)
			}
		}
		if got := call(bg, c, first(0, errDown)); got.took != 10*ms {
			t.Errorf("after it: %+v", got)
		}
		atRest(t, c)
	})
}

// Settings change while calls fall back.
func TestTuneUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := mustNew(t, "one", Config{}, Hooks{}), mustNew(t, "two", Config{Limit: core.None}, Hooks{})
		nap := func(d time.Duration, v int) func(context.Context, error) (int, error) {
			return func(ctx context.Context, _ error) (int, error) {
				select {
				case <-time.After(d):
					return v, nil
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			}
		}
		c := Chain[int]{{one, nap(20*ms, 1)}, {two, nap(ms, 2)}}
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 100 {
					if v, from, err := DoFrom(bg, c, first(0, errDown)); err != nil || v != from.Index {
						t.Errorf("%d from %+v, %v", v, from, err)
					}
				}
			})
		}
		wg.Go(func() {
			for k := range 200 {
				if err := one.Tune(Config{Limit: core.Count(1 + k%20), Timeout: time.Duration(10+k%20) * ms, Mode: core.Mode(k % 3)}); err != nil {
					t.Error(err)
				}
				time.Sleep(3 * ms)
			}
		})
		wg.Wait()
		atRest(t, c)
		if s := one.Snapshot(); s.Admitted == 0 || s.Rejected == 0 || s.Shadowed == 0 || s.TimedOut == 0 {
			t.Errorf("not everything has happened: %+v", s)
		}
	})
}
