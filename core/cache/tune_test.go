package cache

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

func TestConfigDescribesItself(t *testing.T) {
	if _, err := schema.Describe(reflect.TypeFor[Config]()); err != nil {
		t.Fatal(err)
	}
}

// Every bad field is named, with its value and what is allowed.
func TestBadConfig(t *testing.T) {
	bad := Config{
		Size: -1, TTL: -5, NegativeTTL: -time.Second, Jitter: 2, StaleWhileRevalidate: -1, StaleIfError: -1, EarlyRefresh: math.NaN(),
		RefreshTimeout: time.Hour, Linger: -1, StoreTimeout: time.Hour, Mode: core.ForcedOpen,
	}
	_, err := New("test", bad, testHooks{})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, field := range []string{
		"size: -1", "ttl: -5ns", "negative_ttl: -1s", "jitter: 2", "stale_while_revalidate: -1ns", "stale_if_error: -1ns",
		"early_refresh: NaN", "refresh_timeout: 1h", "linger: -1ns", "store_timeout: 1h", "mode: forced-open",
	} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%q is not in:\n%v", field, err)
		}
	}
	if _, err := New("test", Config{}, testHooks{}); err == nil || !strings.Contains(err.Error(), "size: required") || !strings.Contains(err.Error(), "ttl: required") {
		t.Errorf("nothing set: %v", err)
	}
	for _, name := range []string{"", "a b", strings.Repeat("x", 65)} {
		if _, err := New(name, steady, testHooks{}); err == nil {
			t.Errorf("the name %q is accepted", name)
		}
	}
}

// Settings hold for the entries that are there, at their age.
func TestTuneHoldsForWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := mustNew(t, steady, testHooks{})
		tune := func(change func(to *Config)) {
			t.Helper()
			to := c.Config()
			change(&to)
			if err := c.Tune(to); err != nil {
				t.Fatal(err)
			}
		}
		want(t, c, "a", gives(1), 1, nil)
		time.Sleep(2 * time.Minute)
		tune(func(to *Config) { to.TTL = 3 * time.Minute })
		want(t, c, "a", never(t), 1, nil)
		tune(func(to *Config) { to.TTL = core.None })
		time.Sleep(1000 * time.Hour)
		want(t, c, "a", never(t), 1, nil)
		tune(func(to *Config) { to.TTL, to.StaleIfError = time.Minute, 8760*time.Hour })
		want(t, c, "a", fails(errDown), 1, nil)
		tune(func(to *Config) { to.StaleIfError = 0 })
		want(t, c, "a", fails(errDown), 0, errDown)
		if got := c.Config(); got.NegativeTTL != 5*time.Second || got.StoreTimeout != 250*time.Millisecond || got.Jitter != core.None {
			t.Errorf("%+v", got)
		}
	})
}

// A cache grows without losing anything, and does not shrink.
func TestTuneSize(t *testing.T) {
	c := mustNew(t, Config{Size: 3000, TTL: time.Hour}, testHooks{})
	if len(c.shards) < 2 {
		t.Fatalf("%d shards", len(c.shards))
	}
	fill := func(from, n int) {
		for i := range n {
			if err := c.Set(bg, string(rune(from+i)), i); err != nil {
				t.Fatal(err)
			}
		}
	}
	limits := func() (sum int) {
		for i := range c.shards {
			sum += c.shards[i].limit
		}
		return sum
	}
	fill(0x10000, 10_000)
	full := c.Len()
	if full != 3000 || limits() != 3000 || c.Snapshot().Evicted != 7000 {
		t.Errorf("%d entries of %d, %d evicted", full, limits(), c.Snapshot().Evicted)
	}
	if err := c.Tune(Config{Size: 5001, TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if c.Len() != full || limits() != 5001 {
		t.Errorf("%d entries left of %d, limit %d", c.Len(), full, limits())
	}
	fill(0x20000, 20_000)
	if c.Len() != 5001 {
		t.Errorf("%d entries", c.Len())
	}
	before := c.Config()
	err := c.Tune(Config{Size: 5000, TTL: time.Minute})
	if err == nil || !strings.Contains(err.Error(), "size: 5000 is not allowed; allowed: at least 5001") || c.Config() != before {
		t.Errorf("%v, %+v", err, c.Config())
	}
	if _, err := c.Prepare(Config{Size: -1}); err == nil || strings.Count(err.Error(), "size") != 1 {
		t.Errorf("%v", err)
	}
	commit, err := c.Prepare(Config{Size: 6000, TTL: time.Minute})
	if err != nil || c.Config() != before {
		t.Errorf("%v; Prepare alone changes nothing", err)
	}
	commit()
	if c.Config().Size != 6000 || limits() != 6000 {
		t.Errorf("%+v", c.Config())
	}
}

// The entries of one moment do not expire in one moment, and none lives longer than TTL.
func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := mustNew(t, Config{Size: 10_000, TTL: 100 * time.Second, Jitter: 0.4}, testHooks{})
		left := func() (n int) {
			for i := range 1000 {
				if _, ok := c.Peek(string(rune('a' + i))); ok {
					n++
				}
			}
			return n
		}
		for i := range 1000 {
			_ = c.Set(bg, string(rune('a'+i)), i)
		}
		time.Sleep(60 * time.Second)
		if n := left(); n < 999 {
			t.Errorf("%d left after 60 of 100 s with a jitter of 0.4", n)
		}
		time.Sleep(20 * time.Second)
		if n := left(); n < 420 || n > 580 {
			t.Errorf("%d left after 80 s, want about half", n)
		}
		time.Sleep(20 * time.Second)
		if n := left(); n != 0 {
			t.Errorf("%d left after the TTL", n)
		}
	})
}

// The bound holds for every size, whatever the number of shards.
func TestShards(t *testing.T) {
	for _, procs := range []int{1, 2, 3, 64, 1000} {
		for _, size := range []int{1, 2, 255, 511, 512, 1023, 3000, 1 << 20, 100_000_000} {
			n, sum := shardsFor(size, procs), 0
			for i := range n {
				sum += share(size, n, i)
			}
			if n < 1 || n > maxShards || n&(n-1) != 0 || sum != size || n > 1 && size/n < 256 {
				t.Errorf("size %d on %d processors: %d shards for %d", size, procs, n, sum)
			}
		}
	}
}

func TestOverrideAndEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		c := mustNew(t, steady, testHooks{Hooks: core.Hooks{OnEvent: func(e core.Event) {
			events = append(events, e.Type.String()+" "+string(e.By.Kind)+" "+e.By.Name+" "+e.To)
		}}})
		if err := c.Override(core.ForcedOpen, 0); err == nil || !strings.Contains(err.Error(), "enforce|shadow|disabled") {
			t.Errorf("%v", err)
		}
		if err := c.Override(core.Shadow, time.Minute); err != nil {
			t.Error(err)
		}
		if s := c.Status(); !s.Overridden || s.Policy.Mode != core.Shadow || s.Policy.Limit != 100 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		want(t, c, "a", gives(1), 1, nil)
		want(t, c, "a", never(t), 1, nil)
		if got := strings.Join(events, "; "); got != "mode_changed cache test shadow; mode_changed cache test enforce" {
			t.Errorf("%s", got)
		}
	})
}

var _ core.Machine = (*Cache[string, int])(nil)
