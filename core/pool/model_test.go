package pool

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

// model is the pool as one would explain it. It knows no goroutines, no stack and no census.
type model struct {
	c        Config
	now      time.Duration
	idle     []int // ids, the last back at the end
	out      int
	creating int
	queue    []*call
	failing  bool
	wake     time.Duration // when filling is tried again; 0 never
	rejected uint64
	created  int
}

// call is a call in the model and in the shell.
type call struct {
	until time.Duration // when it gives up waiting
	state state
	id    int   // what it got, or
	why   error // why not

	cancel context.CancelFunc
	ended  chan answer
	lease  Lease[*conn]
}

type state int

const (
	queued state = iota
	holding
	refused
	finished
)

func (m *model) open() int { return len(m.idle) + m.out + m.creating }

func (m *model) arrive(c *call) {
	full := m.open() >= m.c.Max && len(m.queue)-m.creating >= int(max(m.c.Queue, 0))
	switch {
	case len(m.idle) > 0 && len(m.queue) == 0 && m.open() <= m.c.Max:
		m.grant(c)
	case full:
		m.refuse(c, core.ErrFull)
	default:
		c.until = m.now + m.c.MaxWait
		m.queue = append(m.queue, c)
		m.serve()
	}
}

func (m *model) grant(c *call) {
	last := len(m.idle) - 1
	c.state, c.id = holding, m.idle[last]
	m.idle = m.idle[:last]
	m.out++
}

func (m *model) refuse(c *call, why error) {
	c.state, c.why = refused, why
	if why != errDown {
		m.rejected++
	}
}

func (m *model) serve() {
	for m.open() > m.c.Max && len(m.idle) > 0 {
		m.idle = m.idle[1:]
	}
	for len(m.queue) > 0 && len(m.idle) > 0 {
		m.grant(m.queue[0])
		m.queue = m.queue[1:]
	}
	for m.open() < m.c.Max && (m.creating < len(m.queue) || m.open() < m.c.Min && !m.failing) {
		m.creating++
	}
}

// leave takes a queued call out.
func (m *model) leave(c *call, why error) {
	m.queue = slices.DeleteFunc(m.queue, func(x *call) bool { return x == c })
	m.refuse(c, why)
	m.serve()
}

func (m *model) end(c *call, keep bool) {
	c.state = finished
	m.out--
	if keep {
		m.idle = append(m.idle, c.id)
	}
	m.serve()
}

// creation ends one creation.
func (m *model) creation(ok bool) {
	m.creating--
	if m.failing = !ok; ok {
		m.created++
		m.idle = append(m.idle, m.created)
	} else {
		if len(m.queue) > 0 {
			m.refuse(m.queue[0], errDown)
			m.queue = m.queue[1:]
		}
		if m.open() < m.c.Min && m.wake == 0 {
			m.wake = m.now + retryFill
		}
	}
	m.serve()
}

func (m *model) tune(c Config) {
	m.c, m.wake = c, 0
	m.serve()
	if m.failing && m.open() < c.Min {
		m.wake = m.now + retryFill
	}
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
		switch {
		case m.wake != 0 && m.wake <= now && (first == nil || m.wake < first.until):
			m.now, m.wake, m.failing = m.wake, 0, false
			m.serve()
		case first != nil:
			m.now = first.until
			m.leave(first, core.ErrWaited)
		default:
			m.now = now
			return
		}
	}
}

// forge holds every Create until it is told how to end.
type forge struct {
	mu      sync.Mutex
	running []chan error
}

func (f *forge) create(context.Context, int) error {
	end := make(chan error)
	f.mu.Lock()
	f.running = append(f.running, end)
	f.mu.Unlock()
	return <-end
}

func (f *forge) end(err error) {
	f.mu.Lock()
	end := f.running[0]
	f.running = f.running[1:]
	f.mu.Unlock()
	end <- err
}

