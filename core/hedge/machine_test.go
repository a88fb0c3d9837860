package hedge

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// TestJudge walks the rows of the table in doc.go that follow from an error.
func TestJudge(t *testing.T) {
	c := Config{Max: time.Second}
	for _, tt := range []struct {
		row  string
		f    failure
		want verdict
	}{
		{"E1 the outcome is a success", failure{outcome: core.Success}, wins},
		{"E1 whatever the hook says", failure{outcome: core.Success, fatal: true}, wins},
		{"E2 the caller is gone", failure{outcome: core.Failure, gone: true}, fatal},
		{"E2 the caller is gone, with an answer", failure{outcome: core.Success, gone: true}, fatal},
		{"E2 the error says so", failure{outcome: core.Failure, fatal: true}, fatal},
		{"E2 and asks to wait", failure{outcome: core.Overload, fatal: true, hint: ms}, fatal},
		{"E2 a rejection, by the hook", failure{outcome: core.Ignored, fatal: true}, fatal},
		{"E4 a failure", failure{outcome: core.Failure}, next},
		{"E4 a timeout", failure{outcome: core.Timeout}, next},
		{"E4 canceled by somebody else, if the hook lets it pass", failure{outcome: core.Canceled}, next},
		{"E5 the server asks to wait", failure{outcome: core.Failure, hint: ms}, later},
		{"E5 as long as Max", failure{outcome: core.Overload, hint: time.Second}, later},
		{"E6 longer", failure{outcome: core.Failure, hint: time.Second + 1}, hold},
		{"E6 not to come again", failure{outcome: core.Failure, hint: -1}, hold},
		{"E6 an overload", failure{outcome: core.Overload}, hold},
		{"E6 a rejection", failure{outcome: core.Ignored}, hold},
		{"E6 a rejection that says when", failure{outcome: core.Ignored, hint: ms}, hold},
	} {
		if got := judge(&c, tt.f); got != tt.want {
			t.Errorf("%s: verdict %d, want %d", tt.row, got, tt.want)
		}
	}
}

// TestState walks calls from attempt to attempt.
func TestState(t *testing.T) {
	type step struct {
		begin bool
		v     verdict
		want  state
		more  bool
	}
	for name, tt := range map[string]struct {
		extra int
		steps []step
	}{
		"E1 the first": {1, []step{{true, 0, state{begun: 1, running: 1}, true}, {false, wins, state{1, 0, false, true}, false}}},
		"T1, E1 the second, L1": {1, []step{
			{true, 0, state{begun: 1, running: 1}, true}, {true, 0, state{begun: 2, running: 2}, false},
			{false, wins, state{2, 1, false, true}, false}, {false, wins, state{2, 0, false, true}, false},
		}},
		"E4, E7": {1, []step{
			{true, 0, state{begun: 1, running: 1}, true}, {false, next, state{begun: 1}, true},
			{true, 0, state{begun: 2, running: 1}, false}, {false, next, state{begun: 2}, false},
		}},
		"E2 while another runs": {4, []step{
			{true, 0, state{begun: 1, running: 1}, true}, {true, 0, state{begun: 2, running: 2}, true},
			{false, fatal, state{2, 1, false, true}, false}, {false, hold, state{2, 0, false, true}, false},
		}},
		"E6 while another runs": {4, []step{
			{true, 0, state{begun: 1, running: 1}, true}, {true, 0, state{begun: 2, running: 2}, true},
			{false, hold, state{2, 1, true, false}, false}, {false, wins, state{2, 0, true, true}, false},
		}},
		"E5 while another runs": {4, []step{
			{true, 0, state{begun: 1, running: 1}, true}, {true, 0, state{begun: 2, running: 2}, true},
			{false, later, state{begun: 2, running: 1}, true}, {true, 0, state{begun: 3, running: 2}, true},
		}},
		"E5 alone is E6": {4, []step{{true, 0, state{begun: 1, running: 1}, true}, {false, later, state{1, 0, true, false}, false}}},
		"MaxExtra": {2, []step{
			{true, 0, state{begun: 1, running: 1}, true}, {true, 0, state{begun: 2, running: 2}, true}, {true, 0, state{begun: 3, running: 3}, false},
		}},
	} {
		c, s := Config{MaxExtra: tt.extra}, state{}
		for i, st := range tt.steps {
			before := s
			if st.begin {
				s = s.begin()
			} else {
				s = s.end(st.v)
			}
			if s != st.want || s.more(&c) != st.more {
				t.Errorf("%s, step %d: %+v, more %v; want %+v, %v", name, i, s, s.more(&c), st.want, st.more)
			}
			checkState(t, before, s)
		}
		if s.running == 0 && !s.rest().decided || s.running > 0 && s.rest() != s {
			t.Errorf("%s: %+v at rest is %+v", name, s, s.rest())
		}
	}
}

