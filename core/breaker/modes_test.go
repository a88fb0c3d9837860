package breaker

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// The table of modes in package core, for a breaker that is open.
func TestModes(t *testing.T) {
	for _, tt := range []struct {
		mode     core.Mode
		reason   core.Reason
		admitted bool
		counted  func(Snapshot) uint64
	}{
		{core.Enforce, core.ReasonOpen, false, func(s Snapshot) uint64 { return s.Rejected }},
		{core.Shadow, core.ReasonOpen.InShadow(), true, func(s Snapshot) uint64 { return s.Shadowed }},
		{core.Disabled, 0, true, func(s Snapshot) uint64 { return s.Admitted - 1 }},
		{core.ForcedOpen, core.ReasonForced, false, func(s Snapshot) uint64 { return s.Rejected }},
		{core.ForcedClosed, 0, true, func(s Snapshot) uint64 { return s.Admitted - 1 }},
	} {
		t.Run(tt.mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := strict
				b := mustNew(t, c, Hooks{})
				call(b, core.Failure) // open
				c.Mode = tt.mode
				if err := b.Tune(c); err != nil {
					t.Fatal(err)
				}
				peek := b.Peek(core.Call{})
				d := call(b, core.Failure)
				wantReason(t, peek, tt.reason)
				wantReason(t, d, tt.reason)
				if d.Admitted() != tt.admitted || (d.Err() == nil) != tt.admitted || peek.RetryAfter != d.RetryAfter {
					t.Errorf("%+v, %v; peek %+v", d, d.Err(), peek)
				}
				if d.By.Mode != tt.mode || d.By.Kind != core.KindBreaker || d.By.Name != "test" || d.Remaining != -1 {
					t.Errorf("by %+v", d.By)
				}
				s := b.Snapshot()
				if tt.counted(s) != 1 || s.State != Open {
					t.Errorf("%+v", s)
				}
				c.Mode = core.Enforce // and back, live: the state has survived
				if err := b.Tune(c); err != nil {
					t.Fatal(err)
				}
				wantReason(t, call(b, core.Failure), core.ReasonOpen)
			})
		})
	}
}

// Shadow decides like enforce: it opens, probes and closes, and what it would have rejected has no vote.
func TestShadowGoesThroughTheStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := strict
		c.Mode = core.Shadow
		b := mustNew(t, c, Hooks{})
		call(b, core.Failure)
		wantState(t, b, Open)
		inOpen := new(core.Permit)
		if d := acquire(b, core.Call{}, inOpen); !d.Reason.Shadow() || d.RetryAfter != 10*time.Second {
			t.Errorf("%+v", d)
		}
		time.Sleep(10 * time.Second)
		probe, beside := enter(t, b), new(core.Permit)
		if d := acquire(b, core.Call{}, beside); d.Reason != core.ReasonProbing.InShadow() {
			t.Errorf("%+v", d)
		}
		beside.Done(0, core.Success)
		inOpen.Done(0, core.Success)
		wantState(t, b, HalfOpen)
		probe.Done(0, core.Success)
		wantState(t, b, Closed)
		if s := b.Snapshot(); s.Shadowed != 2 || s.Rejected != 0 || s.Admitted != 4 {
			t.Errorf("%+v", s.Status)
		}
	})
}

func TestDisabledKeepsTheStateAndCountsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, strict, Hooks{})
		began := enter(t, b)
		if err := b.Override(core.Disabled, 0); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			wantReason(t, call(b, core.Failure), 0)
		}
		began.Done(0, core.Failure) // ends while nobody decides
		s := b.Snapshot()
		if s.State != Closed || s.Bad != 0 || s.Outcomes[core.Failure] != 101 || !s.Overridden || s.OverrideUntil != 0 {
			t.Errorf("%+v", s)
		}
		b.Restore()
		call(b, core.Failure)
		wantState(t, b, Open)
	})
}

func TestForcedClosedKeepsTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := steady
		c.Mode = core.ForcedClosed
		b := mustNew(t, c, Hooks{})
		for range 10 {
			wantReason(t, call(b, core.Failure), 0)
		}
		if s := b.Snapshot(); s.State != Closed || s.Bad != 10 {
			t.Errorf("%v with %d bad, want closed with 10", s.State, s.Bad)
		}
		c.Mode = core.Enforce
		if err := b.Tune(c); err != nil {
			t.Fatal(err)
		}
		call(b, core.Failure)
		wantState(t, b, Open)
	})
}

func TestOverrideOutlivesTuneAndExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var modes []string
		b := mustNew(t, steady, Hooks{OnEvent: func(e core.Event) {
			if e.Type == core.ModeChanged {
				modes = append(modes, e.From+">"+e.To+" "+e.Cause)
			}
		}})
		if err := b.Override(core.ForcedOpen, time.Minute); err != nil {
			t.Fatal(err)
		}
		c := steady
		c.Mode, c.MinCalls = core.Shadow, 7
		if err := b.Tune(c); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute - time.Second)
		d, peek := call(b, core.Success), b.Peek(core.Call{})
		wantReason(t, d, core.ReasonForced)
		if d.RetryAfter != time.Second || peek.RetryAfter != time.Second || !errors.Is(d.Err(), core.ErrForced) {
			t.Errorf("%+v, peek %+v", d, peek)
		}
		time.Sleep(time.Second)
		wantReason(t, call(b, core.Success), 0)
		if s := b.Snapshot(); s.Overridden || s.Policy.Mode != core.Shadow || s.Config.MinCalls != 7 {
			t.Errorf("%+v", s)
		}
		if got := strings.Join(modes, ", "); got != "enforce>forced-open override, forced-open>shadow override ended" {
			t.Error(got)
		}
	})
}

// An override ends also when nobody calls but somebody looks.
func TestOverrideExpiresForReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, steady, Hooks{})
		for _, look := range []func() core.Reason{
			func() core.Reason { return b.Peek(core.Call{}).Reason },
			func() core.Reason { return core.Reason(b.Status().Policy.Mode) },
		} {
			if err := b.Override(core.ForcedOpen, time.Second); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if got := look(); got != 0 {
				t.Errorf("it still says %d", got)
			}
		}
	})
}

func TestOverrideErrors(t *testing.T) {
	b := mustNew(t, steady, Hooks{})
	for _, err := range []error{b.Override(core.Mode(9), 0), b.Override(core.Shadow, -time.Second)} {
		if err == nil || !strings.Contains(err.Error(), `breaker "test": override`) {
			t.Errorf("error %v", err)
		}
	}
	if b.Status().Overridden {
		t.Error("overridden all the same")
	}
}
