package batch

import (
	"context"
	"errors"
	"slices"
	"sync"
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

// server is the other side: it notes the batches, and answers each item with ten times itself.
type server struct {
	mu    sync.Mutex
	seen  [][]int
	ctxs  []context.Context
	reply func(ctx context.Context, reqs []int) ([]int, error) // nil: at once
}

func (s *server) run(ctx context.Context, reqs []int) ([]int, error) {
	s.mu.Lock()
	s.seen = append(s.seen, slices.Clone(reqs))
	s.ctxs = append(s.ctxs, ctx)
	s.mu.Unlock()
	if s.reply != nil {
		return s.reply(ctx, reqs)
	}
	return times10(reqs), nil
}

func times10(reqs []int) []int {
	resps := make([]int, len(reqs))
	for i, r := range reqs {
		resps[i] = 10 * r
	}
	return resps
}

// batches returns what has been sent so far.
func (s *server) batches() [][]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func newBatcher(t testing.TB, c Config, s *server) *Batcher[int, int] {
	t.Helper()
	b, err := New("test", c, Hooks[int, int]{Run: s.run, Size: func(r int) int { return r }})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// answer is what a Do in the background returned.
type answer struct {
	resp int
	err  error
}

// do starts a Do, and lets it get as far as it can.
func do(ctx context.Context, b *Batcher[int, int], req int) chan answer {
	end := make(chan answer, 1)
	go func() {
		resp, err := b.Do(ctx, req)
		end <- answer{resp, err}
	}()
	synctest.Wait()
	return end
}

// still fails if the Do has ended.
func still(t *testing.T, end chan answer) {
	t.Helper()
	synctest.Wait()
	select {
	case a := <-end:
		t.Fatalf("does not wait any more: %+v", a)
	default:
	}
}

// wantOK checks the answer to req.
func wantOK(t *testing.T, end chan answer, req int) {
	t.Helper()
	if a := <-end; a.err != nil || a.resp != 10*req {
		t.Errorf("item %d: %d, %v", req, a.resp, a.err)
	}
}

func wantReason(t *testing.T, err error, want core.Reason) {
	t.Helper()
	if r, ok := errors.AsType[*core.Rejection](err); !ok || r.Reason != want || r.Kind != core.KindBatch || r.Policy != "test" {
		t.Errorf("%v, want a rejection: %v", err, want)
	}
}

// wantSent checks the batches so far.
func (s *server) wantSent(t *testing.T, want ...[]int) {
	t.Helper()
	synctest.Wait()
	if got := s.batches(); !slices.EqualFunc(got, want, slices.Equal[[]int]) {
		t.Errorf("sent %v, want %v", got, want)
	}
}

// shut closes the batcher, which must be possible within a virtual minute, and checks what holds then.
func shut(t *testing.T, b *Batcher[int, int]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
	check(t, b)
	if s := b.Snapshot(); s.Held+s.Running+s.Waiting+s.Collecting != 0 {
		t.Errorf("closed: %+v", s)
	}
	for _, mode := range []core.Mode{core.Enforce, core.Shadow, core.Disabled} {
		if err := b.Override(mode, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Do(bg, 1); !errors.Is(err, ErrClosed) {
			t.Errorf("Do after Close, %v: %v", mode, err)
		}
	}
}

// check is what holds of a batcher whenever its lock is free.
func check(t testing.TB, b *Batcher[int, int]) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	s, held := b.live.Load(), 0
	if (b.open != nil) != (b.timer != nil) {
		t.Fatalf("collecting: %v, a timer: %v", b.open != nil, b.timer != nil)
	}
	groups := slices.Clone(b.ready)
	if b.open != nil {
		groups = append(groups, b.open)
	}
	for _, g := range groups {
		here, bytes := 0, int64(0)
		for _, it := range g.items {
			if !it.gone {
				here++
				bytes += it.size
			}
		}
		if here != g.pile.items || bytes != g.pile.bytes || here == 0 || g.started {
			t.Fatalf("a batch has %d items of %d bytes and says %+v", here, bytes, g.pile)
		}
		held += here
	}
	if held != b.held {
		t.Fatalf("%d items held, counted %d", held, b.held)
	}
	if b.running < s.Config.Concurrency && len(b.ready) > 0 {
		t.Fatalf("%d batches are ready and only %d run", len(b.ready), b.running)
	}
	if b.queue.Len() > 0 && (b.held < s.Config.Queue || b.closed.Load()) {
		t.Fatalf("%d wait, with %d of %d places taken", b.queue.Len(), b.held, s.Config.Queue)
	}
	if b.open != nil && (b.closed.Load() || s.Policy.Mode != core.Enforce || b.open.pile.items >= s.Config.MaxItems) {
		t.Fatalf("still collecting %+v", b.open.pile)
	}
}
