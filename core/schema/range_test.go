package schema

import (
	"math"
	"reflect"
	"testing"
	"time"
)

func TestRangeAllows(t *testing.T) {
	for _, c := range []struct {
		text    string
		in, out []any
	}{
		{"1..10", []any{1, 5, 10}, []any{0, 11, -1, math.MaxInt, int8(5), 5.0}},
		{"-5..-1|7|100..200", []any{-5, -1, 7, 100, 200}, []any{-6, 0, 8, 99, 201}},
		{"1..10|none", []any{1, -1}, []any{0, -2}},
		{"1ms..1h|none", []any{time.Millisecond, time.Hour, time.Duration(-1)}, []any{time.Duration(0), time.Hour + 1}},
		{"0.01..1|none", []any{0.01, 1.0, -1.0}, []any{0.0, 1.0000001, math.NaN(), math.Inf(1)}},
		{"", []any{0.0, -1e300}, []any{math.NaN(), math.Inf(-1)}},
		{"a|b..c", []any{"a", "b..c"}, []any{"", "b", "A"}},
		{"0..18446744073709551615", []any{uint64(math.MaxUint64), uint64(0)}, nil},
		{"1..100|none", []any{level(1), level(-1)}, []any{level(0), level(101), 5}},
		{"green", []any{color(1)}, []any{color(0)}},
	} {
		r, err := ParseRange(reflect.TypeOf(c.in[0]), c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		for _, v := range c.in {
			if !r.Allows(reflect.ValueOf(v)) {
				t.Errorf("%q does not allow %v", c.text, v)
			}
		}
		for _, v := range c.out {
			if r.Allows(reflect.ValueOf(v)) {
				t.Errorf("%q allows %v (%T)", c.text, v, v)
			}
		}
		if r.String() != c.text || r.IsZero() != (c.text == "") {
			t.Errorf("%q: String %q, IsZero %v", c.text, r, r.IsZero())
		}
	}
}

var rangeTypes = []reflect.Type{
	reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[uint64](), reflect.TypeFor[float64](),
	reflect.TypeFor[float32](), reflect.TypeFor[string](), reflect.TypeFor[bool](), durationType,
	reflect.TypeFor[level](), reflect.TypeFor[color](), reflect.TypeFor[time.Time](),
}

// A range that parses allows its own ends, prints as it was written, and its parts survive a second parse.
func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"", "1..10", "1..10|none", "1ms..1h|none", "0.01..1", "a|b", "true", "red|green", "1...5", "-1..|", "NaN..1", "1..1e309"} {
		for i := range rangeTypes {
			f.Add(i, s)
		}
	}
	f.Fuzz(func(t *testing.T, which int, text string) {
		typ := rangeTypes[uint(which)%uint(len(rangeTypes))]
		r, err := ParseRange(typ, text)
		if err != nil {
			return
		}
		if r.String() != text {
			t.Fatalf("%q prints as %q", text, r)
		}
		for _, s := range r.alts {
			if !r.Allows(s.lo) || !r.Allows(s.hi) {
				t.Fatalf("%s %q does not allow its own ends %v and %v", typ, text, s.lo, s.hi)
			}
		}
		if _, err := ParseRange(typ, r.String()); err != nil {
			t.Fatalf("%q parsed once and not twice: %v", text, err)
		}
		for _, sample := range []string{"", "0", "1", "none", "a", "5s", text} {
			field := Field{Name: "f", Type: typ, Range: r}
			if v, err := field.Parse(sample); err == nil && !r.Allows(v) {
				t.Fatalf("%s %q: Parse(%q) gave %v, which the range does not allow", typ, text, sample, v)
			}
		}
	})
}
