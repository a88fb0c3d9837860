package breaker

import (
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// steps of the pure rules; the letters are those of the table in the package comment.
func TestPaceTable(t *testing.T) {
	slow := func(n, slow, overdue float64) (r reading) {
		r.n = n
		for k := range ruleCount {
			r.slow[k], r.overdue[k] = slow, overdue
		}
		return r
	}
	calls := Latency{Watch: true, SlowCall: time.Second, Slowdown: core.None}
	p90 := Latency{Watch: true, Max: time.Second, Slowdown: core.None}
	for _, tt := range []struct {
		name   string
		l      Latency
		given  []reading
		causes []string
	}{
		{"L2: half of the calls", calls, []reading{slow(20, 10, 0), slow(20, 10, 0)}, []string{"", "slow calls"}},
		{"L1: not half of the calls", calls, []reading{slow(20, 9, 0), slow(20, 9, 0)}, []string{"", ""}},
		{"too few calls", calls, []reading{slow(19, 19, 0), slow(19, 19, 0)}, []string{"", ""}},
		{"overdue calls count on both sides", calls, []reading{slow(15, 5, 5), slow(15, 5, 5)}, []string{"", "slow calls"}},
		{"overdue calls alone", calls, []reading{slow(0, 0, 20), slow(0, 0, 20)}, []string{"", "slow calls"}},
		{"L2: a tenth and two deviations more", p90, []reading{slow(100, 17, 0), slow(100, 17, 0)}, []string{"", "latency"}},
		{"L1: not so many", p90, []reading{slow(100, 16, 0), slow(100, 16, 0)}, []string{"", ""}},
		{"many calls need little more than a tenth", p90, []reading{slow(1e6, 100_700, 0), slow(1e6, 100_700, 0)}, []string{"", "latency"}},
		{"p90 does not speak of 49", p90, []reading{slow(49, 24, 0), slow(49, 24, 0)}, []string{"", ""}},
		{"but half of them do", p90, []reading{slow(48, 24, 0), slow(48, 24, 0)}, []string{"", "latency"}},
		{"five that hang do", p90, []reading{slow(0, 0, 5), slow(0, 0, 5)}, []string{"", "latency"}},
		{"four do not", p90, []reading{slow(0, 0, 4), slow(0, 0, 4)}, []string{"", ""}},
		{"p90 speaks of 50", p90, []reading{slow(50, 10, 0), slow(50, 10, 0)}, []string{"", "latency"}},
		{"an empty window between two bursts", p90, []reading{slow(300, 99, 0), slow(1, 0, 0), slow(300, 99, 0)}, []string{"", "", "latency"}},
		{
			"the calls that ended last are well", p90,
			[]reading{{n: 100, slow: [ruleCount]float64{0, 50, 0}, newest: 10, late: [ruleCount]float64{0, 1, 0}}, slow(100, 50, 0)},
			[]string{"", ""},
		},
		{
			"two of three confirm", calls,
			[]reading{slow(20, 10, 0), slow(20, 0, 0), slow(20, 10, 0)}, []string{"", "", "slow calls"},
		},
		{
			"two of four do not", calls,
			[]reading{slow(20, 10, 0), slow(20, 0, 0), slow(20, 0, 0), slow(20, 10, 0)}, []string{"", "", "", ""},
		},
		{"a rule that is off says nothing", Latency{Watch: true, Slowdown: core.None}, []reading{slow(20, 20, 99)}, []string{""}},
	} {
		c, p := prepared(Config{Latency: tt.l}), pace{}
		for i, r := range tt.given {
			var cause string
			if p, cause = p.judge(&c, r, core.Time(time.Second).Add(time.Duration(i)*time.Second)); cause != tt.causes[i] {
				t.Errorf("%s, judgement %d: %q, want %q", tt.name, i, cause, tt.causes[i])
			}
		}
	}
}

// Complaints of the past, which a Tune makes enough, do not open a breaker that is well by now.
func TestOldComplaintsAloneDoNotOpen(t *testing.T) {
	l := Latency{Watch: true, SlowCall: time.Second, Slowdown: core.None, Confirm: 3}
	c, p := prepared(Config{Latency: l}), pace{}
	ill := reading{n: 20}
	ill.slow[slowCalls] = 20
	for range 2 {
		p, _ = p.judge(&c, ill, 1)
	}
	l.Confirm = 2
	c = prepared(Config{Latency: l})
	if _, cause := p.judge(&c, reading{n: 20}, 1); cause != "" {
		t.Errorf("opened: %s", cause)
	}
}

// After an opening the closed state draws its own conclusions.
func TestOpeningForgetsComplaints(t *testing.T) {
	c := prepared(Config{Latency: Latency{Watch: true, SlowCall: time.Second, Slowdown: core.None, ConfirmOf: 8}})
	p, ill, cause := pace{baseline: 5, lessons: 7}, reading{n: 20}, ""
	ill.slow[slowCalls] = 20
	for range 2 {
		p, cause = p.judge(&c, ill, 1)
	}
	if cause == "" {
		t.Fatal("not opened")
	}
	p = p.opened()
	if _, cause = p.judge(&c, ill, 1); cause != "" {
		t.Error("one complaint and old ones have opened it again")
	}
	if p.baseline != 5 || p.lessons != 7 {
		t.Error("what was learned is forgotten")
	}
}

// L3: the baseline is an average at first, follows slowly later, and stands still while a rule complains.
func TestBaseline(t *testing.T) {
	c := prepared(watching)
	var p pace
	now := core.Time(time.Second)
	judge := func(r reading) {
		now = now.Add(200 * time.Millisecond)
		p, _ = p.judge(&c, r, now)
	}
	healthy := func(q time.Duration) reading { return reading{n: 100, quantile: q} }
	for i := range learnt {
		if got := p.thresholds(&c.Latency)[slowed]; got != 0 {
			t.Fatalf("a threshold of %v after %d judgements", got, i)
		}
		judge(healthy(time.Duration(10+i) * time.Millisecond))
	}
	if got := time.Duration(p.baseline); got != 14500*time.Microsecond {
		t.Errorf("baseline %v, want the average of 10 to 19ms", got)
	}
	if got := p.thresholds(&c.Latency)[slowed]; got != 43500*time.Microsecond || p.limit(&c.Latency) != got {
		t.Errorf("threshold %v, want three times the baseline", got)
	}
	before := p.baseline
	ill := healthy(time.Second)
	ill.slow[slowed] = 100
	for range 5 {
		if judge(ill); p.baseline != before {
			t.Fatal("the baseline learns from an outage")
		}
	}
	if judge(reading{n: 3}); p.baseline != before {
		t.Error("the baseline learns from too few calls")
	}
	near := func(want time.Duration, what string) {
		t.Helper()
		if got := time.Duration(p.baseline); got < want*98/100 || got > want*102/100 {
			t.Errorf("baseline %v, want about %v: %s", got, want, what)
		}
	}
	for range 300 {
		judge(healthy(30 * time.Millisecond))
	}
	near(24300*time.Microsecond, "a new normal for as long as BaselineOver, so 63 % of the way")
	for range 30 {
		judge(healthy(10 * time.Millisecond))
	}
	near(15260*time.Microsecond, "ten times as fast downwards, for a tenth of BaselineOver")
	now = now.Add(time.Hour)
	judge(healthy(10 * time.Millisecond))
	near(13770*time.Microsecond, "a pause counts as one window")
}

// Whatever the settings, the baseline stays between what it was and what it learns.
func TestBaselineDoesNotOvershoot(t *testing.T) {
	c := prepared(Config{Latency: Latency{Watch: true, Window: 5 * time.Minute, BaselineOver: 10 * time.Second}})
	p, now := pace{}, core.Time(1)
	for i := range 200 {
		now = now.Add(30 * time.Second)
		if p, _ = p.judge(&c, reading{n: 100, quantile: 100 * time.Millisecond}, now); time.Duration(p.baseline) != 100*time.Millisecond {
			t.Fatalf("judgement %d: baseline %v of constant 100ms", i, time.Duration(p.baseline))
		}
	}
}

// Another quantile has another baseline.
func TestBaselineIsOfItsQuantile(t *testing.T) {
	p := pace{baseline: 1e7, lessons: learnt, of: 0.5}
	c := prepared(Config{Latency: Latency{Watch: true, Quantile: 0.99}})
	if got := p.thresholds(&c.Latency)[slowed]; got != 0 {
		t.Errorf("p99 is judged by the baseline of the median: %v", got)
	}
	if p, _ = p.judge(&c, reading{n: 1000, quantile: time.Second}, 1); p.of != 0.99 || p.lessons != 1 || p.baseline != 1e9 {
		t.Errorf("%+v", p)
	}
}

func TestComplaintsAreForgotten(t *testing.T) {
	c := prepared(Config{Latency: Latency{Watch: true, SlowCall: time.Second, Slowdown: core.None}})
	ill := reading{n: 20}
	ill.slow[slowCalls] = 20
	p, _ := pace{}.judge(&c, ill, 1)
	if _, cause := p.judge(&c, ill, core.Time(24*time.Hour)); cause != "" {
		t.Error("a complaint of yesterday confirms one of today")
	}
	if _, cause := p.judge(&c, ill, core.Time(15*time.Second)); cause == "" {
		t.Error("a complaint of 15s ago is forgotten")
	}
}

// After an hour of reopenings slowness is the new normal: the baseline is forgotten, to be learned again.
func TestLastingSlownessBecomesNormal(t *testing.T) {
	c := prepared(watching)
	p := pace{baseline: 1e6, lessons: learnt, of: 0.9}
	if got := p.resigned(&c, control{state: Open, opened: 11}); got != p {
		t.Error("given up too early")
	}
	if got := p.resigned(&c, control{state: Open, opened: 12}); got != (pace{}) {
		t.Errorf("not given up: %+v", got)
	}
	if got := p.resigned(&c, control{state: Closed, opened: 12}); got != p {
		t.Error("given up while closed")
	}
}

func TestBaselineIsHeld(t *testing.T) {
	c := prepared(watching)
	for _, tt := range []struct {
		baseline, want time.Duration
	}{
		{time.Microsecond, 15 * time.Millisecond}, {5 * time.Millisecond, 15 * time.Millisecond},
		{time.Second, 3 * time.Second}, {time.Minute, 30 * time.Second},
	} {
		p := pace{baseline: float64(tt.baseline), lessons: learnt, of: 0.9}
		if got := p.thresholds(&c.Latency)[slowed]; got != tt.want {
			t.Errorf("baseline %v: threshold %v, want %v", tt.baseline, got, tt.want)
		}
	}
	slow := pace{baseline: 1e9, lessons: learnt, of: 0.9}
	far := prepared(Config{Latency: Latency{Watch: true, Slowdown: 100, Window: time.Second}})
	if got := slow.thresholds(&far.Latency)[slowed]; got != 50*time.Second {
		t.Errorf("threshold %v, want no more than 50 windows", got)
	}
	far = prepared(Config{Latency: Latency{Watch: true, Slowdown: 100}})
	if got := slow.thresholds(&far.Latency)[slowed]; got != time.Minute {
		t.Errorf("threshold %v, want no more than durations are told apart", got)
	}
}

// A probe that is slow to a rule which lets most calls be slow is no bad sign.
func TestProbesAreJudgedByWhatIsTolerated(t *testing.T) {
	for _, tt := range []struct {
		rate float64
		want time.Duration
	}{{0.5, time.Second}, {0.3, time.Second}, {0.51, core.Never}, {0.9, core.Never}} {
		c := prepared(Config{Latency: Latency{Watch: true, SlowCall: time.Second, SlowRate: tt.rate, Slowdown: core.None}})
		if got := (pace{}).probeLimit(&c.Latency); got != tt.want {
			t.Errorf("SlowRate %v: %v, want %v", tt.rate, got, tt.want)
		}
	}
}
