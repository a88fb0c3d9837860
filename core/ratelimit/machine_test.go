package ratelimit

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

const second = core.Time(time.Second)

// TestTransitions walks the table in doc.go, line by line.
func TestTransitions(t *testing.T) {
	tuneTo := func(c Config) *Config { return &c }
	base := Config{Limit: 10, Burst: 5}
	type step struct {
		at   time.Duration
		cost int64 // 0: no call
		tune *Config
		want verdict // short is not compared
	}
	const u = unit
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"idle, cost within the burst: admitted", []step{
			{at: 0, cost: 2, want: verdict{ok: true, debt: 2 * u, left: 3}},
		}},
		{"idle, cost of the whole burst: admitted", []step{
			{at: 0, cost: 5, want: verdict{ok: true, debt: 5 * u, left: 0}},
		}},
		{"owing, it fits: admitted, the debt grows", []step{
			{at: 0, cost: 2, want: verdict{ok: true, debt: 2 * u, left: 3}},
			{at: 0, cost: 3, want: verdict{ok: true, debt: 5 * u, left: 0}},
		}},
		{"owing, it does not fit: rejected, nothing changes", []step{
			{at: 0, cost: 4, want: verdict{ok: true, debt: 4 * u, left: 1}},
			{at: 0, cost: 2, want: verdict{retry: 100 * time.Millisecond, debt: 4 * u, left: 1}},
			{at: 0, cost: 3, want: verdict{retry: 200 * time.Millisecond, debt: 4 * u, left: 1}},
			{at: 0, cost: 1, want: verdict{ok: true, debt: 5 * u, left: 0}},
		}},
		{"any, cost above the burst: rejected, nothing changes", []step{
			{at: 0, cost: 6, want: verdict{retry: 100 * time.Millisecond, debt: 0, left: 5}},
			{at: 0, cost: 5, want: verdict{ok: true, debt: 5 * u, left: 0}},
		}},
		{"owing, time passes: the debt falls with the rate, down to none", []step{
			{at: 0, cost: 5, want: verdict{ok: true, debt: 5 * u, left: 0}},
			{at: 100 * time.Millisecond, cost: 1, want: verdict{ok: true, debt: 5 * u, left: 0}},
			{at: 400 * time.Millisecond, cost: 1, want: verdict{ok: true, debt: 3 * u, left: 2}},
			{at: time.Hour, cost: 1, want: verdict{ok: true, debt: 1 * u, left: 4}},
		}},
		{"any, time runs backwards past the start: it stands still", []step{
			{at: 0, cost: 5, want: verdict{ok: true, debt: 5 * u, left: 0}},
			{at: -time.Hour, cost: 1, want: verdict{retry: 100 * time.Millisecond, debt: 5 * u, left: 0}},
			{at: 100 * time.Millisecond, cost: 1, want: verdict{ok: true, debt: 5 * u, left: 0}},
		}},
		{"owing, time runs backwards: the debt is as it was then", []step{
			{at: time.Second, cost: 5, want: verdict{ok: true, debt: 5 * u, left: 0}},
			{at: 900 * time.Millisecond, cost: 1, want: verdict{retry: 200 * time.Millisecond, debt: 6 * u, left: 0}},
		}},
		{"owing, a Tune of the rate: the debt stays, in tokens", []step{
			{at: 0, cost: 5, want: verdict{ok: true, debt: 5 * u, left: 0}},
			{at: 100 * time.Millisecond, tune: tuneTo(Config{Limit: 1, Burst: 5})},
			{at: 100 * time.Millisecond, cost: 2, want: verdict{retry: time.Second, debt: 4 * u, left: 1}},
			{at: 1100 * time.Millisecond, cost: 2, want: verdict{ok: true, debt: 5 * u, left: 0}},
		}},
		{"owing, a Tune to a larger burst: the debt stays", []step{
			{at: 0, cost: 5, want: verdict{ok: true, debt: 5 * u, left: 0}},
			{at: 0, tune: tuneTo(Config{Limit: 10, Burst: 8})},
			{at: 0, cost: 3, want: verdict{ok: true, debt: 8 * u, left: 0}},
		}},
		{"owing more than the new burst, a Tune to a smaller one: the debt is clamped", []step{
			{at: 0, cost: 5, want: verdict{ok: true, debt: 5 * u, left: 0}},
			{at: 0, tune: tuneTo(Config{Limit: 10, Burst: 2})},
			{at: 0, cost: 1, want: verdict{retry: 100 * time.Millisecond, debt: 2 * u, left: 0}},
			{at: 100 * time.Millisecond, cost: 1, want: verdict{ok: true, debt: 2 * u, left: 0}},
		}},
		{"owing less than the new burst, a Tune to a smaller one: the debt stays", []step{
			{at: 0, cost: 1, want: verdict{ok: true, debt: 1 * u, left: 4}},
			{at: 0, tune: tuneTo(Config{Limit: 10, Burst: 2})},
			{at: 0, cost: 2, want: verdict{retry: 100 * time.Millisecond, debt: 1 * u, left: 1}},
			{at: 0, cost: 1, want: verdict{ok: true, debt: 2 * u, left: 0}},
		}},
		{"idle, a Tune to a smaller burst: nothing is owed", []step{
			{at: 0, tune: tuneTo(Config{Limit: 10, Burst: 2})},
			{at: 0, cost: 2, want: verdict{ok: true, debt: 2 * u, left: 0}},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			const start = core.Time(-1 << 40)
			b := newBook(t, base, start)
			for i, s := range test.steps {
				now := start.Add(s.at)
				if s.tune != nil {
					b.tune(t, *s.tune, now)
				}
				if s.cost == 0 {
					continue
				}
				got := b.call(t, 1, s.cost, now)
				got.short = 0
				if got != s.want {
					t.Errorf("step %d: got %+v, want %+v", i, got, s.want)
				}
			}
		})
	}
}

