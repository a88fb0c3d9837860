package observe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/batch"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/cache"
	"github.com/mw-go/mw/core/fallback"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/policy"
	"github.com/mw-go/mw/core/pool"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/throttle"
	"github.com/mw-go/mw/core/timeout"
)

var bg = context.Background()

// read returns the samples of machines by "name{kind,name,label}".
func read(machines ...core.Machine) map[string]float64 {
	samples := map[string]float64{}
	for _, m := range machines {
		Read(m, func(s Sample) {
			key := fmt.Sprintf("%s{%s,%s,%s}", s.Metric.Name, s.Kind, s.Name, s.Label)
			if _, twice := samples[key]; twice {
				panic("twice: " + key)
			}
			samples[key] = s.Value
		})
	}
	return samples
}

// want checks a few of the samples.
func want(t *testing.T, got map[string]float64, want map[string]float64) {
	t.Helper()
	for key, value := range want {
		if v, ok := got[key]; !ok || v != value {
			t.Errorf("%s: %v (there: %v), want %v", key, v, ok, value)
		}
	}
	if t.Failed() {
		for _, key := range slices.Sorted(maps.Keys(got)) {
			t.Log(key, got[key])
		}
	}
}

func TestReadBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mw.Must(breaker.New("pay", breaker.Config{
			MinCalls: 10, Latency: breaker.Latency{Watch: true},
		}, breaker.Hooks{}))
		for range 4 {
			p, _ := b.Acquire(bg, core.Call{})
			time.Sleep(80 * time.Millisecond)
			p.Done(0, core.Success)
		}
		running, _ := b.Acquire(bg, core.Call{})
		want(t, read(b), map[string]float64{
			"mw.policy.state{breaker,pay,closed}":            1,
			"mw.policy.state{breaker,pay,open}":              0,
			"mw.policy.outcomes{breaker,pay,success}":        4,
			"mw.policy.admitted{breaker,pay,}":               4,
			"mw.policy.in_flight{breaker,pay,}":              1,
			"mw.policy.latency.window{breaker,pay,0.05}":     0,
			"mw.policy.latency.window{breaker,pay,0.1}":      4,
			"mw.policy.latency.window{breaker,pay,+Inf}":     4,
			"mw.policy.mode{breaker,pay,enforce}":            1,
			"mw.policy.mode{breaker,pay,forced-open}":        0,
			"mw.policy.listener_faults{breaker,pay,panic}":   0,
			"mw.policy.overridden{breaker,pay,}":             0,
			"mw.policy.entries{breaker,pay,open_keys}":       0,
			"mw.policy.rejected{breaker,pay,any}":            0,
			"mw.policy.outcomes{breaker,pay,ignored}":        0,
			"mw.policy.listener_faults{breaker,pay,dropped}": 0,
			"mw.policy.latency.window{breaker,pay,10}":       4,
			"mw.policy.mode{breaker,pay,forced-closed}":      0,
			"mw.policy.shadowed{breaker,pay,}":               0,
		})
		running.Done(0, core.Ignored)
		if err := b.Override(core.ForcedOpen, 0); err != nil {
			t.Fatal(err)
		}
		_, _ = b.Acquire(bg, core.Call{})
		want(t, read(b), map[string]float64{
			"mw.policy.mode{breaker,pay,enforce}":     0,
			"mw.policy.mode{breaker,pay,forced-open}": 1,
			"mw.policy.overridden{breaker,pay,}":      1,
			"mw.policy.rejected{breaker,pay,any}":     1,
		})
	})
}

func TestReadOtherGuards(t *testing.T) {
	l := mw.Must(ratelimit.NewKeyed("login", ratelimit.Config{Limit: 3, Period: time.Hour}, ratelimit.Hooks{}))
	for range 5 {
		_, _ = l.Acquire(bg, core.Call{Key: core.KeyOf("ann")})
	}
	b := mw.Must(bulkhead.New("shop", bulkhead.Config{Limit: 2}, bulkhead.Hooks{}))
	for range 3 {
		_, _ = b.Acquire(bg, core.Call{})
	}
	a := mw.Must(adaptive.New("self", adaptive.Config{}, adaptive.Hooks{}))
	_, _ = a.Acquire(bg, core.Call{})
	th := mw.Must(throttle.New("pay", throttle.Config{}, throttle.Hooks{}))
	p, _ := th.Acquire(bg, core.Call{})
	p.Done(0, core.Overload)
	want(t, read(l, b, a, th), map[string]float64{
		"mw.policy.admitted{ratelimit,login,}":      3,
		"mw.policy.rejected{ratelimit,login,any}":   2,
		"mw.policy.limit{ratelimit,login,}":         3,
		"mw.policy.limit.period{ratelimit,login,}":  3600,
		"mw.policy.keys{ratelimit,login,}":          1,
		"mw.policy.waiting{ratelimit,login,}":       0,
		"mw.policy.in_flight{bulkhead,shop,}":       2,
		"mw.policy.rejected{bulkhead,shop,any}":     1,
		"mw.policy.limit{bulkhead,shop,}":           2,
		"mw.policy.in_flight{adaptive,self,}":       1,
		"mw.policy.limit{adaptive,self,}":           float64(a.Snapshot().Limit),
		"mw.policy.outcomes{throttle,pay,overload}": 1,
		"mw.policy.key_overflows{ratelimit,login,}": 0,
	})
}

