package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// queue starts calls that wait, in order, and tells how they end.
type queue struct {
	t     *testing.T
	g     core.Guard
	start core.Time
	ends  []end
	lines chan end
	out   int
}

type end struct {
	id     int
	reason core.Reason
	at     time.Duration // since the start, by the bubble's clock
	now    core.Time     // Decision.Now
}

func newQueue(t *testing.T, g core.Guard) *queue {
	return &queue{t: t, g: g, start: core.Now(), lines: make(chan end, 10_000)}
}

// call starts a call and returns when it waits or is decided.
func (q *queue) call(ctx context.Context, id int, c core.Call) {
	q.out++
	go func() {
		_, d := q.g.Acquire(ctx, c)
		q.lines <- end{id, d.Reason, core.Now().Sub(q.start), d.Now}
	}()
	synctest.Wait()
}

// after lets time pass and returns how calls ended by then, as id:reason@time, in order of time and id.
func (q *queue) after(d time.Duration) (got []string) {
	time.Sleep(d)
	synctest.Wait()
	for {
		select {
		case e := <-q.lines:
			q.out--
			q.ends = append(q.ends, e)
			if want := q.start.Add(e.at); e.now != want && e.reason != core.ReasonTooLong {
				q.t.Errorf("call %d: Decision.Now is %v off", e.id, e.now.Sub(want))
			}
			continue
		default:
		}
		break
	}
	slices.SortFunc(q.ends, func(a, b end) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return a.id - b.id
	})
	for _, e := range q.ends {
		got = append(got, fmt.Sprintf("%d:%v@%v", e.id, e.reason, e.at))
	}
	q.ends = nil
	return got
}

func (q *queue) want(d time.Duration, want ...string) {
	q.t.Helper()
	if got := q.after(d); !slices.Equal(got, want) {
		q.t.Errorf("ends\n %v, want\n %v", got, want)
	}
}

// done checks that nothing is left behind.
func (q *queue) done(l *Limiter) {
	q.t.Helper()
	if l.lines.waiting.Load() != 0 || len(l.lines.byKey) != 0 || q.out != 0 {
		q.t.Errorf("%d waiting in %d lines, %d calls out", l.lines.waiting.Load(), len(l.lines.byKey), q.out)
	}
}

// waiting starts n calls at one a second, the bucket being empty.
func waiting(t *testing.T, c Config, n int) (*Limiter, *queue) {
	t.Helper()
	l := limiter(t, c)
	acquire(l, 0, int(l.Config().Burst), 0)
	q := newQueue(t, l)
	for id := range n {
		q.call(bg, id, core.Call{})
	}
	if got := l.Snapshot().Waiting; got != n {
		t.Fatalf("%d of %d calls wait", got, n)
	}
	return l, q
}

func TestWaitersAreServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, q := waiting(t, Config{Limit: 1, Burst: 1, MaxWait: time.Minute}, 4)
		q.want(4*time.Second, "0:admitted@1s", "1:admitted@2s", "2:admitted@3s", "3:admitted@4s")
		q.done(l)
		if s := l.Snapshot(); s.Admitted != 5 || s.Rejected != 0 {
			t.Errorf("%+v", s.Status)
		}
	})
}

// TestExpensiveHeadIsNotOvertaken: a cheap call that would fit waits behind a dear one that does not.
func TestExpensiveHeadIsNotOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Limit: 1, Burst: 5, MaxWait: time.Minute})
		acquire(l, 0, 3, 0)
		q := newQueue(t, l)
		q.call(bg, 0, core.Call{Cost: 4})
		q.call(bg, 1, core.Call{Cost: 1})
		if d := l.Peek(core.Call{}); d.Reason != 0 {
			t.Errorf("Peek, behind those two: %+v", d)
		}
		q.want(10*time.Second, "0:admitted@2s", "1:admitted@3s")
		q.done(l)
	})
}

func TestKeysWaitApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := keyedLimiter(t, Config{Limit: 1, Burst: 1, MaxWait: time.Minute})
		acquire(l, 1, 1, 0)
		q := newQueue(t, l)
		q.call(bg, 0, core.Call{Key: keyOf(1)})
		q.call(bg, 1, core.Call{Key: keyOf(2)})
		q.call(bg, 2, core.Call{Key: keyOf(1)})
		q.call(bg, 3, core.Call{Key: keyOf(2)})
		q.want(2*time.Second, "1:admitted@0s", "0:admitted@1s", "3:admitted@1s", "2:admitted@2s")
		q.done(&l.Limiter)
	})
}

// TestTooLongIsRefusedAtOnce, by MaxWait and by the caller's deadline.
func TestTooLongIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, q := waiting(t, Config{Limit: 1, Burst: 1, MaxWait: 3 * time.Second}, 3)
		q.call(bg, 3, core.Call{})
		q.want(0, "3:too_long@0s")
		if d := l.Peek(core.Call{}); d.Reason != core.ReasonLimited || d.RetryAfter != 4*time.Second {
			t.Errorf("Peek: %+v", d)
		}
		ctx, cancel := context.WithTimeout(bg, 2*time.Second)
		defer cancel()
		q.call(ctx, 4, core.Call{})
		q.want(0, "4:too_long@0s")
		q.call(bg, 5, core.Call{Cost: 2})
		q.want(0, "5:too_costly@0s")
		q.want(5*time.Second, "0:admitted@1s", "1:admitted@2s", "2:admitted@3s")
		q.done(l)
	})
}

func TestWaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Limit: 1, Burst: 1, MaxWait: time.Minute})
		acquire(l, 0, 1, 0)
		ctx, cancel := context.WithCancel(bg)
		time.AfterFunc(time.Second/2, cancel)
		_, d := l.Acquire(ctx, core.Call{})
		if err := d.Err(); !errors.Is(err, core.ErrLeft) || !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
		// The deadline is far enough at first; then the rate falls while nobody else is told.
		q := newQueue(t, l)
		late, cancel2 := context.WithTimeout(bg, 2*time.Second)
		defer cancel2()
		q.call(late, 0, core.Call{})
		if err := l.Tune(Config{Limit: 1, Period: time.Minute, Burst: 1, MaxWait: time.Minute}); err != nil {
			t.Fatal(err)
		}
		q.want(0, "0:too_long@0s")
		q.done(l)
		if s := l.Snapshot(); s.Rejected != 2 || s.Waiting != 0 {
			t.Errorf("%+v", s.Status)
		}
	})
}

// TestD14_CancelledWaitersHoldNoReservation: after five of them at one a second, the next token is a second away.
func TestD14_CancelledWaitersHoldNoReservation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Limit: 1, Burst: 1, MaxWait: time.Minute})
		acquire(l, 0, 1, 0)
		q := newQueue(t, l)
		ctx, cancel := context.WithCancel(bg)
		for id := range 5 {
			q.call(ctx, id, core.Call{})
		}
		cancel()
		q.want(0, "0:left@0s", "1:left@0s", "2:left@0s", "3:left@0s", "4:left@0s")
		q.done(l)
		q.call(bg, 5, core.Call{})
		q.want(time.Second, "5:admitted@1s")
		q.done(l)
	})
}

// TestHeadHandsOver: whoever is next when the head leaves goes on as the head, with its time.
func TestHeadHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Limit: 1, Burst: 10, MaxWait: time.Minute})
		acquire(l, 0, 10, 0)
		q := newQueue(t, l)
		ctx, cancel := context.WithCancel(bg)
		q.call(ctx, 0, core.Call{Cost: 10})
		q.call(bg, 1, core.Call{Cost: 2})
		mid, cancelMid := context.WithCancel(bg)
		q.call(mid, 2, core.Call{Cost: 10})
		q.call(bg, 3, core.Call{})
		q.want(time.Second)
		cancelMid()
		q.want(0, "2:left@1s")
		cancel()
		q.want(0, "0:left@1s")
		q.want(5*time.Second, "1:admitted@2s", "3:admitted@3s")
		q.done(l)
	})
}

