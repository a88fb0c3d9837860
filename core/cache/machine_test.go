package cache

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

var fateNames = map[fate]string{dead: "dead", spare: "spare", stale: "stale", early: "early", fresh: "fresh"}

func (f fate) String() string { return fateNames[f] }

// TestLife walks rows L1 to L5 of the table in doc.go, at both sides of every edge.
func TestLife(t *testing.T) {
	const s = time.Second
	swr := derive(Config{TTL: 10 * s, NegativeTTL: 2 * s, Jitter: core.None, StaleWhileRevalidate: 5 * s})
	both := derive(Config{TTL: 10 * s, NegativeTTL: 2 * s, Jitter: core.None, StaleWhileRevalidate: 5 * s, StaleIfError: 20 * s})
	sie := derive(Config{TTL: 10 * s, NegativeTTL: 2 * s, Jitter: 0.5, StaleIfError: 5 * s})
	xf := derive(Config{TTL: 10 * s, NegativeTTL: 2 * s, Jitter: core.None, EarlyRefresh: 2})
	end := derive(Config{TTL: core.None, NegativeTTL: 2 * s, Jitter: core.None})
	plain, failure := lifeFor(&both, 0, 0.5, s), lifeForError(0.5)
	own := lifeFor(&both, 3*s, 0.5, 0)
	for _, tt := range []struct {
		name string
		l    life
		r    rules
		age  time.Duration
		draw float64
		want fate
	}{
		{"L1 new", plain, both, 0, 9, fresh},
		{"L1 the last moment", plain, both, 10*s - 1, 9, fresh},
		{"L3 the first moment", plain, both, 10 * s, 9, stale},
		{"L3 the last moment", plain, both, 15*s - 1, 9, stale},
		{"L3 is not L4", plain, swr, 12 * s, 9, stale},
		{"L4 the first moment", plain, both, 15 * s, 9, spare},
		{"L4 the last moment", plain, both, 30*s - 1, 9, spare},
		{"L5", plain, both, 30 * s, 9, dead},
		{"L5 without StaleIfError", plain, swr, 15 * s, 9, dead},
		{"L5 long after", plain, both, math.MaxInt64 / 2, 9, dead},
		{"L1 an error", failure, both, 2*s - 1, 9, fresh},
		{"L5 an error has no second life", failure, both, 2 * s, 9, dead},
		{"L1 a life of its own", own, both, 3*s - 1, 9, fresh},
		{"L3 a life of its own", own, both, 3 * s, 9, stale},
		{"L1 half of the jitter", plain, sie, 7500*time.Millisecond - 1, 9, fresh},
		{"L4 half of the jitter", plain, sie, 7500 * time.Millisecond, 9, spare},
		{"L2 drawn", plain, xf, 8 * s, 1, early},
		{"L1 not drawn", plain, xf, 8 * s, 0.99, fresh},
		{"L1 not drawn, much earlier", plain, xf, 2*s - 1, 4, fresh},
		{"L2 drawn, much earlier", plain, xf, 2 * s, 4, early},
		{"L1 an error is not refreshed early", failure, xf, 2*s - 1, 36, fresh},
		{"L1 set, not loaded: nothing is known of its load", own, xf, 3*s - 1, 36, fresh},
		{"L1 without end", plain, end, math.MaxInt64 / 2, 9, fresh},
		{"L1 a clock that went back", plain, both, -time.Hour, 9, fresh},
		{"L1 a clock that went back very far", plain, both, math.MinInt64 / 2, 9, fresh},
	} {
		tt.l.born = -5000 // a time below zero is as good as any
		now := tt.l.born.Add(tt.age)
		if got := tt.l.fate(&tt.r, now, tt.draw); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if surely(tt.l, &tt.r, now) && tt.want != fresh {
			t.Errorf("%s: surely fresh", tt.name)
		}
		covers := now < tt.l.born.Add(tt.l.span(&tt.r)).Add(tt.r.sie) && !tt.l.negative()
		if got := tt.l.covers(&tt.r, now); got != covers || (tt.want == spare || tt.want == fresh && !tt.l.negative()) && !got {
			t.Errorf("%s: covers is %v", tt.name, got)
		}
	}
}

