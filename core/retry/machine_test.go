package retry

import (
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

func filled(t testing.TB, c Config) *Config {
	t.Helper()
	full, err := prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	return &full
}

// plainly is a failure that may be retried.
var plainly = failure{retryable: true, left: core.Never}

// but returns that failure with something else about it.
func but(change func(*failure)) failure {
	f := plainly
	change(&f)
	return f
}

// Those of the rows of the table in doc.go that the machine decides. B1 and W1 are the shell's.
func TestMachine(t *testing.T) {
	c := Config{Base: 100 * ms, Jitter: NoJitter, MaxDelay: sec, MaxHint: 5 * sec, MinAttempt: 50 * ms}
	rejections := c
	rejections.RetryRejections = true
	for _, tt := range []struct {
		row  string
		c    Config
		made int
		f    failure
		own  time.Duration // what Hooks.Backoff says; 0 if it does not
		want time.Duration
		why  Reason
	}{
		{"G1", c, 1, but(func(f *failure) { f.gone, f.permanent = ReasonLeft, true }), 0, 0, ReasonLeft},
		{"G2", c, 1, but(func(f *failure) { f.gone, f.retryable = ReasonExpired, false }), 0, 0, ReasonExpired},
		{"P1", c, 1, but(func(f *failure) { f.permanent = true }), 0, 0, ReasonPermanent},
		{"P1", c, 1, but(func(f *failure) { f.hint = -1 }), 0, 0, ReasonPermanent},
		{"R1", c, 1, but(func(f *failure) { f.rejected = true }), 0, 0, ReasonRejected},
		{"N1", c, 1, but(func(f *failure) { f.retryable = false }), 0, 0, ReasonNotRetryable},
		{"A1", c, 3, plainly, 0, 0, ReasonAttempts},
		{"A1", c, 4, but(func(f *failure) { f.nested = true }), 0, 0, ReasonAttempts}, // a Tune cannot do it, a bug could
		{"A2", c, 1, but(func(f *failure) { f.nested = true }), 0, 0, ReasonNested},
		{"H1", c, 1, but(func(f *failure) { f.hint = 5*sec + 1 }), 0, 0, ReasonHint},
		{"H1", rejections, 1, but(func(f *failure) { f.rejected, f.hint = true, core.Never }), 0, 0, ReasonHint},
		{"P2", c, 1, plainly, -1, 0, ReasonPermanent},
		{"D1", c, 1, but(func(f *failure) { f.left = 150 * ms }), 0, 0, ReasonDeadline},
		{"D1", c, 1, but(func(f *failure) { f.hint, f.left = 2*sec, 2*sec }), 0, 0, ReasonDeadline},
		{"D1", c, 1, but(func(f *failure) { f.left = -1 }), 0, 0, ReasonDeadline},
		{"W2", c, 1, plainly, 0, 100 * ms, 0},
		{"W2", c, 2, plainly, 0, 200 * ms, 0},
		{"W2", c, 1, but(func(f *failure) { f.left = 150*ms + 1 }), 0, 100 * ms, 0},
		{"W2", c, 1, but(func(f *failure) { f.hint = 5 * sec }), 0, 5 * sec, 0},
		{"W2", c, 1, but(func(f *failure) { f.hint = 1 }), 0, 100 * ms, 0},
		{"W2", c, 1, plainly, 700 * ms, 700 * ms, 0},
		{"W2", c, 1, plainly, math.MaxInt64, sec, 0},
		{"W2", rejections, 1, but(func(f *failure) { f.rejected, f.hint = true, 3*sec }), 0, 3 * sec, 0},
	} {
		conf, s := filled(t, tt.c), state{attempts: tt.made}
		why := s.veto(conf, tt.f)
		var delay time.Duration
		if why == 0 {
			own := tt.own
			if own == 0 {
				own = s.draw(conf, 0.5)
			}
			delay, why = s.wait(conf, tt.f, own, 0.5)
		}
		if delay != tt.want || why != tt.why {
			t.Errorf("%s: %+v: %v and %v, want %v and %v", tt.row, tt.f, delay, why, tt.want, tt.why)
		}
	}
}

func TestTableInDocHasTheseRows(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^//\t([A-Z]\d)  `).FindAllSubmatch(doc, -1) {
		names = append(names, string(m[1]))
	}
	if want := []string{"G1", "G2", "P1", "R1", "N1", "A1", "A2", "H1", "P2", "D1", "B1", "W1", "W2"}; !slices.Equal(names, want) {
		t.Errorf("rows %v, want %v", names, want)
	}
}

