package batch

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// model is the batcher as one would explain it. It decides by a pile, and knows no goroutines and no timers.
type model struct {
	c       Config
	now     time.Duration
	pile    pile
	open    []*call
	ready   [][]*call
	running [][]*call
	queue   []*call
	sent    [][]int // what has been called
}

// call is a call of Do in the model and in the shell.
type call struct {
	id    int
	size  int64
	until time.Duration // when it gives up waiting for a place
	state state
	why   error

	cancel context.CancelFunc
	ended  chan answer
}

type state int

const (
	waiting state = iota
	held
	running
	ended
)

func (m *model) heldItems() (n int) {
	for _, g := range append(slices.Clone(m.ready), m.open) {
		n += len(g)
	}
	return n
}

func (m *model) time() core.Time { return core.Time(m.now) }

func (m *model) arrive(c *call) {
	switch {
	case tooLarge(&m.c, c.size):
		c.state, c.why = ended, core.ErrTooCostly
	case len(m.queue) == 0 && m.heldItems() < m.c.Queue:
		m.put(c)
	case m.c.MaxWait == core.None:
		c.state, c.why = ended, core.ErrFull
	default:
		c.until = m.now + m.c.MaxWait
		m.queue = append(m.queue, c)
	}
	m.advance()
}

func (m *model) put(c *call) {
	if !m.pile.fits(&m.c, c.size) {
		m.seal()
	}
	c.state = held
	m.pile.add(c.size, m.time())
	m.open = append(m.open, c)
	if v := m.pile.verdict(&m.c, m.time()); v == full || v == heavy {
		m.seal()
	}
}

func (m *model) seal() {
	m.ready = append(m.ready, m.open)
	m.open, m.pile = nil, pile{}
}

func (m *model) advance() {
	for {
		free := len(m.running) < m.c.Concurrency
		switch {
		case free && len(m.ready) > 0:
			var ids []int
			for _, c := range m.ready[0] {
				c.state = running
				ids = append(ids, c.id)
			}
			m.sent = append(m.sent, ids)
			m.running = append(m.running, m.ready[0])
			m.ready = m.ready[1:]
		case free && m.pile.verdict(&m.c, m.time()) == due:
			m.seal()
		case len(m.queue) > 0 && m.heldItems() < m.c.Queue:
			m.put(m.queue[0])
			m.queue = m.queue[1:]
		default:
			return
		}
	}
}

// end ends running batch i.
func (m *model) end(i int, err error) {
	for _, c := range m.running[i] {
		if c.state == running {
			c.state, c.why = ended, err
		}
	}
	m.running = slices.Delete(m.running, i, i+1)
	m.advance()
}

func (m *model) leave(c *call) {
	without := func(g []*call) []*call { return slices.DeleteFunc(g, func(x *call) bool { return x == c }) }
	if c.state == held {
		if slices.Contains(m.open, c) {
			m.pile.remove(c.size)
		}
		m.open = without(m.open)
		for i := range m.ready {
			m.ready[i] = without(m.ready[i])
		}
		m.ready = slices.DeleteFunc(m.ready, func(g []*call) bool { return len(g) == 0 })
	}
	m.queue = without(m.queue)
	c.state, c.why = ended, context.Canceled
	m.advance()
}

func (m *model) tune(c Config) {
	m.c = c
	if v := m.pile.verdict(&m.c, m.time()); v == full || v == heavy {
		m.seal()
	}
	m.advance()
}

// pass lets time pass up to now.
func (m *model) pass(now time.Duration) {
	for {
		var first *call
		for _, c := range m.queue {
			if c.until <= now && (first == nil || c.until < first.until) {
				first = c
			}
		}
		dueAt := time.Duration(m.pile.since) + m.c.Delay
		switch {
		case m.pile.items > 0 && dueAt > m.now && dueAt <= now && (first == nil || dueAt < first.until):
			m.now = dueAt
			m.advance()
		case first != nil:
			m.now = first.until
			m.queue = slices.DeleteFunc(m.queue, func(x *call) bool { return x == first })
			first.state, first.why = ended, core.ErrWaited
			m.advance()
		default:
			m.now = now
			return
		}
	}
}

// station holds every call of Run until it is told how to end.
type station struct {
	mu      sync.Mutex
	sent    [][]int
	running map[int]chan error // by the first item
}

