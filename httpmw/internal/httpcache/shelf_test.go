package httpcache

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

func put(s *Shelf[int], key string, v int, bytes int64) {
	s.Update(key, func(int, bool) (int, int64, bool) { return v, bytes, true })
}

// check walks the ring: it holds what the map holds, and the bytes are the sum.
func (s *Shelf[V]) check(t *testing.T) {
	t.Helper()
	var n int
	var bytes int64
	hand := s.hand == &s.root
	for it := s.root.newer; it != &s.root; it = it.newer {
		if s.items[it.key] != it || it.newer.older != it {
			t.Fatal("the ring is broken")
		}
		n++
		bytes += it.bytes
		hand = hand || it == s.hand
	}
	if n != len(s.items) || bytes != s.bytes || s.bytes > s.max || !hand {
		t.Fatalf("%d items in the ring, %d in the map; %d bytes counted, %d summed, %d at most; hand there: %v",
			n, len(s.items), s.bytes, bytes, s.max, hand)
	}
}

func TestShelfKeepsItsBoundOnRandomOperations(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	s := NewShelf[int](1000)
	last := map[string]int{}
	for i := range 20000 {
		key := fmt.Sprint(rnd.IntN(40))
		switch rnd.IntN(10) {
		case 0:
			s.Delete(key)
			delete(last, key)
		case 1:
			s.SetMax(500 + rnd.Int64N(1000))
		case 2, 3, 4:
			put(s, key, i, 1+rnd.Int64N(300))
			last[key] = i
		default:
			if v, ok := s.Get(key); ok && v != last[key] {
				t.Fatalf("%s is %d, want %d", key, v, last[key])
			}
		}
		s.check(t)
	}
	s.Clear()
	s.check(t)
}

func TestShelfEvictsWhatNobodyAskedFor(t *testing.T) {
	s := NewShelf[int](3)
	for i := range 3 {
		put(s, fmt.Sprint(i), i, 1)
	}
	s.Get("0")
	put(s, "3", 3, 1)
	if _, ok := s.Get("0"); !ok {
		t.Error("the one in demand has gone")
	}
	if _, ok := s.Get("1"); ok {
		t.Error("the oldest without a mark is there")
	}
}

func TestShelfKeepsNothingLargerThanItself(t *testing.T) {
	s := NewShelf[int](10)
	put(s, "a", 1, 5)
	put(s, "b", 1, 5)
	put(s, "a", 2, 11)
	if _, ok := s.Get("a"); ok {
		t.Error("a value that was replaced is there")
	}
	if _, ok := s.Get("b"); !ok {
		t.Error("another had to go for nothing")
	}
	s.check(t)
}

func TestShelfFromSeveralGoroutines(t *testing.T) {
	s := NewShelf[int](1000)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 2))
			for range 2000 {
				key := fmt.Sprint(rnd.IntN(40))
				if rnd.IntN(2) == 0 {
					put(s, key, 1, 1+rnd.Int64N(100))
				}
				s.Get(key)
			}
		})
	}
	wg.Wait()
	s.check(t)
}