// TestTimeline is a diagram of calls at 10 a second with a burst of 2: a digit is a call of that cost that is admitted,
// x a call of cost 1 and X one of cost 2 that is not; the columns are 50 ms apart, half a token.
func TestTimeline(t *testing.T) {
	for _, line := range []string{
		"1 1 1 1 1 1 1 1",
		"2   2   2   2   2",
		"2X X2X X2X X2",
		"2 1 1 1 1x1x1",
		"111x1x1x1x1",
		"11   2x1x1x1",
		"111x1x1 1x1x",
	} {
		b := newBook(t, Config{Limit: 10, Burst: 2}, 0)
		got := []byte(line)
		for i, c := range got {
			cost := map[byte]int64{'1': 1, 'x': 1, '2': 2, 'X': 2}[c]
			if cost == 0 {
				continue
			}
			got[i] = " xX"[cost]
			if b.call(t, 1, cost, core.Time(i)*second/20).ok {
				got[i] = " 12"[cost]
			}
		}
		if string(got) != line {
			t.Errorf("got  %q\nwant %q", got, line)
		}
	}
}

// TestCallsExactlyOnePeriodApart: whoever keeps the rate to the nanosecond is never rejected, for as long as it likes.
func TestCallsExactlyOnePeriodApart(t *testing.T) {
	for _, test := range []struct {
		c     Config
		every time.Duration
	}{
		{Config{Limit: 1, Burst: 1}, time.Second},
		{Config{Limit: 1, Burst: 1, Period: 24 * time.Hour}, 24 * time.Hour},
		{Config{Limit: 1000, Burst: 1}, time.Millisecond},
		{Config{Limit: 1e9, Burst: 1}, 1},
		{Config{Limit: 1e6, Burst: 1, Period: time.Millisecond}, 1},
		{Config{Limit: 3, Burst: 1}, 333333334},
		{Config{Limit: 7, Burst: 1, Period: time.Minute}, 8571428572},
		{Config{Limit: 999999999, Burst: 1}, 2},
	} {
		t.Run(fmt.Sprint(test.c.Limit, test.c.Period), func(t *testing.T) {
			b := newBook(t, test.c, 12345)
			for i := range 100_000 {
				now := core.Time(12345).Add(time.Duration(i) * test.every)
				if got := b.call(t, 1, 1, now); !got.ok {
					t.Fatalf("call %d: %+v", i, got)
				}
			}
		})
	}
}

