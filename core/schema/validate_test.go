package schema

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestFill(t *testing.T) {
	named := map[string]inner{"a": {Limit: 3}}
	rows := []inner{{OpenFor: time.Hour}}
	in := all{Named: named, Rows: rows, Ratio: 0.25}
	got := Fill(in)
	want := all{
		base: base{Host: "localhost"}, Wait: -1, Ratio: 0.25, Level: 10, Kind: "a", Small: 7,
		Inner: inner{OpenFor: 5 * time.Second},
		Named: map[string]inner{"a": {OpenFor: 5 * time.Second, Limit: 3}},
		Rows:  []inner{{OpenFor: time.Hour}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if named["a"].OpenFor != 0 || rows[0].OpenFor != time.Hour {
		t.Errorf("Fill wrote to the caller's map or list: %v %v", named, rows)
	}
	got.Rows[0].Limit = 9
	if rows[0].Limit == 9 {
		t.Error("the filled list shares its elements with the caller's")
	}
	if again := Fill(got); !reflect.DeepEqual(again, got) {
		t.Errorf("Fill of a filled value changed it: %+v", again)
	}
	if Fill(all{}).Named != nil {
		t.Error("a nil map became another")
	}
}

func TestValidateReportsAllFaultsInOrder(t *testing.T) {
	c := all{
		Wait:  2 * time.Hour,
		Ratio: math.NaN(),
		Level: 101,
		Kind:  strings.Repeat("x", 40),
		Ports: []int{80, 0, 70000},
		Named: map[string]inner{"z": {Limit: 1, OpenFor: 1}, "a/b": {Limit: -4}},
		Rows:  []inner{{}},
	}
	want := strings.TrimSpace(`
wait: 2h is not allowed; allowed: 1ms..1h|none
ratio: NaN is not allowed; allowed: 0.01..1|none
level: 101 is not allowed; allowed: 1..100|none
sort: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" is not allowed; allowed: a|b
ports[1]: 0 is not allowed; allowed: 1..65535
ports[2]: 70000 is not allowed; allowed: 1..65535
inner.limit: required; write e.g. limit: 100 (allowed: 1..1000000000)
named["a/b"].limit: -4 is not allowed; allowed: 1..1000000000
named.z.open_for: 1ns is not allowed; allowed: 1ms..1h
rows[0].limit: required; write e.g. limit: 100 (allowed: 1..1000000000)`)
	err := Validate(&c)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if err := Validate(all{Inner: inner{Limit: 1}}); err != nil {
		t.Errorf("absent fields are faults: %v", err)
	}
	if err := Validate(Fill(all{Inner: inner{Limit: 1}})); err != nil {
		t.Errorf("defaults are faults: %v", err)
	}
}

// window has a rule that no tag can state, and checks itself with this package, as machines do.
type window struct {
	Min  int `default:"1" range:"1..100"`
	Max  int `default:"10" range:"1..100"`
	Name string
}

func (w window) Validate() error {
	var fault *FieldError
	if e := Fill(w); e.Min > e.Max {
		fault = Fault("max", e.Max, fmt.Sprintf("at least min (%d)", e.Min))
	}
	var foreign error
	if w.Name == "bad" {
		foreign = fmt.Errorf("name: %w", errUnknownColor)
	}
	return Validate(w, fault, foreign)
}

func TestValidateCallsNestedValidateOnceAndPrefixesPaths(t *testing.T) {
	type outer struct {
		One window
		Map map[string]window
	}
	err := Validate(outer{One: window{Min: 20}, Map: map[string]window{"m": {Min: 101, Max: 2, Name: "bad"}}})
	want := strings.TrimSpace(`
one.max: 10 is not allowed; allowed: at least min (20)
map.m.min: 101 is not allowed; allowed: 1..100
map.m.max: 2 is not allowed; allowed: at least min (101)
map.m: name: unknown color`)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if !errors.Is(err, errUnknownColor) {
		t.Error("the cause is lost")
	}
	var fault *FieldError
	if !errors.As(err, &fault) || fault.Path != "one.max" || fault.Value != "10" {
		t.Errorf("the first fault is %+v", fault)
	}
	if err := Validate(window{Min: 3}, nil); err != nil {
		t.Errorf("nil extras are faults: %v", err)
	}
	if err := (window{}).Validate(); err != nil {
		t.Errorf("a typed nil fault is a fault: %v", err)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	type keys struct {
		Pin  int    `secret:"true" required:"true" range:"1000..9999"`
		Word string `secret:"true" default:"b" range:"a|b"`
	}
	fields, err := Describe(reflect.TypeFor[keys]())
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{Validate(keys{Pin: 123, Word: "hunter2"}).Error(), fields[0].Missing().Error()}
	for _, f := range fields {
		for _, text := range []string{"123", "hunter2"} {
			_, err := f.Parse(text)
			texts = append(texts, err.Error())
		}
	}
	for _, s := range texts {
		if strings.Contains(s, "123") || strings.Contains(s, "hunter2") {
			t.Errorf("a secret shows: %s", s)
		}
	}
}

func TestParse(t *testing.T) {
	fields, err := Describe(reflect.TypeFor[all]())
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]Field{}
	for _, f := range fields {
		named[f.Name] = f
	}
	named["port"] = named["ports"].Elem()
	named["n"] = Field{Type: reflect.TypeFor[int]()}
	named["f"] = Field{Type: reflect.TypeFor[float32]()}
	named["max"] = Field{Type: reflect.TypeFor[int]()}
	named["max"] = func(f Field) Field { f.Range, _ = ParseRange(f.Type, "0..9|none"); return f }(named["max"])
	for _, c := range []struct{ field, text, want string }{
		{"wait", "3s", "3s"}, {"wait", "none", "-1ns"}, {"ratio", "none", "-1"}, {"ratio", "1", "1"}, {"level", "none", "none"},
		{"color", "green", "green"}, {"on", "true", "true"}, {"addr", "::1", "::1"}, {"max", "0", "0"}, {"max", "none", "-1"},
		{"wait", "3", `"3" is not a duration; write e.g. 3s (allowed: 1ms..1h|none)`},
		{"wait", "soon", `"soon" is not a duration; write e.g. 1.5s, 200ms or 1h30m (allowed: 1ms..1h|none)`},
		{"wait", "0s", "0s is not allowed; allowed: 1ms..1h|none"},
		{"wait", "-1ns", `"-1ns" is not allowed; write none if that is meant (allowed: 1ms..1h|none)`},
		{"max", "-1", `"-1" is not allowed; write none if that is meant (allowed: 0..9|none)`},
		{"small", "0", "0 would mean the default (7); write another value, or leave it out"},
		{"host", "", `"" would mean the default (localhost); write another value, or leave it out`},
		{"small", "256", `"256" does not fit in uint8`},
		{"small", "-1", `"-1" is negative; write 0 or more`},
		{"port", "0", "0 is not allowed; allowed: 1..65535"},
		{"port", "080", `"080" has a leading zero; numbers are decimal, write it without (allowed: 1..65535)`},
		{"port", "0x50", `"0x50" is not a whole number (allowed: 1..65535)`},
		{"port", "+80", `"+80" is not a whole number (allowed: 1..65535)`},
		{"port", "", `"" is not a whole number (allowed: 1..65535)`},
		{"n", "12345678901234567890", `"12345678901234567890" does not fit in int`},
		{"n", "5432.7", `"5432.7" is not a whole number`},
		{"f", "NaN", `"NaN" is not a number`}, {"f", "inf", `"inf" is not a number`}, {"f", "1e39", `"1e39" does not fit in float32`},
		{"f", "1_0", `"1_0" is not a number`}, {"f", "0x1p2", `"0x1p2" is not a number`},
		{"on", "yes", `"yes" is not true or false`}, {"on", "1", `"1" is not true or false`},
		{"level", "010", `"010" has a leading zero; numbers are decimal, write it without (allowed: 1..100|none)`},
		{"color", "blue", `"blue" is not allowed; allowed: red|green`},
		{"sort", "c", `"c" is not allowed; allowed: a|b`},
		{"addr", "1.2.3", `"1.2.3" is not a netip.Addr: ParseAddr("1.2.3"): IPv4 address too short`},
	} {
		v, err := named[c.field].Parse(c.text)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = Show(v)
		}
		if got != c.want {
			t.Errorf("%s %q: got %s, want %s", c.field, c.text, got, c.want)
		}
	}
}

func TestShow(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{90 * time.Minute, "1h30m"}, {time.Hour, "1h"}, {10 * time.Minute, "10m"}, {time.Duration(0), "0s"}, {1500 * time.Millisecond, "1.5s"},
		{"a\nb", `"a\nb"`}, {strings.Repeat("é", 33), `"` + strings.Repeat("é", 32) + `…"`}, {3, "3"}, {0.1, "0.1"}, {float32(0.1), "0.1"},
		{true, "true"}, {color(1), "green"}, {[]int{1}, "[1]"}, {struct{ A string }{"x\ny"}, `"{x\ny}"`},
	} {
		if got := Show(reflect.ValueOf(c.v)); got != c.want {
			t.Errorf("Show(%v) = %s, want %s", c.v, got, c.want)
		}
	}
}
