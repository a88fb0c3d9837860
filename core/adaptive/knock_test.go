package adaptive

import (
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// Knock turns away what is above the cut-off whatever the draw, counts it among those that came, and leaves the rest to
// Acquire, which then takes as many calls without a key as it would have without the door.
func TestKnock(t *testing.T) {
	l, err := New("l", Config{InitialLimit: 10, RetryAfter: time.Second, Queue: core.None}, core.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	now := core.Now()
	came := func() (n uint32) {
		for i := range l.arrived {
			n += l.arrived[i].Load()
		}
		return n
	}
	for range 20 { // more than there are slots for: Acquire says so
		if d := l.Knock(core.Call{Now: now, Class: core.Sheddable, Cost: 100}); !d.Admitted() || d.RetryAfter != 0 {
			t.Fatalf("nobody is held back: %+v", d)
		}
	}
	l.gate.pressed.Store(true)
	l.gate.cut.Store(2*places + places/2) // half of SheddablePlus passes
	for _, tt := range []struct {
		class core.Class
		key   core.Key
		shed  bool
	}{
		{core.CriticalPlus, core.Key{}, false}, {core.Unclassified, core.Key{}, false}, {core.Critical, core.KeyOf("a"), false},
		{core.SheddablePlus, core.Key{}, false}, {core.Sheddable, core.Key{}, true}, {core.Sheddable, core.KeyOf("a"), true},
	} {
		before, counted := came(), l.Snapshot().Rejected
		for range 100 {
			d := l.Knock(core.Call{Now: now, Class: tt.class, Key: tt.key})
			if d.Admitted() == tt.shed || tt.shed && (d.Reason != core.ReasonShed || d.RetryAfter < time.Second/2 || d.RetryAfter >= 3*time.Second/2) {
				t.Fatalf("%+v: %+v", tt, d)
			}
		}
		want := uint32(0)
		if tt.shed {
			want = 100
		}
		if n := came() - before; n != want || l.Snapshot().Rejected-counted != uint64(want) {
			t.Errorf("%+v: %d came, %d rejected, want %d", tt, n, l.Snapshot().Rejected-counted, want)
		}
	}
	agree := 0
	for i := range 400 { // with a key the door and Acquire draw the same
		c := core.Call{Now: now, Class: core.SheddablePlus, Key: core.KeyOfWords(1, uint64(i))}
		if l.Knock(c).Admitted() == (l.Peek(c).Reason != core.ReasonShed) {
			agree++
		}
	}
	if agree != 400 {
		t.Errorf("%d of 400 the same", agree)
	}
	for _, mode := range []core.Mode{core.Shadow, core.Disabled} {
		if err := l.Override(mode, 0); err != nil {
			t.Fatal(err)
		}
		if d := l.Knock(core.Call{Class: core.Sheddable}); d.Reason != 0 {
			t.Error(mode, d)
		}
	}
}