func (s *station) run(_ context.Context, reqs []int) ([]int, error) {
	end := make(chan error)
	s.mu.Lock()
	s.sent = append(s.sent, slices.Clone(reqs))
	s.running[reqs[0]] = end
	s.mu.Unlock()
	return times10(reqs), <-end
}

// end lets the call whose first item that is return.
func (s *station) end(first int, err error) {
	s.mu.Lock()
	end := s.running[first]
	s.mu.Unlock()
	end <- err
}

// TestShellEqualsModel drives both with random callers, ends, failures, cancellations, Tunes and pauses.
func TestShellEqualsModel(t *testing.T) {
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 53))
			random := func() Config {
				c := Config{
					MaxItems: 1 + rng.IntN(4), MaxBytes: core.Count(20 + rng.IntN(20)), Concurrency: 1 + rng.IntN(3),
					Delay: time.Duration(1+rng.IntN(1000)) * time.Millisecond, MaxWait: time.Duration(1+rng.IntN(2000)) * time.Millisecond,
				}
				if c.Queue = c.MaxItems + rng.IntN(5); rng.IntN(4) == 0 {
					c.MaxWait = core.None
				}
				return c
			}
			c, s := random(), &station{running: map[int]chan error{}}
			sizes := map[int]int{}
			b, err := New("test", c, Hooks[int, int]{Run: s.run, Size: func(id int) int { return sizes[id] }})
			if err != nil {
				t.Fatal(err)
			}
			m, start := &model{c: c}, time.Now()
			m.c.Queue = max(c.Queue, c.MaxItems)
			var calls []*call
			for id := range 400 {
				time.Sleep(time.Duration(1 + rng.IntN(500_000_000)>>rng.IntN(20)))
				synctest.Wait()
				m.pass(time.Since(start))
				compare(t, m, b, s, calls)
				switch op := rng.IntN(20); {
				case op < 10:
					c := &call{id: id, size: int64(rng.IntN(22)), ended: make(chan answer, 1)}
					sizes[id] = int(c.size)
					var ctx context.Context
					ctx, c.cancel = context.WithCancel(bg)
					calls = append(calls, c)
					m.arrive(c)
					go func() { resp, err := b.Do(ctx, id); c.ended <- answer{resp, err} }()
				case op < 15:
					if n := len(m.running); n > 0 {
						i, err := rng.IntN(n), error(nil)
						if rng.IntN(4) == 0 {
							err = errDown
						}
						s.end(m.running[i][0].id, err)
						m.end(i, err)
					}
				case op < 19:
					if live := slices.DeleteFunc(slices.Clone(calls), func(c *call) bool { return c.state == ended }); len(live) > 0 {
						c := live[rng.IntN(len(live))]
						c.cancel()
						m.leave(c)
					}
				default:
					c := random()
					if err := b.Tune(c); err != nil {
						t.Fatal(err)
					}
					m.tune(c)
				}
				synctest.Wait()
				compare(t, m, b, s, calls)
			}
			for _, c := range calls {
				c.cancel()
			}
			synctest.Wait()
			for _, g := range m.running {
				s.end(g[0].id, nil)
			}
			shut(t, b)
			check(t, b)
		})
	}
}

// compare checks every call, every batch and every number. All goroutines are at rest.
func compare(t *testing.T, m *model, b *Batcher[int, int], s *station, calls []*call) {
	t.Helper()
	check(t, b)
	for _, c := range calls {
		if c.ended == nil {
			continue
		}
		select {
		case a := <-c.ended:
			if c.state != ended || !errors.Is(a.err, c.why) || a.err == nil && a.resp != 10*c.id {
				t.Fatalf("call %d ended with %+v and is in state %d (%v)", c.id, a, c.state, c.why)
			}
			c.ended = nil
		default:
			if c.state == ended {
				t.Fatalf("call %d should have ended: %v", c.id, c.why)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if got, want := byFirst(s.sent), byFirst(m.sent); !slices.EqualFunc(got, want, slices.Equal[[]int]) {
		t.Fatalf("sent %v\nwant %v", got, want)
	}
	if n := b.Snapshot(); n.Held != m.heldItems() || n.Collecting != len(m.open) || n.Running != len(m.running) || n.Waiting != len(m.queue) {
		t.Fatalf("%+v\nwant %+v", n, *m)
	}
}

// byFirst orders batches by their first item: two that start at once may come in either order.
func byFirst(batches [][]int) [][]int {
	return slices.SortedFunc(slices.Values(batches), slices.Compare[[]int])
}