// TestTuneRetimesWaiters, to faster and to slower, and whoever then would wait too long learns it at once.
func TestTuneRetimesWaiters(t *testing.T) {
	tune := func(t *testing.T, l *Limiter, c Config) {
		t.Helper()
		if err := l.Tune(c); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		to   Config
		want []string
	}{
		"faster":           {Config{Limit: 10, Burst: 1, MaxWait: 10 * time.Second}, []string{"0:admitted@550ms", "1:admitted@650ms", "2:admitted@750ms"}},
		"slower":           {Config{Limit: 1, Period: 2 * time.Second, Burst: 1, MaxWait: 10 * time.Second}, []string{"0:admitted@1.5s", "1:admitted@3.5s", "2:admitted@5.5s"}},
		"too slow for all": {Config{Limit: 1, Period: time.Minute, Burst: 1, MaxWait: 10 * time.Second}, []string{"0:waited@500ms", "1:waited@500ms", "2:waited@500ms"}},
		"too slow for two": {Config{Limit: 1, Period: 6 * time.Second, Burst: 1, MaxWait: 4 * time.Second}, []string{"1:waited@500ms", "2:waited@500ms", "0:admitted@3.5s"}},
		"less patient":     {Config{Limit: 1, Burst: 1, MaxWait: 2 * time.Second}, []string{"2:waited@500ms", "0:admitted@1s", "1:admitted@2s"}},
		"no patience":      {Config{Limit: 1, Burst: 1}, []string{"0:waited@500ms", "1:waited@500ms", "2:waited@500ms"}},
		"shadow":           {Config{Limit: 1, Burst: 1, MaxWait: time.Hour, Mode: core.Shadow}, []string{"0:limited@500ms", "1:limited@500ms", "2:limited@500ms"}},
		"disabled":         {Config{Limit: 1, Burst: 1, MaxWait: time.Hour, Mode: core.Disabled}, []string{"0:admitted@500ms", "1:admitted@500ms", "2:admitted@500ms"}},
		"larger burst":     {Config{Limit: 1, Burst: 3, MaxWait: 10 * time.Second}, []string{"0:admitted@500ms", "1:admitted@500ms", "2:admitted@1s"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, q := waiting(t, Config{Limit: 1, Burst: 1, MaxWait: 10 * time.Second}, 3)
				q.want(time.Second / 2)
				tune(t, l, test.to)
				q.want(time.Minute, test.want...)
				q.done(l)
				if s := l.Snapshot(); s.Admitted+s.Rejected != 4 || name == "shadow" && s.Shadowed != 3 {
					t.Errorf("%+v", s.Status)
				}
			})
		})
	}
}

// TestShrinkBelowAWaitersCost: what can never be admitted any more is told so.
func TestShrinkBelowAWaitersCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Limit: 1, Burst: 10, MaxWait: time.Minute})
		acquire(l, 0, 10, 0)
		q := newQueue(t, l)
		q.call(bg, 0, core.Call{Cost: 1})
		q.call(bg, 1, core.Call{Cost: 6})
		q.call(bg, 2, core.Call{Cost: 2})
		if err := l.Tune(Config{Limit: 1, Burst: 5, MaxWait: time.Minute}); err != nil {
			t.Fatal(err)
		}
		q.want(10*time.Second, "1:too_costly@0s", "0:admitted@1s", "2:admitted@3s")
		q.done(l)
	})
}

