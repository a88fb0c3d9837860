package breaker

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
		Window: 10 * time.Second, MinCalls: 20, FailureRate: 0.5, ConsecutiveFailures: core.None,
		OpenFor: 5 * time.Second, MaxOpenFor: 5 * time.Minute, Jitter: 0.2, FlatReopenings: 5,
		Probes: 5, ProbesAtOnce: 2, ProbeSuccesses: 3, MaxKeys: 4096,
		Latency: Latency{
			Window: 2 * time.Second, Quantile: 0.9, Slowdown: 3, BaselineOver: time.Minute, MinBaseline: 5 * time.Millisecond,
			MaxBaseline: 10 * time.Second, Max: core.None, SlowCall: core.None, SlowRate: 0.5, Confirm: 2, ConfirmOf: 3,
		},
	}
	if got := mustNew(t, Config{}, Hooks{}).Config(); got != want {
		t.Errorf("the zero Config is\n%+v, want\n%+v", got, want)
	}
	got := mustNew(t, Config{Probes: 1, OpenFor: time.Hour}, Hooks{}).Config()
	if got.ProbesAtOnce != 1 || got.ProbeSuccesses != 1 || got.MaxOpenFor != time.Hour {
		t.Errorf("%+v", got)
	}
}

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		field string
		value string
		bad   Config
	}{
		{"window", "999ms", Config{Window: 999 * time.Millisecond}},
		{"window", "1h0m0.000000001s", Config{Window: time.Hour + 1}},
		{"min_calls", "-1", Config{MinCalls: -1}},
		{"min_calls", "1000001", Config{MinCalls: 1e6 + 1}},
		{"failure_rate", "0.001", Config{FailureRate: 0.001}},
		{"failure_rate", "1.5", Config{FailureRate: 1.5}},
		{"failure_rate", "NaN", Config{FailureRate: core.Ratio(math.NaN())}},
		{"consecutive_failures", "-2", Config{ConsecutiveFailures: -2}},
		{"open_for", "-1s", Config{OpenFor: -time.Second}},
		{"open_for", "2h", Config{OpenFor: 2 * time.Hour}},
		{"max_open_for", "25h", Config{MaxOpenFor: 25 * time.Hour}},
		{"jitter", "0.6", Config{Jitter: 0.6}},
		{"flat_reopenings", "1001", Config{FlatReopenings: 1001}},
		{"probes", "1001", Config{Probes: 1001}},
		{"probes_at_once", "17", Config{ProbesAtOnce: 17}},
		{"probe_successes", "6", Config{ProbeSuccesses: 6}},
		{"probe_successes", "-1", Config{ProbeSuccesses: -1}},
		{"probe_timeout", "25h", Config{ProbeTimeout: 25 * time.Hour}},
		{"max_keys", "1048577", Config{MaxKeys: 1<<20 + 1}},
		{"mode", "unknown", Config{Mode: 9}},
		{"latency.window", "100ms", Config{Latency: Latency{Window: 100 * time.Millisecond}}},
		{"latency.quantile", "1", Config{Latency: Latency{Quantile: 1}}},
		{"latency.quantile", "NaN", Config{Latency: Latency{Quantile: math.NaN()}}},
		{"latency.slowdown", "1.1", Config{Latency: Latency{Slowdown: 1.1}}},
		{"latency.baseline_over", "1s", Config{Latency: Latency{BaselineOver: time.Second}}},
		{"latency.min_baseline", "1µs", Config{Latency: Latency{MinBaseline: time.Microsecond}}},
		{"latency.max_baseline", "1ms", Config{Latency: Latency{MaxBaseline: time.Millisecond}}}, // below min_baseline
		{"latency.max", "500µs", Config{Latency: Latency{Max: 500 * time.Microsecond}}},
		{"latency.max", "30s", Config{Latency: Latency{Max: 30 * time.Second, Window: 500 * time.Millisecond}}}, // 60 windows
		{"latency.slow_call", "2m", Config{Latency: Latency{SlowCall: 2 * time.Minute}}},
		{"latency.slow_rate", "2", Config{Latency: Latency{SlowRate: 2}}},
		{"latency.confirm", "3", Config{Latency: Latency{Confirm: 3, ConfirmOf: 2}}},
		{"latency.confirm_of", "9", Config{Latency: Latency{ConfirmOf: 9}}},
	} {
		err := tt.bad.Validate()
		var fault *schema.FieldError
		if !errors.As(err, &fault) || fault.Path != tt.field || !strings.Contains(fault.Value, tt.value) || fault.Want == "" {
			t.Errorf("%s %s: error %v", tt.field, tt.value, err)
			continue
		}
		if _, err := New("x", tt.bad, Hooks{}); err == nil || !strings.Contains(err.Error(), tt.field) || !strings.HasPrefix(err.Error(), `breaker "x": `) {
			t.Errorf("New: %v", err)
		}
	}
	err := Config{Window: 1, Probes: 2000, ProbeSuccesses: 3000}.Validate()
	for _, field := range []string{"window", "probes:", "probe_successes"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is missing from %v", field, err)
		}
	}
	if err := (Config{Probes: 3, ProbeSuccesses: 4}).Validate(); err == nil || !strings.Contains(err.Error(), "at most probes (3)") {
		t.Errorf("error %v", err)
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"", "a b", "é", "x\n", `"`, strings.Repeat("x", 65)} {
		if _, err := New(name, Config{}, Hooks{}); err == nil || !strings.Contains(err.Error(), "allowed: 1 to 64 of letters, digits and - _ . /") {
			t.Errorf("%q: error %v", name, err)
		}
		if _, err := NewKeyed(name, Config{}, Hooks{}); err == nil {
			t.Errorf("%q is no name of a Keyed", name)
		}
	}
	for _, name := range []string{"a", "payments.eu/charge_v2-Z", strings.Repeat("x", 64)} {
		if _, err := New(name, Config{}, Hooks{}); err != nil {
			t.Error(err)
		}
	}
}
