package budget

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// TestShellEqualsModel drives both with random calls, Tunes and pauses, in one goroutine.
func TestShellEqualsModel(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 23))
			c := tunings[rng.IntN(len(tunings))]
			m, b := newModel(t, c, core.Now()), mustNew(t, c)
			var out []core.Time
			for i := range 400 {
				now := core.Now()
				switch rng.IntN(8) {
				case 0, 1:
					want, peek := m.withdraw(now), b.Peek(now)
					if got := b.Withdraw(now); got != want || peek != want {
						t.Fatalf("seed %d, step %d: %v, peeked %v, want %v", seed, i, got, peek, want)
					} else if got {
						out = append(out, now)
					}
				case 2:
					if len(out) > 0 {
						m.refund(out[0])
						b.Refund(out[0])
						out = out[1:]
					}
				case 3:
					m.begin(now)
					b.Begin(now)
				case 4, 5:
					o := core.Outcome(rng.IntN(core.Outcomes))
					m.end(o)
					b.End(o)
				case 6:
					time.Sleep(time.Duration(rng.Int64N(int64(3 * time.Second))))
				case 7:
					if rng.IntN(10) == 0 {
						c = tunings[rng.IntN(len(tunings))]
						m.tune(t, c, now)
						tune(t, b, c)
					}
				}
				if got, want := b.Snapshot().Balance, m.balance(core.Now()); got != want {
					t.Fatalf("seed %d, step %d: balance %v, want %v", seed, i, got, want)
				}
			}
		})
	}
}

// However many take at once, no more is paid out than was there and came in, and none of it is lost.
func TestTokensAreConserved(t *testing.T) {
	const callers = 8
	for _, tt := range []struct {
		c    Config
		each int // long enough for the callers to meet
	}{
		{Config{Size: 1_000_000, Ratio: 0.25}, 500_000},
		{Config{Rule: Window, TTL: time.Hour, Reserve: core.None, Ratio: 0.25}, 20_000},
	} {
		c, each := tt.c, tt.each
		b := mustNew(t, c)
		drain(b, 1_000_000)
		var taken, kept atomic.Int64
		var all sync.WaitGroup
		start := make(chan struct{})
		for g := range callers {
			all.Go(func() {
				<-start
				for i := range each {
					b.Begin(0)
					b.End(core.Success)
					if i%2 == g%2 && b.Withdraw(0) {
						taken.Add(1)
						if i%3 == 0 {
							b.Refund(0)
						} else {
							kept.Add(1)
						}
					}
				}
			})
		}
		close(start)
		all.Wait()
		funded := float64(callers*each) * float64(c.Ratio)
		s := b.Snapshot()
		if got := float64(kept.Load()) + s.Balance; got != funded {
			t.Errorf("%v: %d kept and %v left of %v", b.Config().Rule, kept.Load(), s.Balance, funded)
		}
		if taken.Load() == kept.Load() || s.Refunded != uint64(taken.Load()-kept.Load()) {
			t.Errorf("%d taken, %d kept, %d refunded", taken.Load(), kept.Load(), s.Refunded)
		}
	}
}

// Concurrent Tunes leave no bucket above its size and no call without an answer.
func TestTuneUnderLoad(t *testing.T) {
	b := mustNew(t, Config{})
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 2000 {
				if g == 0 {
					tune(t, b, tunings[i%len(tunings)])
					continue
				}
				at := core.Now()
				b.Begin(at)
				if b.Withdraw(at) && i%2 == 0 {
					b.Refund(at)
				}
				b.End(core.Outcome(i % core.Outcomes))
				b.Snapshot()
			}
		})
	}
	all.Wait()
	tune(t, b, Config{Size: 3})
	if got := drain(b, 100); got > 3 {
		t.Errorf("%d tokens in a bucket of 3", got)
	}
}

