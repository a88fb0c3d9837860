package schema

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The two interfaces of package encoding, said here because the core imports no encoding package.
type (
	textUnmarshaler interface{ UnmarshalText(text []byte) error }
	textMarshaler   interface {
		MarshalText() (text []byte, err error)
	}
)

var (
	durationType        = reflect.TypeFor[time.Duration]()
	textUnmarshalerType = reflect.TypeFor[textUnmarshaler]()
)

// isText reports whether values of t are written as text that t itself reads.
func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textUnmarshalerType) }

// isNumber reports whether t can be compared and can hold the -1 that "none" stands for.
func isNumber(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64:
		return true
	default:
		return isUnsigned(t)
	}
}

func isUnsigned(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	default:
		return false
	}
}

// parse reads one scalar of type t. It is stricter than strconv: no leading zeros or plus sign, no hexadecimal, no NaN
// or infinity, booleans only as true and false. Its errors complete the sentence `"x" ...`.
func parse(t reflect.Type, text string) (reflect.Value, error) {
	v := reflect.New(t).Elem()
	if isText(t) {
		if isNumber(t) && leadingZero(text) {
			return v, errLeadingZero
		}
		err := v.Addr().Interface().(textUnmarshaler).UnmarshalText([]byte(text))
		return v, err
	}
	if t == durationType {
		d, err := time.ParseDuration(text)
		if err != nil {
			return v, durationHint(text)
		}
		v.SetInt(int64(d))
		return v, nil
	}
	switch kind := t.Kind(); {
	case kind == reflect.String:
		v.SetString(text)
		return v, nil
	case kind == reflect.Bool:
		if text != "true" && text != "false" {
			return v, errors.New("is not true or false")
		}
		v.SetBool(text == "true")
		return v, nil
	case isNumber(t):
		return v, parseNumber(v, text)
	default:
		return v, fmt.Errorf("cannot be a %s", t)
	}
}

func parseNumber(v reflect.Value, text string) error {
	if leadingZero(text) {
		return errLeadingZero
	}
	what, err := "a whole number", error(nil)
	switch bits := v.Type().Bits(); {
	case strings.HasPrefix(text, "+"):
		err = strconv.ErrSyntax
	case v.CanInt():
		var n int64
		n, err = strconv.ParseInt(text, 10, bits)
		v.SetInt(n)
	case v.CanUint():
		var n uint64
		n, err = strconv.ParseUint(text, 10, bits)
		v.SetUint(n)
		if strings.HasPrefix(text, "-") && wholeNumber(text[1:]) {
			return errors.New("is negative; write 0 or more")
		}
	default:
		var f float64
		f, err = strconv.ParseFloat(text, bits)
		v.SetFloat(f)
		what = "a number"
		if strings.ContainsAny(text, "xX_") || math.IsNaN(f) || (math.IsInf(f, 0) && err == nil) {
			err = strconv.ErrSyntax
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("does not fit in %s", v.Type().Kind())
	default:
		return errors.New("is not " + what)
	}
}

var errLeadingZero = errors.New("has a leading zero; numbers are decimal, write it without")

// leadingZero reports numbers such as 010, which some readers take for 8.
func leadingZero(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	return len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9'
}

func wholeNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// durationHint says what is wrong with text; a bare number most likely lacks only its unit.
func durationHint(text string) error {
	if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) && len(text) < 16 {
		return errors.New("is not a duration; write e.g. " + text + "s")
	}
	return errors.New("is not a duration; write e.g. 1.5s, 200ms or 1h30m")
}

const shown = 32 // characters of a value that an error may quote

// Show returns v as errors print it: strings quoted, everything cut after 32 characters, durations without empty
// units (1h, not 1h0m0s).
func Show(v reflect.Value) string {
	if !v.IsValid() {
		return ""
	}
	if v.CanInterface() {
		if m, ok := reflect.TypeAssert[textMarshaler](v); ok && (v.Kind() != reflect.Pointer || !v.IsNil()) {
			if text, err := m.MarshalText(); err == nil {
				return plain(string(text))
			}
		}
	}
	switch {
	case v.Type() == durationType:
		return shortDuration(time.Duration(v.Int()))
	case v.Kind() == reflect.String:
		return Quote(v.String())
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10)
	case v.CanFloat():
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
	default:
		return plain(fmt.Sprint(v))
	}
}

// plain is Quote without the quotes where they would add nothing, so that a value never breaks a line of the message.
func plain(s string) string {
	if q := Quote(s); q != `"`+s+`"` {
		return q
	}
	return s
}

// Quote returns s in double quotes, cut after 32 characters.
func Quote(s string) string { return strconv.Quote(cut(s)) }

// cut shortens s to 32 characters, with an ellipsis if something is missing.
func cut(s string) string {
	if utf8.RuneCountInString(s) <= shown {
		return s
	}
	return string([]rune(s)[:shown]) + "…"
}

func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
