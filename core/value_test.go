package core

import (
	"encoding"
	"math"
	"testing"
)

func TestTextRoundTrip(t *testing.T) {
	check := func(text string, v encoding.TextMarshaler, back encoding.TextUnmarshaler, same func() bool) {
		t.Helper()
		got, err := v.MarshalText()
		if err != nil || string(got) != text {
			t.Errorf("%v is written %q (%v), want %q", v, got, err, text)
		}
		if err := back.UnmarshalText(got); err != nil || !same() {
			t.Errorf("%q is read back as %v (%v)", got, back, err)
		}
	}
	for text, v := range map[string]Count{"none": None, "0": 0, "5": 5, "9223372036854775807": math.MaxInt64} {
		var back Count
		check(text, v, &back, func() bool { return back == v })
	}
	for text, v := range map[string]Ratio{"none": None, "0": 0, "0.5": 0.5, "1": 1, "0.3333333333333333": 1.0 / 3, "1e-09": 1e-9} {
		var back Ratio
		check(text, v, &back, func() bool { return back == v })
	}
	for m := Enforce; m <= ForcedClosed; m++ {
		var back Mode
		check(m.String(), m, &back, func() bool { return back == m })
	}
}

func TestTextRefused(t *testing.T) {
	var c Count = 7
	for _, text := range []string{"", "-1", "1.5", "None", "off", "unlimited", "9223372036854775808", " 1"} {
		if err := c.UnmarshalText([]byte(text)); err == nil || c != 7 {
			t.Errorf("Count %q: error %v, value %v", text, err, c)
		}
	}
	var r Ratio = 0.7
	for _, text := range []string{"", "-1", "1.01", "50%", "NaN", "Inf", "None", "-0.1"} {
		if err := r.UnmarshalText([]byte(text)); err == nil || r != 0.7 {
			t.Errorf("Ratio %q: error %v, value %v", text, err, r)
		}
	}
	m := Shadow
	for _, text := range []string{"", "Enforce", "unknown", "off", "forced_open"} {
		if err := m.UnmarshalText([]byte(text)); err == nil || m != Shadow {
			t.Errorf("Mode %q: error %v, value %v", text, err, m)
		}
	}
}

func TestNames(t *testing.T) {
	if Mode(9).String() != "unknown" || EventType(9).String() != "unknown" {
		t.Error("a value out of range has a name")
	}
	for i, want := range []string{"state_changed", "mode_changed", "tuned"} {
		if got := EventType(i).String(); got != want {
			t.Errorf("%d is %q, want %q", i, got, want)
		}
	}
}
