package main

import (
	"context"
	"fmt"
	"time"

	fsratelimiter "github.com/failsafe-go/failsafe-go/ratelimiter"
	"golang.org/x/time/rate"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/ratelimit"
)

// In the allowing row a token arrives every nanosecond, faster than anybody can ask: no call is ever denied, and
// nobody is told that the rate is infinite, which some answer without a look at the clock. In the denying row one token
// a day exists and has been spent.
const (
	plenty = 1_000_000_000
	day    = 24 * time.Hour
)

func limiterRows() []Row {
	return []Row{
		{
			Name: "LimiterAllow", About: "one bucket that never runs dry",
			Contestants: []Contestant{
				{Ours, func() Subject { return oursLimiter(plenty, time.Second) }},
				{"xtime", func() Subject { return xtimeLimiter(plenty, plenty) }},
				{"failsafe", func() Subject { return failsafeLimiter(plenty, time.Second) }},
			},
		},
		{
			Name: "LimiterDeny", About: "one bucket that is empty", Verdict: Rejected,
			Contestants: []Contestant{
				{Ours, func() Subject { return drained(oursLimiter(1, day)) }},
				{"xtime", func() Subject { return drained(xtimeLimiter(rate.Every(day), 1)) }},
				{"failsafe", func() Subject { return drained(failsafeLimiter(1, day)) }},
			},
		},
	}
}

// drained returns s with the only token of its bucket spent.
func drained(s Subject) Subject {
	if got := s.Loop(0, 1); got != 1 {
		panic(fmt.Sprintf("a full bucket admitted %d calls of 1", got))
	}
	return s
}

func newLimiter(limit int64, period time.Duration) *ratelimit.Limiter {
	return mw.Must(ratelimit.New("bench", ratelimit.Config{Limit: limit, Period: period}, ratelimit.Hooks{}))
}

func oursLimiter(limit int64, period time.Duration) Subject {
	l, ctx := newLimiter(limit, period), context.Background()
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			if _, d := l.Acquire(ctx, core.Call{}); d.Admitted() {
				admitted++
			}
		}
		return admitted
	}}
}

func xtimeLimiter(limit rate.Limit, burst int) Subject {
	l := rate.NewLimiter(limit, burst)
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			if l.Allow() {
				admitted++
			}
		}
		return admitted
	}}
}

func failsafeLimiter(limit uint, period time.Duration) Subject {
	l := fsratelimiter.NewSmooth[int](limit, period)
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			if l.TryAcquirePermit() {
				admitted++
			}
		}
		return admitted
	}}
}
