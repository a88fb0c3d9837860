package bulkhead

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/mw-go/mw/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

func bulkhead(t testing.TB, c Config) *Bulkhead {
	t.Helper()
	b, err := New("test", c, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func keyedBulkhead(t testing.TB, c Config) *Keyed {
	t.Helper()
	b, err := NewKeyed("test", c, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// enter takes slots that must be free.
func enter(t testing.TB, g core.Guard, c core.Call) *core.Permit {
	t.Helper()
	p := new(core.Permit)
	if d := acquire(bg, g, c, p); d.Reason != 0 {
		t.Fatalf("rejected: %v", d.Reason)
	}
	return p
}

// acquire puts the permit where it can be kept.
func acquire(ctx context.Context, g core.Guard, c core.Call, p *core.Permit) (d core.Decision) {
	*p, d = g.Acquire(ctx, c)
	return d
}

func keyOf(i int) core.Key { return core.KeyOfWords(uint64(i)+1, 0) }

// atRest checks what must hold when no call is running or waiting.
func atRest(t testing.TB, b *Bulkhead) {
	t.Helper()
	s := b.Snapshot()
	if s.Running != 0 || s.Waiting != 0 || b.beside.Load() != 0 {
		t.Errorf("at rest: %d running, %d of them beside, %d waiting", s.Running, b.beside.Load(), s.Waiting)
	}
	b.each(func(cl *cell, _ uint64) {
		cl.mu.Lock()
		defer cl.mu.Unlock()
		if cl.load().running() != 0 || cl.queue.Len() != 0 || cl.waiting.Load() != 0 {
			t.Errorf("at rest: a cell has %d running, %d in the queue, %d waiting",
				cl.load().running(), cl.queue.Len(), cl.waiting.Load())
		}
	})
}