func surely(l life, r *rules, now core.Time) bool { return newEntry(0, 0, l, 0, nil).surely(r, now) }

// TestSurelyIsNoMoreThanFresh: the fast path never answers where the whole decision could not.
func TestSurelyIsNoMoreThanFresh(t *testing.T) {
	for _, beta := range []float64{0, 0.1, 1, 10} {
		for _, took := range []time.Duration{0, time.Microsecond, time.Millisecond, time.Hour, 1000 * time.Hour} {
			r := derive(Config{TTL: time.Minute, Jitter: 0.3, EarlyRefresh: beta})
			l := lifeFor(&r, 0, 0.9, took)
			sure := 0
			for age := time.Duration(0); age < 2*time.Minute; age += 97 * time.Millisecond {
				now := l.born.Add(age)
				if !surely(l, &r, now) {
					continue
				}
				if sure++; l.fate(&r, now, math.Inf(1)) != fresh {
					t.Fatalf("beta %v, took %v: surely fresh at %v and %v at the worst draw", beta, took, age, l.fate(&r, now, math.Inf(1)))
				}
			}
			if sure == 0 && (beta == 0 || took < time.Second) {
				t.Errorf("beta %v, took %v: never surely fresh", beta, took)
			}
		}
	}
}

// TestEarlyRefreshIsXFetch: over many draws the share of early refreshes is that of the formula,
// P(-beta*took*ln(U) >= left) = exp(-left/(beta*took)).
func TestEarlyRefreshIsXFetch(t *testing.T) {
	r := derive(Config{TTL: time.Minute, Jitter: core.None, EarlyRefresh: 1.5})
	l := lifeFor(&r, 0, 0, 2*time.Second)
	for _, left := range []time.Duration{time.Second, 3 * time.Second, 9 * time.Second} {
		const draws = 100_000
		n := 0
		for i := range draws {
			u := (float64(i) + 0.5) / draws
			if l.fate(&r, l.born.Add(time.Minute-left), -math.Log(u)) == early {
				n++
			}
		}
		if got, want := float64(n)/draws, math.Exp(-left.Seconds()/3); math.Abs(got-want) > 1e-4 {
			t.Errorf("%v before the end: a share of %v, want %v", left, got, want)
		}
	}
}

func TestLifeStaysInRange(t *testing.T) {
	r := derive(Config{TTL: 8760 * time.Hour, NegativeTTL: 24 * time.Hour, Jitter: 0.9, EarlyRefresh: 10})
	for _, share := range []float64{0, 0.5, 0.999999999, 1} {
		for _, own := range []time.Duration{-5, 0, 1, time.Hour, maxTTL} {
			for _, took := range []time.Duration{-1, 0, time.Hour, math.MaxInt64} {
				l := lifeFor(&r, own, share, took)
				full := r.ttl
				if own > 0 {
					full = own
				}
				if span := l.span(&r); span < full/11 || span > full || span < 1 || l.negative() {
					t.Errorf("own %v, share %v, took %v: %v, negative %v", own, share, took, span, l.negative())
				}
				if got := l.loading(); got < 0 || got > 72*time.Minute {
					t.Errorf("took %v is kept as %v", took, got)
				}
			}
		}
		l := lifeForError(share)
		if span := l.span(&r); span < 2*time.Hour || span > 24*time.Hour || !l.negative() || l.loading() != 0 {
			t.Errorf("share %v: an error for %v", share, span)
		}
	}
}

// sieve is a shelf as one would explain it: a list from old to new, and a hand.
type sieve struct {
	list  []*book
	hand  *book
	limit int
}

type book struct {
	key  int
	seen bool
	life life
}

func (m *sieve) find(key int) int {
	return slices.IndexFunc(m.list, func(b *book) bool { return b.key == key })
}

func (m *sieve) put(key int, l life, r *rules, now core.Time) {
	if i := m.find(key); i >= 0 {
		m.list[i].life = l
		return
	}
	for len(m.list) >= m.limit {
		i := max(slices.Index(m.list, m.hand), 0)
		for m.list[i].seen && m.list[i].life.fate(r, now, 0) != dead {
			m.list[i].seen = false
			i = (i + 1) % len(m.list)
		}
		m.hand = m.list[i]
		m.remove(i)
	}
	m.list = append(m.list, &book{key: key, life: l})
}

