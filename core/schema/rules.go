package schema

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// consistent reports tags that contradict each other, given a range that has been read.
func (f Field) consistent() error {
	if f.Shape() != Scalar {
		if f.Default != "" {
			return errors.New("a list or map has no default")
		}
		return f.goodExample(f.Type)
	}
	zero := reflect.Zero(f.Type)
	switch {
	case f.Required && f.Default != "":
		return errors.New("a required field has no default")
	case f.Required && f.Type.Kind() == reflect.Bool:
		return errors.New("a bool cannot be required: false is its zero")
	case f.Required && !f.Range.IsZero() && f.Range.Allows(zero):
		return fmt.Errorf("required, but its range %s includes the zero value", f.Range)
	case !f.Required && f.Default == "" && !f.Range.Allows(zero):
		return fmt.Errorf("its range %s excludes the zero value: give it a default or make it required", f.Range)
	}
	if f.Default != "" {
		v, err := f.Parse(f.Default)
		switch {
		case err != nil:
			return fmt.Errorf("default: %w", err)
		case f.Type.Kind() == reflect.Bool && v.Bool():
			return errors.New("a bool cannot default to true: false means absent, so nobody could turn it off")
		case !f.Range.IsZero() && f.Range.Allows(zero) && !v.IsZero():
			return fmt.Errorf("its range %s includes the zero value, which means the default %s", f.Range, f.Default)
		}
	}
	return f.goodExample(f.Type)
}

// goodExample checks that the example can be read, for a scalar or the innermost elements of t.
func (f Field) goodExample(t reflect.Type) error {
	if f.Example == "" {
		return nil
	}
	for ShapeOf(t) != Scalar {
		t = t.Elem()
	}
	f.Type = t
	if _, err := f.Parse(f.Example); err != nil {
		return fmt.Errorf("example: %w", err)
	}
	return nil
}

// example makes a value that could be written: something ordinary if the range allows it, else the low end of the
// range.
func example(t reflect.Type, r Range) string {
	var ordinary []string
	switch {
	case t == durationType:
		ordinary = []string{"1s", "100ms", "1m"}
	case isNumber(t) && !(isText(t) && r.IsZero()): // what a text of its own type looks like, only its range tells
		ordinary = []string{"100", "10", "1", "0.5"}
	}
	for _, text := range ordinary {
		if v, err := parse(t, text); err == nil && r.Allows(v) {
			return text
		}
	}
	if len(r.alts) > 0 {
		return Show(r.alts[0].lo)
	}
	return ""
}

// Parse reads the text of one value of a scalar field, by the declared type and nothing else, and checks it against
// the range. Unlike Validate it refuses a zero outside the range, and a zero of a field with another default, because
// here somebody wrote it. The error says what
// is wrong and what may be written, without the name of the field:
//
//	"3" is not a duration; write e.g. 3s (allowed: 1ms..1h)
//	0s is not allowed; allowed: 1ms..1h
func (f Field) Parse(text string) (reflect.Value, error) {
	if f.Range.none && text == none {
		return f.Range.noneValue(), nil
	}
	v, err := parse(f.Type, text)
	switch {
	case err != nil && isText(f.Type):
		return v, errors.New(f.textReason(text, err))
	case err != nil:
		return v, errors.New(f.hide(Quote(text)) + " " + err.Error() + f.allowed())
	case f.Range.none && v.Equal(f.Range.noneValue()):
		return v, errors.New(f.hide(Quote(text)) + " is not allowed; write none if that is meant" + f.allowed())
	case !f.Range.Allows(v):
		return v, errors.New(f.Refuse(v).Reason())
	case v.IsZero() && f.zeroMisleads():
		return v, errors.New(f.hide(Show(v)) + " would mean the default (" + f.Default + "); write another value, or leave it out")
	}
	return v, nil
}

// zeroMisleads reports a field whose default is not zero: a zero written for it would silently become the default.
func (f Field) zeroMisleads() bool {
	if f.Default == "" {
		return false
	}
	if f.Range.none && f.Default == none {
		return true
	}
	d, err := parse(f.Type, f.Default)
	return err == nil && !d.IsZero()
}

// noneValue returns the -1 that none stands for in a range that has it.
func (r Range) noneValue() reflect.Value {
	v := reflect.New(r.alts[0].lo.Type()).Elem()
	if v.CanInt() {
		v.SetInt(-1)
	} else {
		v.SetFloat(-1)
	}
	return v
}

// textReason explains why a type's own UnmarshalText refused text. Where the field has a range that is the better
// explanation; else the type's error is quoted, unless it could carry more of the text than errors may show.
func (f Field) textReason(text string, err error) string {
	value := f.hide(Quote(text))
	switch {
	case errors.Is(err, errLeadingZero):
		return value + " " + err.Error() + f.allowed()
	case !f.Range.IsZero():
		return value + " is not allowed; allowed: " + f.Range.String()
	case f.Secret || len(text) > shown || len(err.Error()) > 4*shown || strings.ContainsFunc(err.Error(), notPrintable):
		return value + " is not a " + f.Type.String()
	default:
		return value + " is not a " + f.Type.String() + ": " + err.Error()
	}
}

func notPrintable(r rune) bool { return !unicode.IsPrint(r) }

// Refuse returns the fault of a value outside the range, with an empty path.
func (f Field) Refuse(v reflect.Value) *FieldError {
	want := f.Range.String()
	if want == "" {
		want = "finite numbers"
	}
	return &FieldError{Value: f.hide(Show(v)), Want: want}
}

// Missing returns the fault of a required field that is absent, with an empty path. It says what to write.
func (f Field) Missing() *FieldError {
	write := "at least one entry"
	if f.Shape() == Scalar {
		write = "a value"
		if f.Example != "" && !f.Secret {
			write = "e.g. " + f.Name + ": " + f.Example
		}
	}
	return &FieldError{Want: "required; write " + write + f.allowed()}
}

func (f Field) allowed() string {
	if f.Range.IsZero() {
		return ""
	}
	return " (allowed: " + f.Range.String() + ")"
}

func (f Field) hide(value string) string {
	if f.Secret {
		return "[redacted]"
	}
	return value
}