// TestShellEqualsModel drives both with random callers, ends, cancellations, creations, failures, Tunes and pauses.
func TestShellEqualsModel(t *testing.T) {
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 29))
			random := func() Config {
				c := Config{
					Max: 1 + rng.IntN(5), Queue: core.Count(1 + rng.IntN(4)), MaxWait: time.Duration(1+rng.IntN(4000)) * time.Millisecond,
					IdleTimeout: core.None, MaxLifetime: core.None, CreateTimeout: time.Hour,
				}
				c.Min = rng.IntN(c.Max + 1)
				if rng.IntN(4) == 0 {
					c.Queue = core.None
				}
				return c
			}
			c, f := random(), &forge{}
			mk := &maker{create: f.create}
			h := mk.hooks()
			ids := 0
			h.Create = func(ctx context.Context) (*conn, error) { // numbered as they are made, one at a time
				if err := f.create(ctx, 0); err != nil {
					return nil, err
				}
				ids++
				return &conn{id: ids}, nil
			}
			p, err := New("test", c, h)
			if err != nil {
				t.Fatal(err)
			}
			m, start := &model{c: c}, time.Now()
			var calls []*call
			for range 400 {
				time.Sleep(time.Duration(1 + rng.IntN(1_000_000_000)>>rng.IntN(20)))
				synctest.Wait()
				m.pass(time.Since(start))
				compare(t, m, p, calls)
				switch op := rng.IntN(20); {
				case op < 8:
					calls = append(calls, launch(m, p))
				case op < 13:
					if c := pick(rng, calls, holding); c != nil {
						if keep := rng.IntN(4) != 0; keep {
							c.lease.Release()
							m.end(c, true)
						} else {
							c.lease.Discard()
							m.end(c, false)
						}
					}
				case op < 17:
					if m.creating > 0 {
						ok := rng.IntN(3) != 0
						f.end(map[bool]error{false: errDown}[ok])
						m.creation(ok)
					}
				case op < 19:
					if c := pick(rng, calls, queued); c != nil {
						c.cancel()
						m.leave(c, core.ErrLeft)
					}
				default:
					c := random()
					if err := p.Tune(c); err != nil {
						t.Fatal(err)
					}
					m.tune(c)
				}
				synctest.Wait()
				compare(t, m, p, calls)
			}
			for _, c := range calls {
				c.cancel()
				c.lease.Release()
			}
			for _, c := range calls {
				if c.ended != nil {
					(<-c.ended).lease.Release()
				}
			}
			go func() { _ = p.Close(bg) }()
			synctest.Wait()
			for range len(f.running) {
				f.end(errDown)
			}
			shut(t, p, mk)
		})
	}
}

func launch(m *model, p *Pool[*conn]) *call {
	ctx, cancel := context.WithCancel(bg)
	c := &call{cancel: cancel, ended: make(chan answer, 1)}
	m.arrive(c)
	go func() {
		l, err := p.Acquire(ctx)
		c.ended <- answer{l, err}
	}()
	return c
}

func pick(rng *rand.Rand, calls []*call, s state) *call {
	for _, i := range rng.Perm(len(calls)) {
		if calls[i].state == s {
			return calls[i]
		}
	}
	return nil
}

// compare checks every call and every number. All goroutines are at rest.
func compare(t *testing.T, m *model, p *Pool[*conn], calls []*call) {
	t.Helper()
	check(t, p)
	for i, c := range calls {
		if c.ended == nil {
			continue
		}
		select {
		case a := <-c.ended:
			switch {
			case c.state == queued:
				t.Fatalf("call %d ended and should wait: %v", i, a.err)
			case c.state == refused && !errors.Is(a.err, c.why):
				t.Fatalf("call %d: %v, want %v", i, a.err, c.why)
			case c.state == holding && (a.err != nil || a.lease.Value().id != c.id):
				t.Fatalf("call %d: %v, %+v, want resource %d", i, a.err, a.lease.Value(), c.id)
			}
			c.ended, c.lease = nil, a.lease
		default:
			if c.state != queued {
				t.Fatalf("call %d waits and should be in state %d (%v)", i, c.state, c.why)
			}
		}
	}
	s := p.Snapshot()
	if s.Idle != len(m.idle) || s.Out != m.out || s.Creating != m.creating || s.Waiting != len(m.queue) || s.Closing != 0 ||
		s.Rejected != m.rejected || s.Created != uint64(m.created) {
		t.Fatalf("%+v\nwant %+v", s, *m)
	}
}