// TestRetryAfterIsExact: whoever waits as long as it was told is admitted, and whoever waits less by a nanosecond, or by
// a millionth of a token if that is longer, is not.
func TestRetryAfterIsExact(t *testing.T) {
	for _, c := range []Config{
		{Limit: 1, Burst: 1},
		{Limit: 3, Burst: 2},
		{Limit: 1, Burst: 1, Period: 24 * time.Hour},
		{Limit: 7, Burst: 50, Period: time.Hour},
		{Limit: 999, Burst: 5},
		{Limit: 48_271, Burst: 10},
		{Limit: 1e6, Burst: 3, Period: time.Millisecond},
		{Limit: 1e9, Burst: 1e9},
		{Limit: 999_999_937, Burst: 1},
		{Limit: 123_456_789, Burst: 1000},
	} {
		t.Run(fmt.Sprint(c.Limit, "/", c.Period), func(t *testing.T) {
			b := newBook(t, c, 0)
			early := core.Time(b.k.nanoseconds(1)) // one unit
			now := core.Time(0)
			for i := range 2000 {
				now += core.Time(i * 7919 % 100_003)
				cost := int64(i)%c.Burst + 1
				got := b.call(t, 1, cost, now)
				if got.ok {
					continue
				}
				if got.retry <= 0 {
					t.Fatalf("RetryAfter %d", got.retry)
				}
				before := *b
				if again := before.call(t, 1, cost, now.Add(got.retry)-early-1); again.ok {
					t.Fatalf("call %d is admitted %d ns before its RetryAfter of %d", i, early+1, got.retry)
				}
				now = now.Add(got.retry)
				if again := b.call(t, 1, cost, now); !again.ok {
					t.Fatalf("call %d is not admitted after its RetryAfter of %d: %+v", i, got.retry, again)
				}
			}
		})
	}
}

// TestRetryAfterIsExactAcrossRates: a debt left by another rate is any number of units; the last of them counts too.
func TestRetryAfterIsExactAcrossRates(t *testing.T) {
	b := newBook(t, Config{Limit: 7, Burst: 1000}, 0)
	for i := range 5000 {
		now := core.Time(i * 1_000_003)
		b.tune(t, Config{Limit: 7 + int64(i%13), Burst: 1000}, now)
		b.tune(t, Config{Limit: 1e9, Burst: 1000}, now+17)
		for b.call(t, 1, 100, now+17).ok {
		}
		got := b.call(t, 1, 100, now+17)
		if again := b.call(t, 1, 100, (now + 17).Add(got.retry)); !again.ok {
			t.Fatalf("round %d: not admitted after its RetryAfter of %d: %d units short", i, got.retry, again.short)
		}
	}
}

func TestRemaining(t *testing.T) {
	b := newBook(t, Config{Limit: 1, Burst: 3}, 0)
	for i, want := range []int64{2, 1, 0} {
		if got := b.call(t, 1, 1, 0); got.left != want {
			t.Errorf("after call %d: %d left, want %d", i, got.left, want)
		}
	}
	if got := b.call(t, 1, 1, 999_999_999); got.ok || got.left != 0 {
		t.Errorf("a nanosecond before the next token: %+v", got)
	}
}

// TestFarNegativeStart: in a bubble the clock may read far below zero, and the state must not begin at zero.
func TestFarNegativeStart(t *testing.T) {
	for _, start := range []core.Time{math.MinInt64, math.MinInt64 / 2, -1, 0, 1, math.MaxInt64 / 2} {
		b := newBook(t, Config{Limit: 2, Burst: 2}, start)
		for range 2 {
			if got := b.call(t, 1, 1, start); !got.ok {
				t.Fatalf("start %d: a fresh bucket is not full: %+v", start, got)
			}
		}
		if got := b.call(t, 1, 1, start); got.ok || got.retry != time.Second/2 {
			t.Errorf("start %d: %+v", start, got)
		}
		if got := b.call(t, 1, 1, start+second/2); !got.ok {
			t.Errorf("start %d: after half a second: %+v", start, got)
		}
	}
}