func TestDelay(t *testing.T) {
	c := Config{Delay: core.None, Min: ms, Max: time.Second}
	exact := Config{Delay: time.Minute, Min: ms, Max: time.Second}
	for _, tt := range []struct {
		name string
		c    Config
		q    time.Duration
		ok   bool
		want time.Duration
	}{
		{"the quantile", c, 20 * ms, true, 20 * ms},
		{"below Min", c, 20, true, ms},
		{"the clock ran backwards", c, -time.Hour, true, ms},
		{"above Max", c, math.MaxInt64, true, time.Second},
		{"fixed", exact, 20 * ms, true, time.Minute},
		{"fixed, without samples", exact, 0, false, time.Minute},
	} {
		if got, ok := delay(&tt.c, tt.q, tt.ok); got != tt.want || !ok {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, ok, tt.want)
		}
	}
	if _, ok := delay(&c, 20*ms, false); ok {
		t.Error("too few samples, and a delay")
	}
}

func TestBucket(t *testing.T) {
	c := Config{Ratio: 0.05, Burst: 2}
	r := c.rates()
	b := bucket(0).put(r, r.burst)
	for i, want := range []bool{true, true, false} {
		var ok bool
		if b, ok = b.take(r); ok != want {
			t.Errorf("token %d of 2: %v", i+1, ok)
		}
	}
	for i := range 20 {
		if _, ok := b.take(r); ok {
			t.Errorf("a token after %d calls", i)
		}
		b = b.put(r, r.ratio)
	}
	if b, ok := b.take(r); !ok || b != 0 {
		t.Errorf("no token after 20 calls: %v", b)
	}
	smaller := rates{ratio: r.ratio, burst: token}
	if got := bucket(5*token).put(smaller, 0); got != token {
		t.Errorf("more than the burst: %v", got)
	}
	if got, ok := bucket(5 * token).take(smaller); !ok || got != 0 {
		t.Errorf("a bucket fuller than its size counts as full: %v", got)
	}
}

// checkState is what must hold after every step.
func checkState(t *testing.T, before, s state) {
	t.Helper()
	switch {
	case s.running > s.begun:
		t.Errorf("%+v: more run than have begun", s)
	case before.decided && !s.decided, before.closed && !s.closed:
		t.Errorf("%+v became %+v", before, s)
	case s.losers() < 0 || s.losers() > int(s.running) || !s.decided && s.running > 0 && s.losers() != int(s.running)-1:
		t.Errorf("%+v: %d losers", s, s.losers())
	case s.decided && s.more(&Config{MaxExtra: 4}):
		t.Errorf("%+v: decided, and more", s)
	}
}

// FuzzMachine plays calls of random attempts on one bucket: what has been paid for is bounded at every moment.
func FuzzMachine(f *testing.F) {
	f.Add(uint64(1), uint8(1), uint8(10), uint8(50), []byte{0, 1, 2, 3, 4, 5, 6, 7})
	f.Add(uint64(2), uint8(4), uint8(1), uint8(255), []byte{7, 7, 0, 0, 1, 9, 1, 9, 2, 2, 2})
	f.Add(uint64(3), uint8(2), uint8(3), uint8(1), []byte{3, 3, 3, 3, 0, 4, 4})
	f.Fuzz(func(t *testing.T, seed uint64, extra, burst, ratio uint8, ops []byte) {
		c := Config{MaxExtra: 1 + int(extra%4), Burst: 1 + int(burst), Ratio: core.Ratio(1+int(ratio)) / 1000, Max: time.Second}
		r := c.rates()
		rng := rand.New(rand.NewPCG(seed, 1))
		b := bucket(r.burst)
		var s state
		calls, paid, losers := 0, 0, 0
		for _, op := range ops {
			before := s
			switch {
			case s.running == 0: // a new call
				s = state{}.begin()
				before = s
				b = b.put(r, r.ratio)
				calls++
			case op%3 == 0 && s.more(&c):
				var ok bool
				if b, ok = b.take(r); ok {
					paid++
					s = s.begin()
				}
			case op%16 == 15: // taken back
				v := hold
				if s.running > 1 && s.begun > 1 && s.decided {
					s = s.end(v)
					b = b.put(r, token)
					paid--
				}
			default:
				s = s.end(judge(&c, failure{
					outcome: core.Outcome(rng.IntN(core.Outcomes)), gone: rng.IntN(20) == 0, fatal: rng.IntN(10) == 0,
					hint: time.Duration(rng.IntN(3)-1) * time.Duration(rng.Int64N(int64(2*time.Second))),
				}))
				s = s.rest()
			}
			checkState(t, before, s)
			losers = s.losers()
			if most := float64(c.Burst) + float64(calls)*float64(c.Ratio); float64(paid) > most+1e-6 {
				t.Fatalf("%d extra attempts in %d calls, at most %v", paid, calls, most)
			}
			if b < 0 || int64(b) > r.burst || losers > c.MaxExtra+1 {
				t.Fatalf("%d parts of a token of %d, %d losers", b, r.burst, losers)
			}
		}
	})
}