func TestTuneKeepsTheBalance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, Config{})
		balance := func(want float64) {
			t.Helper()
			if got := b.Snapshot().Balance; got != want {
				t.Errorf("balance %v, want %v", got, want)
			}
		}
		balance(10)
		tune(t, b, Config{Size: 7})
		balance(7)
		tune(t, b, Config{Size: 100, Ratio: 0.5})
		balance(7)
		b.End(core.Success)
		balance(7.5)
		tune(t, b, Config{Rule: Window, Reserve: 2})
		balance(20)
		for range 10 {
			b.Begin(0)
		}
		if drain(b, 5) != 5 {
			t.Error("refused with a balance")
		}
		balance(16)
		time.Sleep(5 * time.Second)
		tune(t, b, Config{Rule: Window, Reserve: 2, TTL: time.Minute})
		balance(120 + 1 - 5)
		time.Sleep(50 * time.Second)
		balance(120 + 1 - 5)
		time.Sleep(10 * time.Second)
		balance(120)
		tune(t, b, Config{Size: 100})
		balance(7.5)
		if got := b.Config(); got != (Config{Ratio: 0.1, Size: 100, TTL: 10 * time.Second, Reserve: 1}) {
			t.Errorf("%+v", got)
		}
	})
}

// A rate of calls for hours neither drifts nor saves up: the window allows its share of the last TTL, no more.
func TestWindowForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, Config{Rule: Window, Reserve: core.None})
		for range 100 * 3600 {
			b.Begin(0)
			time.Sleep(10 * time.Millisecond)
		}
		if got := drain(b, 10_000); got < 89 || got > 100 {
			t.Errorf("%d extra attempts after an hour of 100 calls a second, want 0.1 of 10s", got)
		}
		time.Sleep(time.Hour)
		if got := drain(b, 10); got != 0 {
			t.Errorf("%d extra attempts after an hour without calls", got)
		}
	})
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    Config
		want []string
	}{
		{"", Config{}, []string{`budget: name ""`}},
		{"a b", Config{}, []string{`budget: name "a b"`}},
		{"a", Config{Rule: 9, Ratio: 2, Size: -1, TTL: 1, Reserve: -2}, []string{
			`budget "a": rule: unknown is not allowed; allowed: success|window|throttle|unlimited`,
			`ratio: 2 is not allowed; allowed: 0.001..1`, `size: -1 is not allowed; allowed: 1..1000000`,
			`ttl: 1ns is not allowed; allowed: 1s..1h`, `reserve: -2 is not allowed; allowed: 1..1000000|none`,
		}},
	} {
		_, err := New(tt.name, tt.c)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: error %v, want %s", tt.name, err, want)
			}
		}
	}
	b := mustNew(t, Config{})
	before := b.Config()
	if err := b.Tune(Config{Size: -1}); err == nil || b.Config() != before {
		t.Errorf("error %v, settings %+v", err, b.Config())
	}
	for rule := range Unlimited + 2 {
		text, _ := rule.MarshalText()
		var back Rule
		if err := back.UnmarshalText(text); (err == nil) != (rule <= Unlimited) || err == nil && back != rule {
			t.Errorf("%s: %v, %v", text, back, err)
		}
	}
}

func TestAllocs(t *testing.T) {
	for _, c := range tunings {
		b := mustNew(t, c)
		if n := testing.AllocsPerRun(200, func() {
			b.Begin(0)
			b.End(core.Success)
			b.End(core.Failure)
			if b.Peek(0) && b.Withdraw(0) {
				b.Refund(0)
			}
			b.Withdraw(0)
		}); n != 0 {
			t.Errorf("%+v: %v allocations", c, n)
		}
	}
}

// A token that was taken under another rule is not given back by window, which never had it taken.
func TestRefundAfterAnotherRule(t *testing.T) {
	for _, was := range []Rule{Success, Throttle, Unlimited} {
		synctest.Test(t, func(t *testing.T) {
			b, now := mustNew(t, Config{Rule: was}), core.Now()
			if !b.Withdraw(now) {
				t.Fatal("a full budget refuses")
			}
			tune(t, b, Config{Rule: Window, Reserve: 1})
			b.Refund(now)
			if got := b.Snapshot().Balance; got != 10 {
				t.Errorf("from %v: balance %v, want the reserve of 10", was, got)
			}
			if !b.Withdraw(now) || b.Snapshot().Balance != 9 {
				t.Errorf("%+v", b.Snapshot())
			}
			if b.Refund(now); b.Snapshot().Balance != 10 {
				t.Errorf("%+v", b.Snapshot())
			}
		})
	}
}
