package schema

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"strings"
)

// none is the word for "off" or "unlimited" in a range.
const none = "none"

// A Range is the set of values a field may have: alternatives, each one value or an interval with both ends included.
// The zero Range allows everything but NaN and the infinities.
type Range struct {
	text string
	alts []span
	none bool // a plain number whose range has the word none, that is -1
}

// span is lo to hi; for a single value both are the same.
type span struct{ lo, hi reflect.Value }

// ParseRange reads the text of a range tag for a field of type t: alternatives separated by "|", each a value of t,
// "lo..hi" for types of a numeric kind, or the word none. It fails if an end is no value of t, if lo exceeds hi, or if
// "none" is asked of an unsigned number. The empty text is the zero Range.
func ParseRange(t reflect.Type, text string) (Range, error) {
	r := Range{text: text}
	if text == "" {
		return r, nil
	}
	for alt := range strings.SplitSeq(text, "|") {
		s, err := r.parseSpan(t, alt)
		if err != nil {
			return Range{}, fmt.Errorf("range %q: %w", text, err)
		}
		r.alts = append(r.alts, s)
	}
	return r, nil
}

func (r *Range) parseSpan(t reflect.Type, alt string) (span, error) {
	if alt == "" {
		return span{}, fmt.Errorf("an alternative is empty")
	}
	if alt == none && isNumber(t) && !isText(t) {
		v := reflect.New(t).Elem()
		switch {
		case v.CanInt():
			v.SetInt(-1)
		case v.CanFloat():
			v.SetFloat(-1)
		default:
			return span{}, fmt.Errorf("an unsigned number cannot be none")
		}
		r.none = true
		return span{v, v}, nil
	}
	low, high, interval := strings.Cut(alt, "..")
	if !isNumber(t) || !interval {
		v, err := parse(t, alt)
		if err != nil {
			return span{}, fmt.Errorf("%q %w", alt, err)
		}
		return span{v, v}, nil
	}
	lo, err := parse(t, low)
	if err != nil {
		return span{}, fmt.Errorf("%q %w", low, err)
	}
	hi, err := parse(t, high)
	if err != nil {
		return span{}, fmt.Errorf("%q %w", high, err)
	}
	if !atMost(lo, hi) {
		return span{}, fmt.Errorf("%s is above %s", low, high)
	}
	return span{lo, hi}, nil
}

// Allows reports whether v is in the range. v must be of the type the range was parsed for; a value of another type
// is not allowed.
func (r Range) Allows(v reflect.Value) bool {
	if v.CanFloat() && (math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0)) {
		return false
	}
	for _, s := range r.alts {
		if v.Type() != s.lo.Type() {
			continue
		}
		if isNumber(v.Type()) {
			if atMost(s.lo, v) && atMost(v, s.hi) {
				return true
			}
		} else if v.Comparable() && v.Equal(s.lo) {
			return true
		}
	}
	return len(r.alts) == 0
}

// IsZero reports whether r is the zero Range, which limits nothing.
func (r Range) IsZero() bool { return len(r.alts) == 0 }

// String returns the text of the tag.
func (r Range) String() string { return r.text }

// atMost reports a <= b for two numbers of the same type.
func atMost(a, b reflect.Value) bool {
	switch {
	case a.CanInt():
		return cmp.Compare(a.Int(), b.Int()) <= 0
	case a.CanUint():
		return cmp.Compare(a.Uint(), b.Uint()) <= 0
	default:
		return a.Float() <= b.Float()
	}
}