func TestReadRunners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mw.Must(retry.New("pay", retry.Config{}, retry.Hooks{}))
		_, _ = retry.Do(bg, r, func(context.Context) (int, error) { return 0, errors.New("no") })
		h := mw.Must(hedge.New("read", hedge.Config{}, hedge.Hooks{}))
		_, _ = hedge.Do(bg, h, func(context.Context) (int, error) { return 0, nil })
		to := mw.Must(timeout.New("pay", timeout.Config{Limit: time.Second}, timeout.Hooks{}))
		_, _ = timeout.Do(bg, to, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		f := mw.Must(fallback.New("pay", fallback.Config{}, fallback.Hooks{}))
		want(t, read(r, h, to, f), map[string]float64{
			"mw.policy.events{retry,pay,retry}":       2,
			"mw.policy.events{retry,pay,rescued}":     0,
			"mw.policy.gave_up{retry,pay,attempts}":   1,
			"mw.policy.admitted{retry,pay,}":          1,
			"mw.policy.admitted{hedge,read,}":         1,
			"mw.policy.events{hedge,read,extra}":      0,
			"mw.policy.events{timeout,pay,timed_out}": 1,
			"mw.policy.latency{timeout,pay,limit}":    1,
			"mw.policy.in_flight{fallback,pay,}":      0,
			"mw.policy.events{fallback,pay,answered}": 0,
			"mw.policy.remaining{retry,pay,}":         r.Snapshot().Budget.Balance,
		})
	})
}

// Machines with type parameters are known as well.
func TestReadKeepers(t *testing.T) {
	c := mw.Must(cache.New("prices", cache.Config{Size: 10, TTL: time.Hour}, cache.Hooks[string, int]{}))
	defer func() { _ = c.Close(bg) }()
	c.Set(bg, "a", 1)
	_, _ = c.Get(bg, "a", nil)
	p := mw.Must(pool.New("db", pool.Config{Max: 3}, pool.Hooks[int]{
		Create: func(context.Context) (int, error) { return 1, nil },
	}))
	defer func() { _ = p.Close(bg) }()
	lease, err := p.Acquire(bg)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	b := mw.Must(batch.New("writes", batch.Config{}, batch.Hooks[int, int]{
		Run: func(_ context.Context, in []int) ([]int, error) { return in, nil },
	}))
	defer func() { _ = b.Close(bg) }()
	if _, err := b.Do(bg, 1); err != nil {
		t.Fatal(err)
	}
	want(t, read(c, p, b), map[string]float64{
		"mw.policy.entries{cache,prices,cached}": 1,
		"mw.policy.events{cache,prices,hit}":     1,
		"mw.policy.in_flight{pool,db,}":          1,
		"mw.policy.limit{pool,db,}":              3,
		"mw.policy.events{pool,db,created}":      1,
		"mw.policy.events{batch,writes,item}":    1,
	})
}

// own is a machine that this package does not know.
type own core.Status

func (o own) Status() core.Status                   { return core.Status(o) }
func (own) Override(core.Mode, time.Duration) error { return nil }
func (own) Restore()                                {}

func TestReadOwnMachine(t *testing.T) {
	m := own{Policy: core.Policy{Kind: "quota", Name: "disk", Limit: 7, Mode: core.Shadow}, Admitted: 3, Rejected: 2, EventPanics: 1}
	want(t, read(m), map[string]float64{
		"mw.policy.admitted{quota,disk,}":             3,
		"mw.policy.rejected{quota,disk,any}":          2,
		"mw.policy.limit{quota,disk,}":                7,
		"mw.policy.mode{quota,disk,shadow}":           1,
		"mw.policy.listener_faults{quota,disk,panic}": 1,
	})
}

// Every metric is emitted by some machine, and no sample has a label that its metric does not name.
func TestReadEmitsAll(t *testing.T) {
	set, err := policy.New(policy.Config{
		RateLimits: map[string]ratelimit.Config{"a": {Limit: 1}},
		Breakers:   map[string]breaker.Config{"a": {Latency: breaker.Latency{Watch: true}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := mw.Must(set.KeyedRateLimit("a", ratelimit.Hooks{}))
	_, _ = l.Acquire(bg, core.Call{Key: core.KeyOf("x")})
	p, _ := mw.Must(set.Breaker("a", breaker.Hooks{})).Acquire(bg, core.Call{})
	p.Done(0, core.Success)
	mw.Must(set.Retry("a", retry.Hooks{}))
	mw.Must(set.AdaptiveLimit("a", adaptive.Hooks{}))
	seen := map[*Metric]bool{}
	names := map[string]bool{}
	for _, m := range All() {
		if names[m.Name] || !strings.HasPrefix(m.Name, "mw.policy.") || m.Help == "" || m.Unit == "" {
			t.Errorf("bad or double metric %+v", *m)
		}
		names[m.Name] = true
	}
	for _, m := range set.All() {
		Read(m, func(s Sample) {
			seen[s.Metric] = true
			if (s.Label == "") != (s.Metric.Label == "") {
				t.Errorf("%s: label %q=%q", s.Metric.Name, s.Metric.Label, s.Label)
			}
			if s.Kind == "" || s.Name != "a" {
				t.Errorf("%s: of %q %q", s.Metric.Name, s.Kind, s.Name)
			}
		})
	}
	for _, m := range All() {
		if !seen[m] && m != duration {
			t.Errorf("no machine emits %s", m.Name)
		}
	}
}
