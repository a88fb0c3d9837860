package ratelimit

import (
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// watch checks what must hold whatever happens, by an account of its own: exact time and lists of admitted calls.
type watch struct {
	t     *testing.T
	b     *book
	at    core.Time // latest time seen
	v     int64     // and the virtual time then
	start core.Time // when the clock in force began; earlier calls count as made then
	base  *big.Int  // what exact time has granted up to start, in parts of a unit
	grant map[int][]admission
	full  map[int]int64 // burst that counts for the key's window, units
}

// admission is an admitted call: what had been granted by its time, and its cost, units.
type admission struct {
	flow *big.Int
	cost int64
}

const part = 32 // bits of a unit in which flow is kept

func parts(units int64) *big.Int { return new(big.Int).Lsh(big.NewInt(units), part) }

func newWatch(t *testing.T, b *book, now core.Time) *watch {
	v, _ := b.k.virtual(now)
	return &watch{
		t: t, b: b, at: now, v: v, start: now, base: new(big.Int),
		grant: map[int][]admission{}, full: map[int]int64{},
	}
}

// flow is what exact time has granted up to now.
func (w *watch) flow(now core.Time) *big.Int {
	f := exactParts(max(now, w.start), w.start, &w.b.k)
	return f.Add(f, w.base)
}

func exactParts(to, from core.Time, k *clock) *big.Int {
	f := new(big.Int).Mul(parts(int64(k.tokens)), new(big.Int).SetUint64(uint64(to-from)))
	return f.Div(f, new(big.Int).SetUint64(k.period))
}

// pass lets time pass and checks that virtual time is monotone and precise.
func (w *watch) pass(now core.Time) {
	flow := w.flow(now)
	v := w.b.virtual(w.t, now)
	if w.b.k.start != w.start { // there was a sweep
		w.start, w.base = now, flow
	}
	if now < w.at {
		if v-w.v > 0 {
			w.t.Fatalf("virtual time is %d at %d and was %d at %d", v, now, w.v, w.at)
		}
		return
	}
	step := exactParts(now, w.at, &w.b.k)
	if step.Cmp(parts(maxSpan)) > 0 && v-w.v >= maxSpan {
		step = parts(v - w.v) // a gap longer than any debt may be cut
	}
	off := new(big.Int).Sub(parts(v-w.v), step)
	if v-w.v < 0 || off.Cmp(parts(-1)) <= 0 || off.Cmp(parts(3)) >= 0 {
		w.t.Fatalf("virtual time went %d units in %d ns, exactly %s/2^%d", v-w.v, now-w.at, step, part)
	}
	w.at, w.v = now, v
}

// tune also begins new windows for all keys if the burst shrinks: what the clamp forgives is granted once more.
func (w *watch) tune(c Config) {
	before := w.b.k.burst
	w.start, w.base = w.at, w.flow(w.at)
	w.b.tune(w.t, c, w.at)
	w.v, _ = w.b.k.virtual(w.at)
	if w.b.k.burst < before {
		clear(w.grant)
		clear(w.full)
	}
}

func (w *watch) call(key int, tokens int64, now core.Time) {
	w.pass(now)
	got := w.b.call(w.t, key, tokens, now)
	if now >= w.at && got.debt > w.b.k.burst {
		w.t.Fatalf("key %d owes %d units of a burst of %d", key, got.debt, w.b.k.burst)
	}
	if got.debt < 0 {
		w.t.Fatalf("key %d owes %d units", key, got.debt)
	}
	if !got.ok {
		return
	}
	w.full[key] = max(w.full[key], w.b.k.burst)
	w.grant[key] = append(w.grant[key], admission{w.flow(now), tokens << unitBits})
}

// windows checks that in no window more was admitted than the burst and what was granted meanwhile, and one token.
func (w *watch) windows() {
	for key, list := range w.grant {
		slices.SortStableFunc(list, func(a, b admission) int { return a.flow.Cmp(b.flow) })
		sum := new(big.Int)
		var lowest *big.Int // of the sum before a call less the flow at it
		for _, a := range list {
			start := new(big.Int).Sub(sum, a.flow)
			if lowest == nil || start.Cmp(lowest) < 0 {
				lowest = start
			}
			sum.Add(sum, parts(a.cost))
			over := new(big.Int).Sub(sum, a.flow)
			over.Sub(over, lowest)
			over.Sub(over, parts(w.full[key]))
			if over.Cmp(parts(unit)) > 0 {
				w.t.Fatalf("key %d was admitted %s/2^%d units over its limit", key, over, part)
			}
		}
	}
}

// FuzzMachine plays op bytes on the machine, and checks the invariants and the window of every key.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, int64(0))
	f.Add([]byte{0, 0, 0, 0x87, 0xff, 0, 0, 0xc3, 0, 0, 0x81, 0, 0}, int64(-1<<62))
	f.Add([]byte("\x47\x00\x40\x87\x47\x00\x86\x47\xe0\x00\xa0\x00\x47"), int64(1<<61))
	f.Add(slices.Repeat([]byte{0x00, 0xc8, 0xd0}, 70), int64(5))
	f.Fuzz(func(t *testing.T, ops []byte, start int64) {
		if start > 0 {
			start = -start // the ops move the clock on, by up to 2^63
		}
		now := core.Time(start)
		w := newWatch(t, newBook(t, Config{Limit: 10, Burst: 5}, now), now)
		for _, op := range ops[:min(len(ops), 400)] {
			x := int64(op & 0x3f)
			switch op >> 6 {
			case 0: // a call
				w.call(int(x&3), 1+x>>2, now)
			case 1: // a call by a clock behind, by up to 4 s
				w.call(int(x&3), 1+x>>4, max(now-core.Time(x)<<26, core.Time(start)))
			case 2: // time passes: from a nanosecond up to a year, and an odd bit
				now = now.Add(time.Duration(1)<<(x*54/63) + time.Duration(x))
				w.pass(now)
			case 3: // a Tune
				w.pass(now)
				c := w.b.c
				switch x & 7 {
				case 0:
					c.Burst = max(c.Burst-1-x>>3, 1)
				case 1:
					c.Burst += x
				case 2:
					c.Limit, c.Period = 1e9, time.Second
				case 3:
					c.Limit = max(c.Limit/(2+x>>3), 1)
				case 4:
					c.Limit, c.Period = 1+x, 24*time.Hour
				case 5:
					c.Limit, c.Period = 1+x, time.Millisecond
				case 6:
					c.Burst = 1e9
				case 7:
					c.Burst = 1 + x>>3
				}
				if c.Validate() == nil {
					w.tune(c)
				}
			}
		}
		w.windows()
	})
}