// TestOverrideReleasesWaiters: the operator's switch works on those who wait, and an override that ends while calls wait
// is noticed by them.
func TestOverrideReleasesWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, q := waiting(t, Config{Limit: 1, Burst: 1, MaxWait: time.Minute}, 2)
		if err := l.Override(core.Disabled, time.Second); err != nil {
			t.Fatal(err)
		}
		q.want(0, "0:admitted@0s", "1:admitted@0s")
		q.done(l)
	})
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Limit: 1, Burst: 1, MaxWait: time.Minute, Mode: core.Disabled})
		if err := l.Override(core.Enforce, 1500*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		acquire(l, 0, 1, 0)
		q := newQueue(t, l)
		for id := range 3 {
			q.call(bg, id, core.Call{})
		}
		q.want(time.Minute, "0:admitted@1s", "1:admitted@2s", "2:admitted@2s")
		q.done(l)
	})
}

// TestTuneWhileACallJoins: settings that change between a call's look at them and its place in line must not be missed.
func TestTuneWhileACallJoins(t *testing.T) {
	for range calls(t, 5000) {
		l := limiter(t, Config{Limit: 1, Period: time.Hour, Burst: 1, MaxWait: time.Hour})
		acquire(l, 0, 1, 0)
		end := make(chan core.Reason, 1)
		go func() {
			_, d := l.Acquire(bg, core.Call{})
			end <- d.Reason
		}()
		runtime.Gosched()
		if err := l.Tune(Config{Limit: 1e6, Burst: 1, MaxWait: time.Hour}); err != nil {
			t.Fatal(err)
		}
		select {
		case r := <-end:
			if r != 0 {
				t.Fatal(r)
			}
		case <-time.After(time.Minute):
			t.Fatal("the call waits by the old settings")
		}
	}
}

// TestTunesWhileCallsWait: many of them, and overrides that end, neither deadlock nor lose anybody.
func TestTunesWhileCallsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, q := waiting(t, Config{Limit: 1, Burst: 1, MaxWait: time.Hour}, 50)
		stop := make(chan struct{})
		for g := range 4 {
			go func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					case <-time.After(time.Duration(100+g) * time.Millisecond):
					}
					_ = l.Override([]core.Mode{core.Enforce, core.Enforce}[i%2], 50*time.Millisecond)
					_ = l.Tune(Config{Limit: int64(1 + (i+g)%3), Burst: 1 + int64(i%2), MaxWait: time.Hour})
				}
			}()
		}
		if got := q.after(2 * time.Minute); len(got) != 50 {
			t.Errorf("%d of 50 calls ended: %v", len(got), got)
		}
		close(stop)
		q.done(l)
	})
}

// TestManyWaitersLeaveAtOnce: a line of tens of thousands is not walked for each of them.
func TestManyWaitersLeaveAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Limit: 1e9, Period: 24 * time.Hour, Burst: 1, MaxWait: time.Hour})
		acquire(l, 0, 1, 0)
		ctx, cancel := context.WithCancel(bg)
		ends := make(chan core.Reason, 20_000)
		for range cap(ends) {
			go func() {
				_, d := l.Acquire(ctx, core.Call{})
				ends <- d.Reason
			}()
		}
		synctest.Wait()
		if err := l.Tune(Config{Limit: 1, Burst: 1, MaxWait: time.Hour}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cancel()
		count := map[core.Reason]int{}
		for range cap(ends) {
			count[<-ends]++
		}
		if count[0] != 0 || count[core.ReasonWaited] != cap(ends)-3600 || count[core.ReasonLeft] != 3600 {
			t.Errorf("%v", count)
		}
		if len(l.lines.byKey) != 0 || l.lines.waiting.Load() != 0 {
			t.Error("somebody is left in line")
		}
	})
}

func TestDecisionNowAfterAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Limit: 1, Burst: 1, MaxWait: time.Minute})
		start := core.Now()
		if d := acquire(l, 0, 1, start); d.Now != start {
			t.Errorf("not waited: %v", d.Now.Sub(start))
		}
		if d := acquire(l, 0, 1, start); d.Now != start+second || d.Reason != 0 {
			t.Errorf("waited: %+v", d)
		}
	})
}
