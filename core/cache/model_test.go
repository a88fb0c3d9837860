package cache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// model is the cache without goroutines: a sieve of lives, what is under each key, and the loads in the background.
type model struct {
	c      Config
	r      rules
	mode   core.Mode
	now    core.Time
	draw   float64
	shelf  sieve
	under  map[int]answer
	loads  map[int]*pending // at most one a key may fill the cache
	n      Snapshot
	adrift []*pending
}

// answer is what a Get returns and a load brings.
type answer struct {
	v   int
	err error
}

// pending is a load in the background.
type pending struct {
	key   int
	began core.Time
	lands core.Time
	ends  core.Time // by RefreshTimeout
	with  answer
	took  time.Duration
}

var (
	errNegative = errors.New("negative")
	errAnswer   = errors.New("answer")
)

func (m *model) lookup(key int) (life, bool) {
	if i := m.shelf.find(key); i >= 0 {
		return m.shelf.list[i].life, true
	}
	return life{}, false
}

func (m *model) put(key int, a answer, l life) {
	before := len(m.shelf.list)
	had := m.shelf.find(key) >= 0
	l.born = m.now
	m.shelf.put(key, l, &m.r, m.now)
	if !had && before >= len(m.shelf.list) {
		m.n.Evicted += uint64(before + 1 - len(m.shelf.list))
	}
	m.under[key] = a
	maps.DeleteFunc(m.under, func(k int, _ answer) bool { return m.shelf.find(k) < 0 })
}

// settle is what the end of a load does for its key.
func (m *model) settle(key int, a answer, took time.Duration, listed bool) answer {
	m.n.Loads++
	failed := a.err != nil && a.err != errNegative && a.err != errAnswer
	if failed {
		m.n.Failures++
	}
	if !listed {
		return a
	}
	switch {
	case a.err == nil:
		m.put(key, a, lifeFor(&m.r, 0, 0.5, took))
	case a.err == errNegative:
		m.put(key, a, lifeForError(0.5))
	case failed:
		if l, ok := m.lookup(key); ok && l.covers(&m.r, m.now) {
			m.n.Rescued++
			return m.under[key]
		}
	}
	return a
}

// pass lets time go on to now: loads in the background land, or are cancelled.
func (m *model) pass(now core.Time) {
	for {
		var next *pending
		at := now + 1
		for _, p := range slices.Concat(slices.Collect(maps.Values(m.loads)), m.adrift) {
			if t := min(p.lands, p.ends); t < at {
				next, at = p, t
			}
		}
		if next == nil {
			m.now = now
			return
		}
		m.now = at
		listed := m.loads[next.key] == next
		if next.ends < next.lands {
			m.n.Abandoned++
			next.with, listed = answer{err: context.Canceled}, false
		}
		m.forget(next)
		m.settle(next.key, next.with, at.Sub(next.began), listed)
	}
}

func (m *model) forget(p *pending) {
	if m.loads[p.key] == p {
		delete(m.loads, p.key)
	}
	m.adrift = slices.DeleteFunc(m.adrift, func(x *pending) bool { return x == p })
}

func (m *model) supersede(key int) {
	if p := m.loads[key]; p != nil {
		m.n.Superseded++
		m.adrift = append(m.adrift, p)
		delete(m.loads, key)
	}
}

// get is Get by a caller with all the time in the world, whose load would return a after took.
func (m *model) get(key int, a answer, took time.Duration) answer {
	l, ok := m.lookup(key)
	f := dead
	if ok {
		f = l.fate(&m.r, m.now, m.draw)
	}
	if m.mode != core.Enforce {
		return m.beside(key, f, a, took)
	}
	if f.refreshes() && m.loads[key] == nil {
		m.n.Refreshes++
		m.loads[key] = &pending{key, m.now, m.now.Add(took), m.now.Add(m.c.RefreshTimeout), a, took}
	}
	if f.answers() {
		m.shelf.list[m.shelf.find(key)].seen = true
		switch got := m.under[key]; {
		case f == stale:
			m.n.Stales++
			return got
		case got.err != nil:
			m.n.Negatives++
			return got
		default:
			m.n.Hits++
			return got
		}
	}
	m.n.Misses++
	p := m.loads[key]
	if p != nil {
		m.n.Joined++
	} else {
		p = &pending{key: key, began: m.now, lands: m.now.Add(took), with: a, took: took}
		m.loads[key] = p
	}
	p.ends = 1 << 62 // there is somebody who waits
	at := p.lands
	m.pass(at - 1)
	m.now = at
	m.forget(p)
	return m.settle(key, p.with, at.Sub(p.began), true)
}

// beside is Get in shadow and disabled mode.
func (m *model) beside(key int, f fate, a answer, took time.Duration) answer {
	m.n.Passed++
	ticket := m.mode == core.Shadow && f != fresh
	if m.mode == core.Shadow && f.answers() {
		m.n.Shadowed++
		m.shelf.list[m.shelf.find(key)].seen = true
	}
	m.pass(m.now.Add(took))
	if ticket {
		loads, failures := m.n.Loads, m.n.Failures
		if a.err == nil || a.err == errNegative {
			m.settle(key, a, took, true)
		}
		m.n.Loads, m.n.Failures = loads, failures
	}
	return a
}

func (m *model) peek(key int) (int, bool) {
	l, ok := m.lookup(key)
	if !ok || l.negative() || m.mode != core.Enforce || !l.fate(&m.r, m.now, 0).answers() {
		return 0, false
	}
	return m.under[key].v, true
}

