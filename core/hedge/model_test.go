package hedge

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
)

// script is a call as the test has made it up: how long each attempt takes, whatever its context says, and what it returns.
type script struct {
	takes [5]time.Duration
	errs  [5]error
	once  bool
	left  time.Duration // until the caller's deadline; core.Never without one
}

func randomScript(rng *rand.Rand) (s script) {
	errs := []error{
		nil, nil, nil, nil, nil, nil, errDown, errDown, hinting{errDown, 7 * ms}, hinting{errDown, -1}, hinting{errDown, time.Hour},
		permanent{errDown}, rejection, context.Canceled,
	}
	for i := range s.takes {
		s.takes[i] = time.Duration(rng.Int64N(int64(20*ms))) + 1
		if rng.IntN(5) == 0 {
			s.takes[i] *= 20
		}
		s.errs[i] = errs[rng.IntN(len(errs))]
	}
	s.once, s.left = rng.IntN(10) == 0, core.Never
	if rng.IntN(10) == 0 {
		s.left = time.Duration(rng.Int64N(int64(15*ms))) + time.Hour*time.Duration(rng.IntN(2))
	}
	return s
}

// play is what came of a script.
type play struct {
	at   []time.Duration // when each attempt began
	took time.Duration
	from From
	err  error // the best
	all  int   // how many attempts have failed
}

// model is the hedge as one would explain it: the pure machine and a list of what happens. It knows no goroutines.
type model struct {
	c      Config
	m      *measure
	tokens bucket
	budget *budget.Budget
	lost   []core.Time // when those that have lost end

	refused, extra, won uint64
}

func (m *model) pay(now core.Time, places, losers int) bool {
	m.lost = slices.DeleteFunc(m.lost, func(end core.Time) bool { return end <= now })
	if places > 0 && len(m.lost)+losers+places > m.c.MaxStragglers {
		return false
	}
	b, ok := m.tokens.take(m.m.rates)
	if !ok || !m.budget.Withdraw(now) {
		return false
	}
	m.tokens = b
	return true
}

// alone is a call that may not have further attempts; places says that only a place or a token of the budget is missing.
func (m *model) alone(now core.Time, s script, wishes bool, wait time.Duration) play {
	p := play{at: []time.Duration{0}, took: s.takes[0], from: From{1, 1}, err: s.errs[0]}
	if p.err != nil {
		p.all = 1
	} else {
		m.m.learn(now.Add(p.took), p.took)
	}
	if wishes && (p.took > wait || p.err != nil && m.judge(p.err) == next) {
		m.refused++
	}
	return p
}

func (m *model) judge(err error) verdict {
	h := &Hedge{}
	v, _ := h.judge(bg, &m.c, core.Classify(bg, err), err)
	return v
}

func (m *model) call(start core.Time, s script) (p play) {
	m.tokens = m.tokens.put(m.m.rates, m.m.rates.ratio)
	wait := m.m.at(start)
	m.lost = slices.DeleteFunc(m.lost, func(end core.Time) bool { return end <= start })
	if wait < 0 || s.left <= wait || s.once {
		return m.alone(start, s, false, wait)
	}
	if len(m.lost) >= m.c.MaxStragglers || !m.budget.Peek(start) {
		return m.alone(start, s, true, wait)
	}
	const idle = core.Time(1<<63 - 1)
	var st state
	var ends []core.Time // of attempts under way; idle for those that have ended
	var failed []error
	timer, waited, refused := start.Add(wait), wait, false
	begin := func(now core.Time) {
		p.at = append(p.at, now.Sub(start))
		st = st.begin()
		ends = append(ends, now.Add(s.takes[len(ends)]))
	}
	book := func(now core.Time) bool {
		fresh := st.begin()
		if !m.pay(now, fresh.losers()-st.losers(), st.losers()) {
			refused = true
			return false
		}
		begin(now)
		m.extra++
		if st.more(&m.c) {
			waited, timer = wait, now.Add(wait)
		}
		return true
	}
	begin(start)
	for {
		i := 0
		for k, end := range ends {
			if end < ends[i] {
				i = k
			}
		}
		if timer < ends[i] {
			now := timer
			timer = idle
			if st.more(&m.c) && !book(now) {
				again := max(wait, waited/4)
				timer, waited = now.Add(again), waited+again
			}
			continue
		}
		now := ends[i]
		ends[i] = idle
		p.took, p.from.Attempts = now.Sub(start), len(ends)
		v, err := wins, s.errs[i]
		if err != nil {
			v = m.judge(err)
			p.all++
		}
		st = st.end(v)
		if !st.decided {
			failed = append(failed, err)
			if st.more(&m.c) && v == next {
				book(now)
			} else if st.more(&m.c) && v == later {
				waited, timer = wait, now.Add(err.(hinting).after)
			}
			if st = st.rest(); !st.decided {
				continue
			}
			p.from.Attempts, p.err = len(ends), failed[len(failed)-1]
			for _, err := range failed {
				if err != rejection {
					p.err = err
				}
			}
			if len(failed) == 1 {
				p.from.Attempt = 1
			}
			if ends[0] != idle {
				panic("all have failed, and the first has not")
			}
		} else {
			p.err = err
			if p.from.Attempt = i + 1; err != nil && len(failed) > 0 {
				p.from.Attempt = 0
			}
			if err == nil && i > 0 {
				m.won++
			}
			if err == nil && i == 0 || ends[0] != idle {
				m.m.learn(now, now.Sub(start))
			}
			for _, end := range ends {
				if end != idle {
					m.lost = append(m.lost, end)
				}
			}
		}
		if refused && len(ends) == 1 {
			m.refused++
		}
		return p
	}
}

