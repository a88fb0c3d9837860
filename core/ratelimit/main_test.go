package ratelimit

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mw-go/mw/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func limiter(t testing.TB, c Config) *Limiter {
	t.Helper()
	l, err := New("test", c, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func keyedLimiter(t testing.TB, c Config) *Keyed {
	t.Helper()
	l, err := NewKeyed("test", c, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// book is the pure machine with the keys that a shell would keep for it.
type book struct {
	k      clock
	c      Config
	tats   map[int]int64
	sweeps int
}

func newBook(t testing.TB, c Config, now core.Time) *book {
	t.Helper()
	full, err := prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	return &book{k: newClock(nil, full, now), c: full, tats: map[int]int64{}}
}

// tune goes over to c, as the shell does.
func (b *book) tune(t testing.TB, c Config, now core.Time) {
	t.Helper()
	full, err := prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	v, yes := b.k.overdue(now)
	if !yes && full.Limit == b.c.Limit && full.Period == b.c.Period && full.Burst == b.c.Burst {
		return
	}
	if yes {
		b.sweeps++
		for key, raw := range b.tats {
			b.tats[key] = b.k.refresh(raw, v)
		}
		b.k = *b.k.freshened(v)
	}
	b.k, b.c = newClock(&b.k, full, now), full
}

// virtual returns the virtual time of now, after a sweep if one is due.
func (b *book) virtual(t testing.TB, now core.Time) int64 {
	t.Helper()
	v, due := b.k.virtual(now)
	if due {
		b.tune(t, b.c, now)
		if v, due = b.k.virtual(now); due {
			t.Fatalf("still due at %d after a sweep", now)
		}
	}
	return v
}

type verdict struct {
	ok    bool
	short int64
	retry time.Duration
	debt  int64
	left  int64
}

// call decides on a call of whole tokens.
func (b *book) call(t testing.TB, key int, tokens int64, now core.Time) verdict {
	t.Helper()
	v := b.virtual(t, now)
	raw, known := b.tats[key]
	if !known {
		raw = v
	}
	next, short, debt := b.k.admit(raw, v, tokens<<unitBits)
	b.tats[key] = next
	got := verdict{ok: short <= 0, short: short, debt: debt, left: b.k.left(debt)}
	if short > 0 {
		got.retry = b.k.wait(short)
		if next != raw {
			t.Fatalf("a rejected call changed the state from %d to %d", raw, next)
		}
	}
	return got
}
