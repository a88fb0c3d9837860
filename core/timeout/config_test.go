package timeout

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

func TestConfigDefaults(t *testing.T) {
	want := Config{
		Limit: time.Second, Quantile: 0.99, Factor: 2, Min: 10 * ms, Window: 30 * time.Second,
		RestQuantile: core.None, MaxAbandoned: 100,
	}
	if got := mustNew(t, Config{Limit: time.Second}, Hooks{}).Config(); got != want {
		t.Errorf("the defaults are\n%+v, want\n%+v", got, want)
	}
	if got := mustNew(t, Config{Limit: ms}, Hooks{}).Config(); got.Min != ms {
		t.Errorf("Min is %v, more than Limit", got.Min)
	}
}

func TestConfigValidate(t *testing.T) {
	ok := func(f func(*Config)) Config { c := Config{Limit: time.Second}; f(&c); return c }
	for _, tt := range []struct {
		field string
		value string
		bad   Config
	}{
		{"limit", "", Config{}},
		{"limit", "-1s", ok(func(c *Config) { c.Limit = -time.Second })},
		{"limit", "999µs", ok(func(c *Config) { c.Limit = 999 * time.Microsecond })},
		{"limit", "25h", ok(func(c *Config) { c.Limit = 25 * time.Hour })},
		{"quantile", "0.4", ok(func(c *Config) { c.Quantile = 0.4 })},
		{"quantile", "none", ok(func(c *Config) { c.Quantile = core.None })},
		{"quantile", "NaN", ok(func(c *Config) { c.Quantile = core.Ratio(math.NaN()) })},
		{"factor", "0.5", ok(func(c *Config) { c.Factor = 0.5 })},
		{"factor", "101", ok(func(c *Config) { c.Factor = 101 })},
		{"min", "-1ms", ok(func(c *Config) { c.Min = -ms })},
		{"min", "1ns", ok(func(c *Config) { c.Min = 1 })},
		{"window", "999ms", ok(func(c *Config) { c.Window = 999 * ms })},
		{"window", "6m", ok(func(c *Config) { c.Window = 6 * time.Minute })},
		{"margin", "-1ns", ok(func(c *Config) { c.Margin = -1 })},
		{"margin", "2m", ok(func(c *Config) { c.Margin = 2 * time.Minute })},
		{"min_rest", "-1ns", ok(func(c *Config) { c.MinRest = -1 })},
		{"min_rest", "2h", ok(func(c *Config) { c.MinRest = 2 * time.Hour })},
		{"rest_quantile", "1", ok(func(c *Config) { c.RestQuantile = 1 })},
		{"max_abandoned", "-1", ok(func(c *Config) { c.MaxAbandoned = -1 })},
		{"max_abandoned", "1000001", ok(func(c *Config) { c.MaxAbandoned = 1e6 + 1 })},
		{"mode", "forced-open", ok(func(c *Config) { c.Mode = core.ForcedOpen })},
	} {
		err := tt.bad.Validate()
		var fault *schema.FieldError
		if !errors.As(err, &fault) || fault.Path != tt.field || !strings.Contains(fault.Value, tt.value) || fault.Want == "" {
			t.Errorf("%s %s: error %v", tt.field, tt.value, err)
			continue
		}
		if _, err := New("x", tt.bad, Hooks{}); err == nil || !strings.HasPrefix(err.Error(), `timeout "x": `) {
			t.Errorf("New: %v", err)
		}
	}
	err := Config{Min: 1, Factor: 1000}.Validate()
	for _, field := range []string{"limit", "min", "factor"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is missing from %v", field, err)
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"", "a b", strings.Repeat("x", 65)} {
		if _, err := New(name, Config{Limit: time.Second}, Hooks{}); err == nil {
			t.Errorf("%q is no name", name)
		}
	}
}

// derive takes for granted that core/latency accepts every Window that passes here.
func TestWindowRange(t *testing.T) {
	for _, w := range []time.Duration{time.Second, 5 * time.Minute} {
		c := mustNew(t, Config{Limit: time.Second, Adaptive: true, Window: w}, Hooks{}).live.Load()
		if !c.Derived.learns() {
			t.Errorf("a window of %v is refused", w)
		}
		if got := c.Derived.window.Config().Window; got != w {
			t.Errorf("the window is %v, want %v", got, w)
		}
	}
}

// The machine is under operation as every other.
var _ core.Machine = (*Timeout)(nil)