func (m *model) delete(key int) {
	m.supersede(key)
	if i := m.shelf.find(key); i >= 0 {
		m.shelf.remove(i)
		delete(m.under, key)
	}
}

func (m *model) tune(c Config, inForce Config) bool {
	full, err := prepare(c, &inForce)
	if err != nil {
		return false
	}
	m.c, m.r, m.mode, m.shelf.limit = full, derive(full), full.Mode, full.Size
	return true
}

// TestShellEqualsModel drives both with random operations by one caller, in virtual time.
func TestShellEqualsModel(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) { shellEqualsModel(t, rand.New(rand.NewPCG(seed, 23))) })
	}
}

func shellEqualsModel(t *testing.T, rng *rand.Rand) {
	const ms = time.Millisecond
	size := 1 + rng.IntN(12)
	random := func() Config {
		c := Config{
			Size: size + rng.IntN(3) - 1, TTL: time.Duration(1+rng.IntN(2000)) * ms, Jitter: core.Ratio(0.1 + rng.Float64()/2),
			NegativeTTL: time.Duration(1+rng.IntN(500)) * ms, RefreshTimeout: time.Duration(1+rng.IntN(300)) * ms,
		}
		if rng.IntN(2) == 0 {
			c.StaleWhileRevalidate = time.Duration(rng.IntN(1000)) * ms
		}
		if rng.IntN(2) == 0 {
			c.StaleIfError = time.Duration(rng.IntN(2000)) * ms
		}
		if rng.IntN(2) == 0 {
			c.EarlyRefresh = 10 * rng.Float64()
		}
		if rng.IntN(5) == 0 {
			c.Mode = core.Mode(rng.IntN(3))
		}
		return c
	}
	first := random()
	first.Size = size
	h := Hooks[int, int]{Negative: func(err error) bool { return err == errNegative }}
	h.Classify = func(ctx context.Context, err error) core.Outcome {
		if err == errAnswer {
			return core.Success
		}
		return core.Failure
	}
	c, err := New("test", first, h)
	if err != nil {
		t.Fatal(err)
	}
	m := &model{under: map[int]answer{}, loads: map[int]*pending{}, now: core.Now()}
	m.tune(first, Config{})
	c.uniform = func() float64 { return 0.5 }
	draw := 0.0
	c.exponential = func() float64 { return draw }

	next := 0
	for range 400 {
		time.Sleep(time.Duration(1 + rng.IntN(400_000_000)>>rng.IntN(16)))
		synctest.Wait()
		m.pass(core.Now())
		draw = rng.ExpFloat64()
		m.draw = draw
		key := rng.IntN(size + 4)
		op := rng.IntN(20)
		note := ""
		switch {
		case op < 12:
			next++
			a := answer{v: next}
			if rng.IntN(3) == 0 {
				a = answer{err: []error{errDown, errNegative, errAnswer}[rng.IntN(3)]}
			}
			took := time.Duration(1 + rng.IntN(400_000_000)>>rng.IntN(16))
			v, err := c.Get(bg, key, func(ctx context.Context) (int, error) {
				select {
				case <-time.After(took):
					return a.v, a.err
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			})
			got, want := answer{v, err}, m.get(key, a, took)
			note = fmt.Sprintf("Get(%d) is %v, want %v", key, got, want)
			if got != want {
				t.Fatal(note)
			}
		case op < 14:
			next++
			if err := c.Set(bg, key, next); err != nil {
				t.Fatal(err)
			}
			m.supersede(key)
			m.put(key, answer{v: next}, lifeFor(&m.r, 0, 0.5, 0))
		case op < 16:
			_ = c.Delete(bg, key)
			m.delete(key)
		case op < 18:
			v, ok := c.Peek(key)
			if wantV, wantOK := m.peek(key); v != wantV || ok != wantOK {
				t.Fatalf("Peek(%d) is %d, %v, want %d, %v", key, v, ok, wantV, wantOK)
			}
		case op < 19:
			to := random()
			if applied := m.tune(to, m.c); applied != (c.Tune(to) == nil) {
				t.Fatalf("Tune(%+v): the model says %v", to, applied)
			}
		case rng.IntN(5) == 0:
			c.Purge()
			for key := range m.loads {
				m.supersede(key)
			}
			m.shelf.list, m.shelf.hand = nil, nil
			clear(m.under)
		}
		synctest.Wait()
		m.pass(core.Now())
		compare(t, m, c, note)
	}
	if err := c.Close(bg); err != nil {
		t.Fatal(err)
	}
	atRest(t, c)
}

// compare checks every entry and every number. All goroutines are at rest.
func compare(t *testing.T, m *model, c *Cache[int, int], note string) {
	t.Helper()
	sh := &c.shards[0]
	sh.mu.Lock()
	check(t, &sh.shelf)
	err := m.agree(&sh.shelf)
	for e := range sh.entries() {
		if got := (answer{e.value, e.err()}); got != m.under[e.key] {
			err = errors.Join(err, fmt.Errorf("under %d is %v, want %v", e.key, got, m.under[e.key]))
		}
	}
	sh.mu.Unlock()
	if err != nil {
		t.Fatalf("%s: %v", note, err)
	}
	s := c.Snapshot()
	want := m.n
	want.Status, want.Config = s.Status, s.Config
	want.Shadowed, want.Entries, want.Loading = m.n.Shadowed, len(m.shelf.list), len(m.loads)+len(m.adrift)
	if s != want {
		t.Fatalf("%s:\ngot  %+v\nwant %+v", note, s, want)
	}
}

// agree of the model is that of its shelf.
func (m *model) agree(s *shelf[int, int]) error { return m.shelf.agree(s) }
