package retry

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/schema"
)

func TestConfigDefaults(t *testing.T) {
	want := Config{
		MaxAttempts: 3, Base: 100 * ms, Factor: 2, MaxDelay: 10 * sec, Spread: 0.2, MaxHint: time.Minute, AttemptTimeout: core.None,
	}
	r := mustNew(t, Config{}, Hooks{})
	if got := r.Config(); got != want {
		t.Errorf("the zero Config is\n%+v, want\n%+v", got, want)
	}
	if got := r.Budget().Config(); got.Rule != budget.Success || got.Size != 10 || got.Ratio != 0.1 || r.Snapshot().Budget.Name != "test" {
		t.Errorf("its budget is %+v", got)
	}
	if got := mustNew(t, Config{Base: time.Hour}, Hooks{}).Config(); got.MaxDelay != time.Hour {
		t.Errorf("%+v", got)
	}
	if err := r.Tune(r.Config()); err != nil {
		t.Errorf("effective settings are refused: %v", err)
	}
}

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		field, value string
		bad          Config
	}{
		{"max_attempts", "-1", Config{MaxAttempts: -1}},
		{"max_attempts", "101", Config{MaxAttempts: 101}},
		{"backoff", "unknown", Config{Backoff: 3}},
		{"jitter", "unknown", Config{Jitter: 4}},
		{"base", "-1ms", Config{Base: -ms}},
		{"base", "1h0m0.000000001s", Config{Base: time.Hour + 1}},
		{"factor", "0.5", Config{Factor: 0.5}},
		{"factor", "NaN", Config{Factor: math.NaN()}},
		{"factor", "+Inf", Config{Factor: math.Inf(1)}},
		{"max_delay", "25h", Config{MaxDelay: 25 * time.Hour}},
		{"spread", "1.5", Config{Spread: 1.5}},
		{"max_hint", "1ns", Config{MaxHint: 1}},
		{"attempt_timeout", "1ns", Config{AttemptTimeout: 1}},
		{"min_attempt", "-1s", Config{MinAttempt: -sec}},
		{"mode", "forced-open", Config{Mode: core.ForcedOpen}},
	} {
		err := tt.bad.Validate()
		var fault *schema.FieldError
		if !errors.As(err, &fault) || fault.Path != tt.field || !strings.Contains(fault.Value, tt.value) || fault.Want == "" {
			t.Errorf("%s %s: error %v", tt.field, tt.value, err)
			continue
		}
		if _, err := New("p", tt.bad, Hooks{}); err == nil || !strings.Contains(err.Error(), `retry "p": `+tt.field) {
			t.Errorf("%s: New: %v", tt.field, err)
		}
	}
	if _, err := New("a b", Config{}, Hooks{}); err == nil || !strings.Contains(err.Error(), `name "a b"`) {
		t.Errorf("error %v", err)
	}
	if err := (Config{MaxAttempts: -1, Factor: 11, Mode: 9}).Validate(); strings.Count(err.Error(), "not allowed") != 3 {
		t.Errorf("not every fault is told: %v", err)
	}
}

// Every value of Backoff and Jitter goes through text and back, and the schema knows no other.
func TestNames(t *testing.T) {
	for i := range uint8(5) {
		text, _ := Backoff(i).MarshalText()
		b := Backoff(9)
		if err := b.UnmarshalText(text); (err == nil) != (i <= uint8(Linear)) || err == nil && b != Backoff(i) {
			t.Errorf("%s: %v, %v", text, b, err)
		}
		text, _ = Jitter(i).MarshalText()
		j := Jitter(9)
		if err := j.UnmarshalText(text); (err == nil) != (i <= uint8(NoJitter)) || err == nil && j != Jitter(i) {
			t.Errorf("%s: %v, %v", text, j, err)
		}
	}
}
