package timeout

import (
	"math"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

const ms = time.Millisecond

// TestAllow walks the rows of the table in doc.go that are decided before a call begins.
func TestAllow(t *testing.T) {
	for _, tt := range []struct {
		row                            string
		limit, incoming, margin, floor time.Duration
		rest                           time.Duration
		own                            bool
		reason                         core.Reason
	}{
		{"A2 the deadline is now", 100 * ms, 0, 0, 0, 0, false, core.ReasonExpired},
		{"A2 the deadline has passed", 100 * ms, -time.Hour, 0, 0, 0, false, core.ReasonExpired},
		{"A2 long ago", 100 * ms, math.MinInt64, time.Minute, 0, 0, false, core.ReasonExpired},
		{"A3 the margin takes it all", 100 * ms, 5 * ms, 5 * ms, 0, 0, false, core.ReasonTooLong},
		{"A3 and more", 100 * ms, 5 * ms, time.Minute, 0, 0, false, core.ReasonTooLong},
		{"A3 below the floor", 100 * ms, 25 * ms, 5 * ms, 21 * ms, 0, false, core.ReasonTooLong},
		{"A4 at the floor", 100 * ms, 25 * ms, 5 * ms, 20 * ms, 20 * ms, false, 0},
		{"A4 less than the limit", 100 * ms, 50 * ms, 0, 0, 50 * ms, false, 0},
		{"A4 the least there is", 100 * ms, 1, 0, 0, 1, false, 0},
		{"A4 the limit, by the margin", 100 * ms, 105 * ms, 5 * ms, 0, 100 * ms, false, 0},
		{"A4 equal to the limit", 100 * ms, 100 * ms, 0, 0, 100 * ms, false, 0},
		{"A5 more than the limit", 100 * ms, 101 * ms, 0, 0, 100 * ms, true, 0},
		{"A5 no deadline", 100 * ms, core.Never, 0, 0, 100 * ms, true, 0},
		{"A5 no deadline, and what is for deadlines", 100 * ms, core.Never, time.Minute, time.Hour, 100 * ms, true, 0},
		{"A5 the floor is above the limit, and so is the caller", 100 * ms, time.Hour, 0, time.Minute, 100 * ms, true, 0},
	} {
		rest, own, reason := allow(tt.limit, tt.incoming, tt.margin, tt.floor)
		if rest != tt.rest || own != tt.own || reason != tt.reason {
			t.Errorf("%s: %v, own %v, reason %v; want %v, %v, %v", tt.row, rest, own, reason, tt.rest, tt.own, tt.reason)
		}
		checkAllow(t, tt.limit, tt.incoming, tt.margin, tt.floor)
	}
}

func TestAdapt(t *testing.T) {
	c := Config{Limit: time.Second, Adaptive: true, Factor: 2, Min: 10 * ms}
	fixed, long := c, c
	fixed.Adaptive, long.Limit = false, time.Hour
	for _, tt := range []struct {
		name string
		c    Config
		q    time.Duration
		ok   bool
		want time.Duration
	}{
		{"too few samples", c, 20 * ms, false, time.Second},
		{"not adaptive", fixed, 20 * ms, true, time.Second},
		{"twice the quantile", c, 20 * ms, true, 40 * ms},
		{"at the floor", c, 5 * ms, true, 10 * ms},
		{"below the floor", c, 1, true, 10 * ms},
		{"nothing took any time", c, 0, true, 10 * ms},
		{"the clock ran backwards", c, -time.Hour, true, 10 * ms},
		{"at the ceiling", c, 500 * ms, true, time.Second},
		{"above the ceiling", c, 501 * ms, true, time.Second},
		{"beyond all numbers", c, math.MaxInt64, true, time.Second},
		{"a long job", long, 64 * time.Second, true, 128 * time.Second},
		{"longer than samples can tell", long, unmeasured, true, time.Hour},
	} {
		if got := adapt(&tt.c, tt.q, tt.ok); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		checkAdapt(t, &tt.c, tt.q, tt.ok)
	}
}

func TestSample(t *testing.T) {
	for _, tt := range []struct {
		o    core.Outcome
		took time.Duration
		want time.Duration
		ok   bool
	}{
		{core.Success, 7 * ms, 7 * ms, true},
		{core.Success, 2 * time.Second, 2 * time.Second, true}, // late
		{core.Success, -7 * ms, 0, true},
		{core.Timeout, 1001 * ms, time.Second, true},
		{core.Failure, 7 * ms, 0, false},
		{core.Overload, 7 * ms, 0, false},
		{core.Expired, 7 * ms, 0, false},
		{core.Canceled, 7 * ms, 0, false},
		{core.Ignored, 7 * ms, 0, false},
	} {
		if got, ok := sample(tt.o, tt.took, time.Second); got != tt.want || ok != tt.ok {
			t.Errorf("%v after %v: %v, %v; want %v, %v", tt.o, tt.took, got, ok, tt.want, tt.ok)
		}
	}
}

// FuzzMachine asks the machine anything; checkAllow and checkAdapt say what must hold.
func FuzzMachine(f *testing.F) {
	for _, n := range []int64{0, 1, -1, int64(ms), int64(time.Second), int64(time.Hour), math.MaxInt64, math.MinInt64} {
		f.Add(n, int64(100*ms), int64(0), int64(0), 2.0, true)
		f.Add(int64(time.Second), n, int64(5*ms), int64(20*ms), 1.0, false)
		f.Add(int64(time.Second), int64(time.Second), n, int64(ms), 100.0, true)
		f.Add(int64(time.Second), int64(time.Second), int64(ms), n, 1.5, true)
	}
	f.Fuzz(func(t *testing.T, limit, incoming, margin, floor int64, factor float64, ok bool) {
		bounded := func(n int64, c time.Duration) time.Duration { return time.Duration(n).Abs() % c }
		l := ms + bounded(limit, 24*time.Hour)
		checkAllow(t, l, time.Duration(incoming), bounded(margin, time.Minute), bounded(floor, time.Hour))
		if !(factor >= 1 && factor <= 100) {
			factor = 1
		}
		c := Config{Limit: l, Adaptive: true, Factor: factor, Min: min(ms+bounded(floor, time.Hour), l)}
		checkAdapt(t, &c, time.Duration(incoming), ok)
	})
}

func checkAllow(t *testing.T, limit, incoming, margin, floor time.Duration) {
	t.Helper()
	rest, own, reason := allow(limit, incoming, margin, floor)
	admitted := reason == 0
	switch {
	case admitted != (rest > 0):
		t.Errorf("reason %v, and %v to go", reason, rest)
	case rest > limit:
		t.Errorf("%v is more than the limit %v", rest, limit)
	case own && rest != limit, own && !admitted:
		t.Errorf("our limit %v ends it, after %v", limit, rest)
	case incoming == core.Never && !own:
		t.Error("a deadline that is none")
	case admitted && incoming != core.Never && rest > incoming-margin:
		t.Errorf("%v is more than the caller has: %v less %v", rest, incoming, margin)
	case admitted && incoming != core.Never && incoming-margin < floor:
		t.Errorf("%v less %v is below the floor %v, and admitted", incoming, margin, floor)
	case !admitted && incoming > 0 && incoming-margin >= max(floor, 1):
		t.Errorf("%v less %v is enough for the floor %v, and rejected", incoming, margin, floor)
	}
	if more := incoming + 1; incoming < core.Never-1 && admitted {
		if longer, _, why := allow(limit, more, margin, floor); why != 0 || longer < rest {
			t.Errorf("more time to go, and less for the call: %v, %v", longer, why)
		}
	}
}

func checkAdapt(t *testing.T, c *Config, q time.Duration, ok bool) {
	t.Helper()
	got := adapt(c, q, ok)
	if got < min(c.Min, c.Limit) || got > c.Limit {
		t.Errorf("quantile %v: %v is not in %v..%v", q, got, c.Min, c.Limit)
	}
	if q < math.MaxInt64 && adapt(c, q+1, ok) < got {
		t.Errorf("quantile %v: a longer one makes the limit shorter", q)
	}
}
