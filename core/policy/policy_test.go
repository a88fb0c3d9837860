package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

// shop is the settings of a service with a machine of each kind.
func shop() Config {
	return Config{
		Breakers:   map[string]breaker.Config{"payments": {MinCalls: 3}},
		RateLimits: map[string]ratelimit.Config{"login": {Limit: 5}, "search": {Limit: 100}},
		Bulkheads:  map[string]bulkhead.Config{"reports": {Limit: 2}},
	}
}

func set(t testing.TB, c Config, onEvent func(core.Event)) *Set {
	t.Helper()
	s, err := New(c, onEvent)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// all makes one machine of each kind.
func all(t testing.TB, s *Set) (*breaker.Breaker, *ratelimit.Limiter, *ratelimit.Keyed, *bulkhead.Bulkhead) {
	t.Helper()
	return must[*breaker.Breaker](t)(s.Breaker("payments", breaker.Hooks{})),
		must[*ratelimit.Limiter](t)(s.RateLimit("search", ratelimit.Hooks{})),
		must[*ratelimit.Keyed](t)(s.KeyedRateLimit("login", ratelimit.Hooks{})),
		must[*bulkhead.Bulkhead](t)(s.Bulkhead("reports", bulkhead.Hooks{}))
}

// wantLines compares an error, line by line.
func wantLines(t *testing.T, err error, want ...string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != strings.Join(want, "\n") {
		t.Errorf("error\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestTheSameMachineForTheSameName(t *testing.T) {
	s := set(t, shop(), nil)
	b, l, k, h := all(t, s)
	b2, l2, k2, h2 := all(t, s)
	if b != b2 || l != l2 || k != k2 || h != h2 {
		t.Error("the second asking gives another machine")
	}
	if l.Config().Limit != 100 || k.Config().Limit != 5 || h.Config().Limit != 2 || b.Config().MinCalls != 3 {
		t.Error("the machines have not their settings")
	}
	if got := must[*breaker.Breaker](t)(s.Breaker("other", breaker.Hooks{})); got.Config().MinCalls != 20 {
		t.Errorf("a breaker without settings: %+v", got.Config())
	}
}

func TestKeyedOrNot(t *testing.T) {
	s := set(t, shop(), nil)
	all(t, s)
	_, err := s.RateLimit("login", ratelimit.Hooks{})
	wantLines(t, err, "policy: rate_limits.login is a *ratelimit.Keyed already and cannot be a *ratelimit.Limiter as well")
	_, err = s.KeyedRateLimit("search", ratelimit.Hooks{})
	wantLines(t, err, "policy: rate_limits.search is a *ratelimit.Limiter already and cannot be a *ratelimit.Keyed as well")
	_, err = s.KeyedBreaker("payments", breaker.Hooks{})
	wantLines(t, err, "policy: breakers.payments is a *breaker.Breaker already and cannot be a *breaker.Keyed as well")
	_, err = s.KeyedBulkhead("reports", bulkhead.Hooks{})
	wantLines(t, err, "policy: bulkheads.reports is a *bulkhead.Bulkhead already and cannot be a *bulkhead.Keyed as well")
	if n := len(s.All()); n != 4 {
		t.Errorf("%d machines", n)
	}
}

func TestRequiredFieldIsNamedByItsPath(t *testing.T) {
	s := set(t, Config{}, nil)
	_, err := s.RateLimit("login", ratelimit.Hooks{})
	wantLines(t, err, "rate_limits.login.limit: required; write e.g. limit: 100 (allowed: 1..1000000000)")
	var fault *schema.FieldError
	if !errors.As(err, &fault) || fault.Path != "rate_limits.login.limit" {
		t.Errorf("%#v", err)
	}
	_, err = s.KeyedBulkhead("reports", bulkhead.Hooks{})
	wantLines(t, err, "bulkheads.reports.limit: required; write e.g. limit: 64 (allowed: 1..1000000)")
	if _, err = s.Breaker("a b", breaker.Hooks{}); err == nil || !strings.Contains(err.Error(), `name "a b" is not allowed`) {
		t.Errorf("a bad name: %v", err)
	}
	if n := len(s.All()); n != 0 {
		t.Errorf("%d machines", n)
	}
}

func TestTuneIsAllOrNothing(t *testing.T) {
	events := 0
	s := set(t, shop(), func(core.Event) { events++ })
	b, l, k, h := all(t, s)
	bad := shop()
	bad.Breakers["payments"] = breaker.Config{MinCalls: -3}
	bad.RateLimits["search"] = ratelimit.Config{Limit: 200, Burst: -1}
	bad.RateLimits["login"] = ratelimit.Config{Limit: 6} // good, and must not come through
	bad.Bulkheads["reports"] = bulkhead.Config{Limit: 1 << 30}
	bad.RateLimits["nobody"] = ratelimit.Config{} // nobody asked for it, and it is checked too
	wantLines(t, s.Tune(bad),
		"breakers.payments.min_calls: -3 is not allowed; allowed: 1..1000000",
		"rate_limits.nobody.limit: required; write e.g. limit: 100 (allowed: 1..1000000000)",
		"rate_limits.search.burst: -1 is not allowed; allowed: 0..1000000000",
		"bulkheads.reports.limit: 1073741824 is not allowed; allowed: 1..1000000",
	)
	delete(bad.RateLimits, "nobody")
	delete(bad.RateLimits, "search")
	bad.Breakers, bad.Bulkheads = nil, nil
	wantLines(t, s.Tune(bad), // a name with a required field has gone: twice
		"bulkheads.reports.limit: required; write e.g. limit: 64 (allowed: 1..1000000)",
		"rate_limits.search.limit: required; write e.g. limit: 100 (allowed: 1..1000000000)",
	)
	if b.Config().MinCalls != 3 || l.Config().Limit != 100 || k.Config().Limit != 5 || h.Config().Limit != 2 || events != 0 {
		t.Errorf("a refused Tune changed something: %v %v %v %v, %d events",
			b.Config(), l.Config(), k.Config(), h.Config(), events)
	}
	if got := s.Config(); got.RateLimits["login"].Limit != 5 || len(got.RateLimits) != 2 {
		t.Errorf("a refused Tune changed the settings: %+v", got)
	}
	good := shop()
	good.Breakers = nil // goes back to the defaults
	good.RateLimits["login"] = ratelimit.Config{Limit: 7}
	good.RateLimits["nobody"] = ratelimit.Config{Limit: 1}
	if err := s.Tune(good); err != nil {
		t.Fatal(err)
	}
	if b.Config().MinCalls != 20 || k.Config().Limit != 7 || events != 2 {
		t.Errorf("%v %v, %d events", b.Config(), k.Config(), events)
	}
}

func TestNewChecksEverything(t *testing.T) {
	_, err := New(Config{
		Breakers:   map[string]breaker.Config{"a": {FailureRate: 7}},
		RateLimits: map[string]ratelimit.Config{"b": {}},
	}, nil)
	wantLines(t, err,
		"breakers.a.failure_rate: 7 is not allowed; allowed: 0.01..1|none",
		"rate_limits.b.limit: required; write e.g. limit: 100 (allowed: 1..1000000000)",
	)
}

// TestTheCallersMapsAreItsOwn: what is done to a Config after it was given, or to one that was asked for, changes nothing.
func TestTheCallersMapsAreItsOwn(t *testing.T) {
	c := shop()
	s := set(t, c, nil)
	c.RateLimits["login"] = ratelimit.Config{Limit: 9}
	if l := must[*ratelimit.Limiter](t)(s.RateLimit("login", ratelimit.Hooks{})); l.Config().Limit != 5 {
		t.Error("New keeps the caller's map")
	}
	if err := s.Tune(c); err != nil {
		t.Fatal(err)
	}
	delete(c.RateLimits, "search")
	delete(s.Config().RateLimits, "search")
	if _, err := s.RateLimit("search", ratelimit.Hooks{}); err != nil {
		t.Errorf("Tune keeps the caller's map, or Config gives away the set's: %v", err)
	}
}

func TestCheck(t *testing.T) {
	s := set(t, Config{
		Breakers:   map[string]breaker.Config{"paymnets": {}, "zzz": {}},
		RateLimits: map[string]ratelimit.Config{"login": {Limit: 1}, "reports": {Limit: 1}},
		Bulkheads:  map[string]bulkhead.Config{"reports": {Limit: 1}},
	}, nil)
	must[*breaker.Breaker](t)(s.Breaker("payments", breaker.Hooks{}))
	must[*ratelimit.Keyed](t)(s.KeyedRateLimit("login", ratelimit.Hooks{}))
	must[*bulkhead.Bulkhead](t)(s.Bulkhead("reports", bulkhead.Hooks{}))
	wantLines(t, s.Check(),
		"policy: breakers.paymnets: no code asks for it; did you mean payments?",
		"policy: breakers.zzz: no code asks for it",
		"policy: rate_limits.reports: no code asks for it; did you mean bulkheads.reports?",
	)
	if err := s.Tune(Config{
		RateLimits: map[string]ratelimit.Config{"login": {Limit: 1}},
		Bulkheads:  map[string]bulkhead.Config{"reports": {Limit: 1}},
	}); err != nil {
		t.Fatal(err)
	}
	wantLines(t, s.Check())
}

func TestAllIsInOrder(t *testing.T) {
	s := set(t, shop(), nil)
	all(t, s)
	must[*breaker.Breaker](t)(s.Breaker("a", breaker.Hooks{}))
	var got []string
	for _, m := range s.All() {
		p := m.Status().Policy
		got = append(got, fmt.Sprint(p.Kind, " ", p.Name))
	}
	if want := "[breaker a breaker payments bulkhead reports ratelimit login ratelimit search]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestEvents: both listeners hear of each change once, the machine's own first, in order, and may use the set.
func TestEvents(t *testing.T) {
	var heard []string
	var s *Set
	tell := func(who string) func(core.Event) {
		return func(e core.Event) {
			heard = append(heard, fmt.Sprint(who, " ", e.By.Name, " ", e.By.Limit))
			if who == "set" && e.By.Limit == 6 { // calls back: neither a deadlock nor a lost event
				if n := len(s.All()); n != 2 {
					t.Errorf("%d machines", n)
				}
				c := s.Config()
				c.RateLimits["login"] = ratelimit.Config{Limit: 7}
				if err := s.Tune(c); err != nil {
					t.Error(err)
				}
				if _, err := s.Breaker("late", breaker.Hooks{}); err != nil {
					t.Error(err)
				}
				_ = s.Check()
			}
		}
	}
	s = set(t, shop(), tell("set"))
	login := must[*ratelimit.Limiter](t)(s.RateLimit("login", ratelimit.Hooks{OnEvent: tell("own")}))
	must[*bulkhead.Bulkhead](t)(s.Bulkhead("reports", bulkhead.Hooks{}))
	c := shop()
	c.RateLimits["login"] = ratelimit.Config{Limit: 6}
	c.Bulkheads["reports"] = bulkhead.Config{Limit: 3}
	if err := s.Tune(c); err != nil {
		t.Fatal(err)
	}
	want := "[set reports 3 own login 6 set login 6 own login 7 set login 7]"
	if fmt.Sprint(heard) != want || login.Config().Limit != 7 {
		t.Errorf("heard %v\nwant  %v, the limit is %d", heard, want, login.Config().Limit)
	}
}

// TestTuneInTheMiddleOfATune: the later one wins in every machine, also in those that the earlier one reaches after it.
func TestTuneInTheMiddleOfATune(t *testing.T) {
	var s *Set
	once := sync.OnceFunc(func() {
		c := shop()
		c.RateLimits["login"] = ratelimit.Config{Limit: 8}
		if err := s.Tune(c); err != nil {
			t.Error(err)
		}
	})
	s = set(t, shop(), func(e core.Event) {
		if e.By.Kind == core.KindBulkhead {
			once()
		}
	})
	_, _, login, reports := all(t, s)
	c := shop()
	c.Bulkheads["reports"] = bulkhead.Config{Limit: 3}
	c.RateLimits["login"] = ratelimit.Config{Limit: 7}
	if err := s.Tune(c); err != nil {
		t.Fatal(err)
	}
	if login.Config().Limit != 8 || reports.Config().Limit != 2 || s.Config().RateLimits["login"].Limit != 8 {
		t.Errorf("limits %d and %d, the set has %d", login.Config().Limit, reports.Config().Limit, s.Config().RateLimits["login"].Limit)
	}
}

// TestEventsOfManyMachinesOneAtATime: the set's listener needs no lock of its own.
func TestEventsOfManyMachinesOneAtATime(t *testing.T) {
	var inside atomic.Int32
	last := map[string]int64{} // unguarded: the race detector watches
	events := 0
	s := set(t, Config{}, func(e core.Event) {
		if inside.Add(1) != 1 {
			t.Error("two events at once")
		}
		if e.By.Limit <= last[e.By.Name] {
			t.Errorf("%s: %d after %d", e.By.Name, e.By.Limit, last[e.By.Name])
		}
		last[e.By.Name] = e.By.Limit
		events++
		inside.Add(-1)
	})
	c := Config{Bulkheads: map[string]bulkhead.Config{}}
	for i := range 4 {
		c.Bulkheads[fmt.Sprint("b", i)] = bulkhead.Config{Limit: 1}
	}
	if err := s.Tune(c); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for name := range c.Bulkheads {
		b := must[*bulkhead.Bulkhead](t)(s.Bulkhead(name, bulkhead.Hooks{}))
		wg.Go(func() {
			for i := range 200 {
				if err := b.Tune(bulkhead.Config{Limit: 2 + i}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if dropped, panics := s.EventFaults(); events != 800 || dropped+panics != 0 {
		t.Errorf("%d events, %d dropped, %d panics", events, dropped, panics)
	}
}

// TestListenersThatPanic lose nobody else's events.
func TestListenersThatPanic(t *testing.T) {
	heard := 0
	s := set(t, shop(), func(core.Event) {
		if heard++; heard == 2 {
			panic("set")
		}
	})
	l := must[*ratelimit.Limiter](t)(s.RateLimit("login", ratelimit.Hooks{OnEvent: func(e core.Event) {
		if e.By.Limit == 6 {
			panic("own")
		}
	}}))
	for i := range int64(4) {
		if err := l.Tune(ratelimit.Config{Limit: 6 + i}); err != nil {
			t.Fatal(err)
		}
	}
	if _, panics := s.EventFaults(); heard != 4 || panics != 1 || l.Status().EventPanics != 1 {
		t.Errorf("heard %d events; %d panics of the set's listener, %d of the other", heard, panics, l.Status().EventPanics)
	}
}

// TestMachineMadeBetweenPrepareAndCommit has the new settings all the same.
func TestMachineMadeBetweenPrepareAndCommit(t *testing.T) {
	s := set(t, shop(), nil)
	c := shop()
	c.RateLimits["login"] = ratelimit.Config{Limit: 50}
	delete(c.Bulkheads, "reports")
	commit, err := s.Prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	l := must[*ratelimit.Limiter](t)(s.RateLimit("login", ratelimit.Hooks{}))
	h := must[*bulkhead.Bulkhead](t)(s.Bulkhead("reports", bulkhead.Hooks{}))
	commit()
	if l.Config().Limit != 50 {
		t.Errorf("the limit is %d", l.Config().Limit)
	}
	if h.Config().Limit != 2 {
		t.Errorf("the bulkhead that the new settings forgot: %+v", h.Config())
	}
}

// TestConcurrentTunesConverge: when all have returned, every machine has the settings that the set has.
func TestConcurrentTunesConverge(t *testing.T) {
	for round := range 30 {
		var heard atomic.Int64
		s := set(t, shop(), func(core.Event) { heard.Add(1) })
		var wg sync.WaitGroup
		for g := range 6 {
			wg.Go(func() {
				for i := range 15 {
					c := shop()
					n := int64(1 + g + 10*i)
					c.RateLimits["login"] = ratelimit.Config{Limit: n}
					c.RateLimits["search"] = ratelimit.Config{Limit: 1000 + n, Period: time.Minute}
					c.Bulkheads["reports"] = bulkhead.Config{Limit: int(n)}
					c.Breakers["payments"] = breaker.Config{MinCalls: int(n)}
					if err := s.Tune(c); err != nil {
						t.Error(err)
					}
					if g == 0 && i == 3 {
						all(t, s)
					}
					_ = s.All()
					_ = s.Config()
				}
			})
		}
		wg.Wait()
		b, l, k, h := all(t, s)
		n := s.Config().RateLimits["login"].Limit
		if k.Config().Limit != n || l.Config().Limit != 1000+n || int64(h.Config().Limit) != n || int64(b.Config().MinCalls) != n {
			t.Fatalf("round %d: the set has %d, the machines %d %d %d %d", round, n,
				k.Config().Limit, l.Config().Limit, h.Config().Limit, b.Config().MinCalls)
		}
	}
}

// TestMachinesAreGuards: what the set hands out decides by the set's settings, without an allocation.
func TestMachinesAreGuards(t *testing.T) {
	s := set(t, shop(), func(core.Event) {})
	b, l, k, h := all(t, s)
	for _, g := range []core.Guard{b, l, k, h} {
		call := core.Call{Key: core.KeyOf("client")}
		if n := testing.AllocsPerRun(100, func() {
			p, d := g.Acquire(bg, call)
			p.Done(d.Now, core.Success)
		}); n != 0 {
			t.Errorf("%T: %v allocations", g, n)
		}
	}
}