// run makes the call for real, in virtual time.
func (s script) run(h *Hedge) (p play) {
	ctx := bg
	if s.once {
		ctx = Once(bg)
	}
	if s.left != core.Never {
		ctx = announced{ctx, time.Now().Add(s.left)}
	}
	start := time.Now()
	var began [5]atomic.Int64 // losers run on
	_, p.from, p.err = DoFrom(ctx, h, func(ctx context.Context) (int, error) {
		n := Attempt(ctx) - 1
		began[n].Store(int64(time.Since(start)))
		time.Sleep(s.takes[n])
		return n, s.errs[n]
	})
	p.took = time.Since(start)
	for i := range p.from.Attempts {
		p.at = append(p.at, time.Duration(began[i].Load()))
	}
	if p.err != nil {
		p.all = 1
	}
	if e, ok := errors.AsType[*Error](p.err); ok {
		p.all, p.err = 1+len(e.Others), e.Err
	}
	return p
}

// announced is a context with a deadline that it does not keep, so that calls end as their scripts say.
type announced struct {
	context.Context
	at time.Time
}

func (a announced) Deadline() (time.Time, bool) { return a.at, true }

// TestShellEqualsMachine plays made-up calls on both, one after the other, while losers of the calls before still run.
func TestShellEqualsMachine(t *testing.T) {
	seed := rand.Uint64()
	var extra, refused, won uint64
	for round := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, round))
			c := Config{
				MaxExtra: 1 + rng.IntN(4), Quantile: 0.5, Ratio: core.Ratio(0.05 + 0.5*rng.Float64()), Burst: 1 + rng.IntN(10),
				MaxStragglers: 1 + rng.IntN(4), Window: time.Duration(1+rng.IntN(5)) * time.Second,
			}
			if rng.IntN(2) == 0 {
				c.Delay = time.Duration(1+rng.IntN(10)) * ms
			}
			size := budget.Config{Size: 5 + rng.IntN(50)}
			h := mustNew(t, c, Hooks{Budget: mustBudget(t, size)})
			c = h.Config()
			m := &model{c: c, m: derive(nil, c, 0), budget: mustBudget(t, size)}
			m.tokens = bucket(m.m.rates.burst)
			for i := range 200 {
				s := randomScript(rng)
				want := m.call(core.Now(), s)
				got := s.run(h)
				if got.took != want.took || got.from != want.from || got.err != want.err || got.all != want.all && got.from.Attempt == 0 ||
					!slices.Equal(got.at, want.at) {
					t.Fatalf("seed %d, round %d, call %d, %+v:\n%+v\ngot  %+v\nwant %+v", seed, round, i, c, s, got, want)
				}
				if rng.IntN(3) == 0 {
					time.Sleep(time.Duration(rng.Int64N(int64(300 * ms))))
				}
			}
			s := h.Snapshot()
			if s.Extra != m.extra || s.Rejected != m.refused || s.Won != m.won || s.Tokens != float64(m.tokens)/token {
				t.Errorf("seed %d, round %d: %+v, want %+v", seed, round, s, m)
			}
			if got, want := h.hooks.Budget.Snapshot(), m.budget.Snapshot(); got.Balance != want.Balance {
				t.Errorf("seed %d, round %d: %v tokens of the budget, want %v", seed, round, got.Balance, want.Balance)
			}
			extra, refused, won = extra+s.Extra, refused+s.Rejected, won+s.Won
			time.Sleep(time.Hour)
			synctest.Wait()
			atRest(t, h)
		})
	}
	if t.Logf("seed %d: %d extra attempts, %d refused, %d won", seed, extra, refused, won); extra < 500 || refused < 100 || won < 100 {
		t.Error("too little has happened")
	}
}