// delays plays the retries of one call, all with the same random number.
func delays(c *Config, n int, u float64) (got []time.Duration) {
	s := state{attempts: 1}
	for range n {
		s.drawn = s.draw(c, u)
		got = append(got, s.drawn)
		s.attempts++
	}
	return got
}

func TestDelays(t *testing.T) {
	const most = 1 - 1.0/(1<<53) // the largest that rand.Float64 returns
	exponential := Config{Base: 100 * ms, MaxDelay: sec}
	with := func(c Config, change func(*Config)) Config { change(&c); return c }
	for _, tt := range []struct {
		name string
		c    Config
		u    float64
		want []time.Duration
	}{
		{"exponential, none", with(exponential, func(c *Config) { c.Jitter = NoJitter }), 0.3,
			[]time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, sec, sec}},
		{"exponential, full, least", exponential, 0, []time.Duration{0, 0, 0}},
		{"exponential, full, half", exponential, 0.5, []time.Duration{50 * ms, 100 * ms, 200 * ms, 400 * ms, 500 * ms}},
		{"exponential, full, most", exponential, most, []time.Duration{100*ms - 1, 200*ms - 1, 400*ms - 1, 800*ms - 1, sec - 1}},
		{"exponential, equal, least", with(exponential, func(c *Config) { c.Jitter = Equal }), 0,
			[]time.Duration{50 * ms, 100 * ms, 200 * ms, 400 * ms, 500 * ms}},
		{"exponential, equal, half", with(exponential, func(c *Config) { c.Jitter = Equal }), 0.5,
			[]time.Duration{75 * ms, 150 * ms, 300 * ms, 600 * ms, 750 * ms}},
		{"exponential, proportional, least", with(exponential, func(c *Config) { c.Jitter = Proportional }), 0,
			[]time.Duration{80 * ms, 160 * ms, 320 * ms, 640 * ms, 800 * ms}},
		{"exponential, proportional, three quarters", with(exponential, func(c *Config) { c.Jitter = Proportional }), 0.75,
			[]time.Duration{110 * ms, 220 * ms, 440 * ms, 880 * ms, sec}}, // the last would be 1.1s
		{"constant", with(exponential, func(c *Config) { c.Factor, c.Jitter = 1, NoJitter }), 0, []time.Duration{100 * ms, 100 * ms, 100 * ms}},
		{"factor 10", with(exponential, func(c *Config) { c.Factor, c.Jitter = 10, NoJitter }), 0, []time.Duration{100 * ms, sec, sec}},
		{"linear, none", with(exponential, func(c *Config) { c.Backoff, c.Jitter = Linear, NoJitter }), 0,
			[]time.Duration{100 * ms, 200 * ms, 300 * ms, 400 * ms}},
		{"linear, full, half", with(exponential, func(c *Config) { c.Backoff = Linear }), 0.5,
			[]time.Duration{50 * ms, 100 * ms, 150 * ms}},
		{"decorrelated, least", with(exponential, func(c *Config) { c.Backoff = Decorrelated }), 0, []time.Duration{100 * ms, 100 * ms, 100 * ms}},
		{"decorrelated, half", with(exponential, func(c *Config) { c.Backoff = Decorrelated }), 0.5, // (b + 3*last) / 2
			[]time.Duration{200 * ms, 350 * ms, 575 * ms, 912500 * time.Microsecond, sec}},
		{"the base is above the maximum", Config{Base: 20 * sec, Jitter: NoJitter}, 0, []time.Duration{20 * sec, 20 * sec}},
	} {
		if got := delays(filled(t, tt.c), len(tt.want), tt.u); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// Polly #2163: an exponential backoff overflowed at high retry numbers, and retries came without any delay.
func TestDelaysNeverOverflow(t *testing.T) {
	for _, backoff := range []Backoff{Exponential, Decorrelated, Linear} {
		for _, factor := range []float64{1, 1.01, 2, 10} {
			for _, c := range []Config{{Base: time.Hour, MaxDelay: 24 * time.Hour}, {Base: ms, MaxDelay: 24 * time.Hour}} {
				c.Backoff, c.Factor, c.Jitter = backoff, factor, NoJitter
				conf := filled(t, c)
				for _, attempts := range []int{1, 2, 10, 62, 63, 64, 65, 100, 1023, 1024, 1025, 1 << 30, math.MaxInt} {
					s := state{attempts: attempts, drawn: 24 * time.Hour}
					got := s.draw(conf, 0.999)
					if got < c.Base || got > c.MaxDelay || attempts >= 1<<30 && factor > 1 && got < c.MaxDelay/2 {
						t.Errorf("%v, factor %v, base %v: retry %d waits %v", backoff, factor, c.Base, attempts, got)
					}
				}
			}
		}
	}
}

// Retry-After is a lower bound: jitter only goes up from it, and not past MaxHint.
func TestHintIsALowerBound(t *testing.T) {
	for _, tt := range []struct {
		c    Config
		hint time.Duration
		own  time.Duration
		u    float64
		want time.Duration
	}{
		{Config{}, sec, 0, 0, sec},
		{Config{}, sec, 0, 0.5, 1100 * ms},
		{Config{}, sec, 0, 1, 1200 * ms},
		{Config{}, sec, 3 * sec, 0.5, 3 * sec},
		{Config{Spread: 1}, sec, 0, 0.5, 1500 * ms},
		{Config{Jitter: NoJitter}, sec, 0, 0.5, sec},
		{Config{MaxHint: 1050 * ms}, sec, 0, 0.5, 1050 * ms},
		{Config{MaxDelay: 200 * ms}, sec, sec, 0, sec}, // a hint may exceed MaxDelay
		{Config{MaxDelay: 200 * ms}, 100 * ms, sec, 0.5, 200 * ms},
		{Config{MaxHint: 24 * time.Hour}, 24 * time.Hour, 0, 1, 24 * time.Hour},
	} {
		f := plainly
		f.hint = tt.hint
		if got, why := (state{attempts: 1}).wait(filled(t, tt.c), f, tt.own, tt.u); got != tt.want || why != 0 {
			t.Errorf("%+v, hint %v, own %v, u %v: %v and %v, want %v", tt.c, tt.hint, tt.own, tt.u, got, why, tt.want)
		}
	}
}

// fuzzed are the settings of FuzzMachine.
var fuzzed = []Config{
	{},
	{Jitter: Proportional, Spread: 1, MaxDelay: 300 * ms},
	{Backoff: Decorrelated, MaxAttempts: 100, MaxDelay: 24 * time.Hour, Base: time.Hour},
	{Backoff: Linear, Jitter: Equal, MinAttempt: time.Hour, MaxHint: ms},
	{Jitter: NoJitter, Factor: 10, MaxAttempts: 50, RetryRejections: true},
}

// FuzzMachine plays failures on a call. Whatever they are, the checks hold after each.
func FuzzMachine(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range byte(10) {
		f.Add(i, uint16(r.Uint32()), int64(r.Uint64()>>r.IntN(64)), int64(r.Uint64()>>r.IntN(64)), int64(r.Uint64()>>r.IntN(64)), r.Float64())
	}
	f.Fuzz(func(t *testing.T, which byte, flags uint16, hint, left, own int64, u float64) {
		if !(u >= 0 && u < 1) {
			return
		}
		c := filled(t, fuzzed[int(which)%len(fuzzed)])
		fail := failure{
			permanent: flags&1 != 0, rejected: flags&2 != 0, retryable: flags&12 != 0, nested: flags&48 == 48,
			hint: time.Duration(hint), left: time.Duration(left),
		}
		if flags&64 != 0 {
			fail.gone = ReasonLeft
		}
		s := state{attempts: 1}
		for range 200 {
			why := s.veto(c, fail)
			drawn := s.draw(c, u)
			if drawn < 0 || drawn > c.MaxDelay {
				t.Fatalf("%v is drawn", drawn)
			}
			s.drawn = drawn
			if flags&128 != 0 {
				drawn = time.Duration(own)
			}
			delay, late := s.wait(c, fail, drawn, u)
			if why == 0 {
				why = late
			}
			if why != 0 {
				return
			}
			check(t, c, s, fail, delay)
			s.attempts++
		}
		t.Fatal("200 attempts")
	})
}

// check is what holds of every decision to go on.
func check(t *testing.T, c *Config, s state, f failure, delay time.Duration) {
	switch {
	case s.attempts >= c.MaxAttempts:
		t.Fatalf("attempt %d of %d", s.attempts+1, c.MaxAttempts)
	case delay < 0 || delay > max(c.MaxDelay, c.MaxHint):
		t.Fatalf("a delay of %v", delay)
	case f.hint > 0 && delay < f.hint || f.hint < 0 || f.hint > c.MaxHint:
		t.Fatalf("a delay of %v for a hint of %v", delay, f.hint)
	case f.left != core.Never && delay+c.MinAttempt >= f.left:
		t.Fatalf("a delay of %v with %v left", delay, f.left)
	case f.gone != 0 || f.permanent || f.nested || !f.retryable || f.rejected && !c.RetryRejections:
		t.Fatalf("retried %+v", f)
	}
}
