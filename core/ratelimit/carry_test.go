package ratelimit

import (
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// eager is what the machine must be indistinguishable from: a debt in tokens for each key, all of them settled and
// clamped one by one at every Tune. Time does not run backwards in it.
type eager struct {
	c    Config
	at   core.Time
	debt map[int]*big.Float
}

func float() *big.Float { return new(big.Float).SetPrec(256) }

// settle lets time pass.
func (e *eager) settle(now core.Time) {
	paid := float().SetInt64(int64(now - e.at))
	paid.Mul(paid, float().SetInt64(e.c.Limit))
	paid.Quo(paid, float().SetInt64(int64(e.c.Period)))
	for _, debt := range e.debt {
		if debt.Sub(debt, paid); debt.Sign() < 0 {
			debt.SetInt64(0)
		}
	}
	e.at = now
}

func (e *eager) tune(c Config, now core.Time) {
	e.settle(now)
	e.c = c
	for _, debt := range e.debt {
		if most := float().SetInt64(c.Burst); debt.Cmp(most) > 0 {
			debt.Set(most)
		}
	}
}

// owes returns the key's debt in units.
func (e *eager) owes(key int, now core.Time) float64 {
	e.settle(now)
	if e.debt[key] == nil {
		e.debt[key] = float()
	}
	f, _ := float().Mul(e.debt[key], float().SetInt64(unit)).Float64()
	return f
}

// pair drives the machine and the model side by side.
type pair struct {
	t     *testing.T
	b     *book
	e     eager
	tunes int
}

func newPair(t *testing.T, c Config) *pair {
	b := newBook(t, c, 0)
	return &pair{t: t, b: b, e: eager{c: b.c, debt: map[int]*big.Float{}}}
}

func (p *pair) tune(c Config, now core.Time) {
	p.t.Helper()
	p.b.tune(p.t, c, now)
	p.e.tune(p.b.c, now)
	p.tunes++
}

// call compares the verdicts and the debts. They may differ by a unit for each Tune, and where that decides, the model
// follows.
func (p *pair) call(key int, tokens int64, now core.Time) verdict {
	p.t.Helper()
	owed := p.e.owes(key, now)
	got := p.b.call(p.t, key, tokens, now)
	before := float64(got.debt)
	if got.ok {
		before -= float64(tokens << unitBits)
	}
	slack := float64(p.tunes + 2)
	if before < owed-2 || before > owed+slack {
		p.t.Fatalf("key %d at %v after %d Tunes: owes %f units, should %f", key, time.Duration(now), p.tunes, before, owed)
	}
	room := float64(p.b.k.burst) - owed - float64(tokens<<unitBits)
	if got.ok && room < -2 || !got.ok && room >= slack {
		p.t.Fatalf("key %d at %v: %+v with %f units to spare", key, time.Duration(now), got, room)
	}
	if got.ok {
		p.e.debt[key].Add(p.e.debt[key], float().SetInt64(tokens))
	}
	return got
}

// TestShrinkClampsLikeAnEagerModel: one to many smaller bursts in a row, for keys touched in between and not, at once and
// with time between them.
func TestShrinkClampsLikeAnEagerModel(t *testing.T) {
	for _, shrinks := range []int{1, 2, 3, 5, 63, 64, 65, 66, 140} {
		for _, every := range []time.Duration{0, time.Millisecond, time.Second, time.Minute} {
			p := newPair(t, Config{Limit: 1, Burst: 1000})
			now := core.Time(0)
			for key := range 400 {
				p.call(key, int64(1000-key), now)
			}
			for i := range shrinks {
				now = now.Add(every)
				burst := int64(999 - 3*i)
				p.tune(Config{Limit: 1, Burst: burst}, now)
				p.call(2*i, 1, now)        // old, and touched after each
				p.call(1000+i, burst, now) // new, and fills its bucket
				p.call(2000, 1, now)       // one that is there all the time
			}
			for key := range 400 {
				p.call(key, 1, now)
			}
			for i := range shrinks {
				p.call(1000+i, 1, now)
			}
			if most := (shrinks - 1) / maxCarry; p.b.sweeps > most {
				t.Errorf("%d shrinks every %v took %d sweeps", shrinks, every, p.b.sweeps)
			}
		}
	}
}

// TestNewKeyAtTheMomentOfAShrink: a key that comes at that instant, or by a clock a little behind, owes nothing.
func TestNewKeyAtTheMomentOfAShrink(t *testing.T) {
	b := newBook(t, Config{Limit: 10, Burst: 10}, 0)
	b.tune(t, Config{Limit: 10, Burst: 5}, second)
	if got := b.call(t, 1, 5, second); !got.ok {
		t.Errorf("at that instant: %+v", got)
	}
	if got := b.call(t, 2, 5, second-1); !got.ok {
		t.Errorf("by a clock behind: %+v", got)
	}
}

// TestEagerModel compares random sequences.
func TestEagerModel(t *testing.T) {
	seeds := uint64(300)
	if raceEnabled { // one goroutine: the detector has nothing to find
		seeds = 30
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 7))
		random := func() Config {
			c := Config{
				Limit:  1 + rng.Int64N(1000)>>rng.UintN(10),
				Period: []time.Duration{time.Second, 50 * time.Millisecond, time.Hour}[rng.IntN(3)],
				Burst:  1 + rng.Int64N(500)>>rng.UintN(9),
			}
			if seed%10 == 0 { // long jumps and sweeps
				c.Limit, c.Period = 1e9-rng.Int64N(1000), time.Second
			}
			return c
		}
		p := newPair(t, random())
		now := core.Time(0)
		gap := time.Second
		if seed%10 == 0 {
			gap = 10 * time.Minute
		}
		for range 400 {
			if rng.IntN(3) == 0 {
				now = now.Add(time.Duration(rng.Int64N(int64(gap))) >> rng.UintN(20))
			}
			if rng.IntN(4) == 0 {
				c := random()
				if rng.IntN(2) == 0 { // the burst alone
					c = p.b.c
					c.Burst = 1 + rng.Int64N(c.Burst+c.Burst/4)
				}
				p.tune(c, now)
				continue
			}
			p.call(rng.IntN(12), 1+rng.Int64N(p.b.c.Burst), now)
		}
	}
}