func (m *sieve) remove(i int) {
	if m.list[i] == m.hand {
		m.hand = nil
		if i+1 < len(m.list) {
			m.hand = m.list[i+1]
		}
	}
	m.list = slices.Delete(m.list, i, i+1)
}

// agree compares a shelf with its model, entry by entry.
func (m *sieve) agree(s *shelf[int, int]) error {
	i := 0
	for e := range s.entries() {
		if i >= len(m.list) || e.key != m.list[i].key || e.seen.Load() != m.list[i].seen || e.life() != m.list[i].life {
			return fmt.Errorf("entry %d is %d, seen %v; the model has %+v", i, e.key, e.seen.Load(), m.list[min(i, len(m.list)-1)])
		}
		i++
	}
	hand := 0
	if s.hand != 0 {
		hand = 1 + s.places[s.hand].entry.key
	}
	want := 0
	if m.hand != nil {
		want = 1 + m.hand.key
	}
	if i != len(m.list) || hand != want {
		return fmt.Errorf("%d entries, want %d; hand %d, want %d", i, len(m.list), hand, want)
	}
	return nil
}

// FuzzMachine drives a shelf and its model with the same operations. Keys collide often: their hashes have few bits.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{4, 0x01, 0x02, 0x03, 0x04, 0x41, 0x05, 0x06, 0x82, 0x07, 0xc0, 0x08, 0xc3, 0x01})
	f.Add([]byte{1, 0x01, 0x41, 0x02, 0x42, 0x03, 0x81, 0x82, 0x83, 0x01})
	f.Add([]byte{40, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 0x8a, 0x8b, 0x81, 0x95, 0xff, 1, 2})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) == 0 || len(ops) > 2000 {
			return
		}
		limit := 1 + int(ops[0]%48)
		s, m := &shelf[int, int]{limit: limit}, &sieve{limit: limit}
		s.clear()
		r := derive(Config{TTL: 20, NegativeTTL: 7, Jitter: 0.5, StaleIfError: 10})
		now := core.Time(-100)
		for _, op := range ops[1:] {
			key := int(op & 0x3f)
			hash := uint32(key % 11)
			switch op >> 6 {
			case 0: // put, sometimes an error
				l := lifeFor(&r, time.Duration(key%3), float64(key)/64, 0)
				if key%5 == 0 {
					l = lifeForError(0.5)
				}
				l.born = now
				s.put(newEntry(hash, key, l, key, nil), &r, now)
				m.put(key, l, &r, now)
			case 1: // ask
				if e, i := s.index.Load().find(hash, key), m.find(key); (e != nil) != (i >= 0) {
					t.Fatalf("key %d: found %v, want %v", key, e != nil, i >= 0)
				} else if e != nil {
					e.touch()
					m.list[i].seen = true
				}
			case 2: // remove
				if e := s.index.Load().find(hash, key); e != nil {
					s.remove(e)
					m.remove(m.find(key))
				}
			case 3: // time passes, or back; room grows; all is forgotten
				now += core.Time(key) - 8
				if key == 62 {
					s.limit, m.limit = s.limit+3, m.limit+3
				}
				if key == 63 {
					s.clear()
					m.list, m.hand = nil, nil
				}
			}
			check(t, s)
			if err := m.agree(s); err != nil {
				t.Fatalf("after %#x: %v", op, err)
			}
		}
	})
}

// TestWalkIsBounded: where every entry is in demand, an eviction does not go round them all.
func TestWalkIsBounded(t *testing.T) {
	s := &shelf[int, int]{limit: 10 * maxWalk}
	s.clear()
	r := derive(Config{TTL: time.Hour})
	put := func(key int) {
		s.put(&entry[int, int]{hash: uint32(key), key: key}, &r, 0)
	}
	for i := range s.limit {
		put(i)
	}
	for e := range s.entries() {
		e.touch()
	}
	put(-1)
	cleared := 0
	for e := range s.entries() {
		if !e.seen.Load() && e.key >= 0 {
			cleared++
		}
	}
	if cleared > maxWalk || cleared < maxWalk-1 || s.length != s.limit {
		t.Errorf("%d passed over, %d entries", cleared, s.length)
	}
	check(t, s)
}
