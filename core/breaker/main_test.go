package breaker

import (
	"context"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

// steady is a Config without chance: it opens after two failures of two calls.
var steady = Config{MinCalls: 2, Jitter: core.None, OpenFor: 10 * time.Second}

func mustNew(t testing.TB, c Config, h Hooks) *Breaker {
	t.Helper()
	b, err := New("test", c, h)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustKeyed(t testing.TB, c Config, h Hooks) *Keyed {
	t.Helper()
	b, err := NewKeyed("test", c, h)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// call makes a call that ends at once with o, and returns the decision.
func call(g core.Guard, o core.Outcome) core.Decision { return callKey(g, core.Key{}, o) }

func callKey(g core.Guard, k core.Key, o core.Outcome) core.Decision {
	p, d := g.Acquire(bg, core.Call{Key: k})
	p.Done(0, o)
	return d
}

// enter takes a permit that must be granted.
func enter(t testing.TB, g core.Guard) *core.Permit {
	t.Helper()
	p := new(core.Permit)
	d := acquire(g, core.Call{}, p)
	if d.Reason != 0 {
		t.Fatalf("the call was rejected: %v", d.Reason)
	}
	return p
}

// acquire puts the permit where it can be kept.
func acquire(g core.Guard, c core.Call, p *core.Permit) (d core.Decision) {
	*p, d = g.Acquire(bg, c)
	return d
}

func wantState(t testing.TB, b interface{ State() State }, want State) {
	t.Helper()
	if got := b.State(); got != want {
		t.Fatalf("state is %v, want %v", got, want)
	}
}

func wantReason(t testing.TB, d core.Decision, want core.Reason) {
	t.Helper()
	if d.Reason != want {
		t.Fatalf("reason is %v (%d), want %v (%d)", d.Reason, d.Reason, want, want)
	}
}
