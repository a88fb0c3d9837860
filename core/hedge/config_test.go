package hedge

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// The machine is under operation as every other.
var _ core.Machine = (*Hedge)(nil)

func TestConfigDefaults(t *testing.T) {
	want := Config{
		MaxExtra: 1, Delay: core.None, Quantile: 0.95, Min: ms, Max: time.Second, Window: 30 * time.Second, Ratio: 0.05, Burst: 10,
		MaxStragglers: 100,
	}
	if got := mustNew(t, Config{}, Hooks{}).Config(); got != want {
		t.Errorf("the defaults are\n%+v, want\n%+v", got, want)
	}
	if got := mustNew(t, Config{Min: 10 * ms, Max: 2 * ms}, Hooks{}).Config(); got.Min != 2*ms {
		t.Errorf("Min is %v, more than Max", got.Min)
	}
}

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		field string
		value string
		bad   Config
	}{
		{"max_extra", "-1", Config{MaxExtra: -1}},
		{"max_extra", "5", Config{MaxExtra: 5}},
		{"delay", "999µs", Config{Delay: 999 * time.Microsecond}},
		{"delay", "2h", Config{Delay: 2 * time.Hour}},
		{"quantile", "0.4", Config{Quantile: 0.4}},
		{"quantile", "none", Config{Quantile: core.None}},
		{"quantile", "NaN", Config{Quantile: core.Ratio(math.NaN())}},
		{"min", "-1ms", Config{Min: -ms}},
		{"min", "2m", Config{Min: 2 * time.Minute}},
		{"max", "1ns", Config{Max: 1}},
		{"max", "2m", Config{Max: 2 * time.Minute}},
		{"window", "999ms", Config{Window: 999 * ms}},
		{"window", "6m", Config{Window: 6 * time.Minute}},
		{"ratio", "1.1", Config{Ratio: 1.1}},
		{"ratio", "none", Config{Ratio: core.None}},
		{"burst", "-1", Config{Burst: -1}},
		{"burst", "1000001", Config{Burst: 1e6 + 1}},
		{"max_stragglers", "-1", Config{MaxStragglers: -1}},
		{"max_stragglers", "1000001", Config{MaxStragglers: 1e6 + 1}},
		{"mode", "forced-open", Config{Mode: core.ForcedOpen}},
	} {
		err := tt.bad.Validate()
		var fault *schema.FieldError
		if !errors.As(err, &fault) || fault.Path != tt.field || !strings.Contains(fault.Value, tt.value) || fault.Want == "" {
			t.Errorf("%s %s: error %v", tt.field, tt.value, err)
			continue
		}
		if _, err := New("x", tt.bad, Hooks{}); err == nil || !strings.HasPrefix(err.Error(), `hedge "x": `) {
			t.Errorf("New: %v", err)
		}
	}
	err := Config{Min: 1, Burst: -1, MaxExtra: 100}.Validate()
	for _, field := range []string{"min", "burst", "max_extra"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is missing from %v", field, err)
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"", "a b", strings.Repeat("x", 65)} {
		if _, err := New(name, Config{}, Hooks{}); err == nil {
			t.Errorf("%q is no name", name)
		}
	}
}

// derive takes for granted that core/latency accepts every Window that passes here, and state that MaxExtra is small.
func TestRanges(t *testing.T) {
	for _, w := range []time.Duration{time.Second, 5 * time.Minute} {
		if got := mustNew(t, Config{Window: w, MaxExtra: 4}, Hooks{}).live.Load().Derived.window.Config().Window; got != w {
			t.Errorf("the window is %v, want %v", got, w)
		}
	}
}
