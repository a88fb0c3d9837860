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
		{"L2: more than a tenth", p90, []reading{slow(100, 11, 0), slow(100, 11, 0)}, []string{"", "latency"}},
		{"L1: a tenth is not more", p90, []reading{slow(100, 10, 0), slow(100, 10, 0)}, []string{"", ""}},
		{"p90 does not speak of 49", p90, []reading{slow(49, 49, 0), slow(49, 49, 0)}, []string{"", ""}},
		{"p90 speaks of 50", p90, []reading{slow(50, 6, 0), slow(50, 6, 0)}, []string{"", "latency"}},
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
			if p, cause = p.judge(&c, r, core.Time(i)); cause != tt.causes[i] {
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
	healthy := func(q time.Duration) reading { return reading{n: 100, quantile: q} }
	var p pace
	for i := range learnt {
		if got := p.thresholds(&c.Latency)[slowed]; got != 0 {
			t.Fatalf("a threshold of %v after %d judgements", got, i)
		}
		p, _ = p.judge(&c, healthy(time.Duration(10+i)*time.Millisecond), 1)
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
		if p, _ = p.judge(&c, ill, 1); p.baseline != before {
			t.Fatal("the baseline learns from an outage")
		}
	}
	if p, _ = p.judge(&c, reading{n: 3}, 1); p.baseline != before {
		t.Error("the baseline learns from too few calls")
	}
	for range 3000 { // ten minutes of a new normal that no rule complains of
		p, _ = p.judge(&c, healthy(30*time.Millisecond), 1)
	}
	if got := time.Duration(p.baseline); got < 29*time.Millisecond || got > 30*time.Millisecond {
		t.Errorf("baseline %v, want nearly 30ms", got)
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
		p := pace{baseline: float64(tt.baseline), lessons: learnt}
		if got := p.thresholds(&c.Latency)[slowed]; got != tt.want {
			t.Errorf("baseline %v: threshold %v, want %v", tt.baseline, got, tt.want)
		}
	}
	far := prepared(Config{Latency: Latency{Watch: true, Slowdown: 100, Window: time.Second}})
	if got := (pace{baseline: 1e9, lessons: learnt}).thresholds(&far.Latency)[slowed]; got != 50*time.Second {
		t.Errorf("threshold %v, want no more than 50 windows", got)
	}
}
