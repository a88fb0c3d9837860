package pool

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mw-go/mw/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	bg      = context.Background()
	errDown = errors.New("down")
)

// conn is a resource with a number of its own.
type conn struct {
	id     int
	closed atomic.Bool
}

// maker has the hooks of a pool under test, and counts what they do.
type maker struct {
	made, shut atomic.Int64
	create     func(ctx context.Context, id int) error // nil: succeeds at once
	close      func(c *conn) error
	validate   func(ctx context.Context, c *conn) error
}

func (m *maker) hooks() Hooks[*conn] {
	h := Hooks[*conn]{
		Create: func(ctx context.Context) (*conn, error) {
			id := int(m.made.Add(1))
			if m.create != nil {
				if err := m.create(ctx, id); err != nil {
					return nil, err
				}
			}
			return &conn{id: id}, nil
		},
		Close: func(c *conn) error {
			if c.closed.Swap(true) {
				panic("closed twice")
			}
			m.shut.Add(1)
			if m.close != nil {
				return m.close(c)
			}
			return nil
		},
	}
	if m.validate != nil {
		h.Validate = m.validate
	}
	return h
}

func newPool(t testing.TB, c Config, m *maker) *Pool[*conn] {
	t.Helper()
	p, err := New("test", c, m.hooks())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// take acquires a resource that must be had.
func take(t testing.TB, p *Pool[*conn]) Lease[*conn] {
	t.Helper()
	l, err := p.Acquire(bg)
	if err != nil {
		t.Fatal(err)
	}
	if l.Value() == nil || l.Value().closed.Load() {
		t.Fatalf("acquired %+v", l.Value())
	}
	return l
}

// answer is what an Acquire in the background returned.
type answer struct {
	lease Lease[*conn]
	err   error
}

// wait starts an Acquire that has to wait.
func wait(ctx context.Context, p *Pool[*conn]) chan answer {
	end := make(chan answer, 1)
	go func() {
		l, err := p.Acquire(ctx)
		end <- answer{l, err}
	}()
	synctest.Wait()
	return end
}

// still fails if the Acquire has ended.
func still(t *testing.T, end chan answer) {
	t.Helper()
	synctest.Wait()
	select {
	case a := <-end:
		t.Fatalf("does not wait any more: %+v", a)
	default:
	}
}

// shut closes the pool, which must be possible within a virtual minute, and checks what holds then.
func shut(t *testing.T, p *Pool[*conn], m *maker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
	atEnd(t, p, m)
}

// atEnd checks a closed pool: everything made is closed, and every place and count is back.
func atEnd(t *testing.T, p *Pool[*conn], m *maker) {
	t.Helper()
	check(t, p)
	s := p.Snapshot()
	if s.Idle+s.Out+s.Creating+s.Closing+s.Waiting+s.Abandoned != 0 || p.jobs != 0 || p.queue.Len() != 0 {
		t.Errorf("closed: %+v, %d jobs", s, p.jobs)
	}
	if s.Created != s.Closed || len(p.free) != len(*p.slots.Load()) {
		t.Errorf("%d created, %d closed, %d of %d slots free", s.Created, s.Closed, len(p.free), len(*p.slots.Load()))
	}
	if _, err := p.Acquire(bg); !errors.Is(err, ErrClosed) {
		t.Errorf("Acquire after Close: %v", err)
	}
}

// check is what holds of a pool at any moment at which nobody is in the middle of something.
func check(t testing.TB, p *Pool[*conn]) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	c, n, idle := p.live.Load().Config, p.n, stack(p.idle.Load())
	if n.creating < 0 || n.closing < 0 || n.open < n.creating+idle.depth() || n.queued != p.queue.Len() {
		t.Fatalf("census %+v, %d idle, %d in the queue", n, idle.depth(), p.queue.Len())
	}
	if n.queued > 0 && idle.depth() > 0 {
		t.Fatalf("%d wait while %d are idle", n.queued, idle.depth())
	}
	if n.unserved() > 0 && n.room(&c) > 0 && !p.closed {
		t.Fatalf("%d wait with places free and nothing being created: %+v", n.queued, n)
	}
	if gate := p.gate.Load() != 0; gate != (p.closed || n.queued > 0 || n.surplus(&c) > 0) {
		t.Fatalf("the gate is %v: %+v", gate, n)
	}
	seen, depth := map[uint32]bool{}, 0
	for at := idle.top(); at != 0; at = (*p.slots.Load())[at-1].next.Load() {
		if depth++; seen[at] {
			t.Fatalf("slot %d lies twice on the idle stack", at)
		}
		seen[at] = true
	}
	if depth != idle.depth() {
		t.Fatalf("%d lie on the idle stack, which says %d", depth, idle.depth())
	}
	for _, sl := range p.free {
		if seen[sl.number] || sl.value.Load() != nil {
			t.Fatalf("slot %d is free and idle or full", sl.number)
		}
	}
}

// wantReason checks that err is a rejection for that reason.
func wantReason(t *testing.T, err error, want core.Reason) {
	t.Helper()
	if r, ok := errors.AsType[*core.Rejection](err); !ok || r.Reason != want || r.Kind != core.KindPool || r.Policy != "test" {
		t.Errorf("%v, want a rejection: %v", err, want)
	}
}
