package throttle

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/mw-go/mw/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

func throttler(t testing.TB, c Config) *Throttle {
	t.Helper()
	th, err := New("test", c, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return th
}

// acquire puts the permit where it can be kept.
func acquire(ctx context.Context, g core.Guard, c core.Call, p *core.Permit) (d core.Decision) {
	*p, d = g.Acquire(ctx, c)
	return d
}
