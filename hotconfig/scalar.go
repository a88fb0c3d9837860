package hotconfig

import (
	"reflect"
	"strings"

	"github.com/mw-go/mw/core/schema"
)

// parseScalar reads the value of a scalar field. What a file says is never converted: a number is no text and a quoted
// number is no number. What a variable says has no type of its own and is read as its field's. The reason is empty if
// all is well.
func parseScalar(f schema.Field, n *node) (v reflect.Value, reason string) {
	if n.kind != scalar {
		return v, "expected " + wanted(f) + ", found " + n.String()
	}
	numeric := isNumeric(f.Type)
	switch {
	case n.tag == untyped:
		if n.text == "" && f.Type.Kind() != reflect.String {
			return v, "is empty, which is not " + wanted(f) + "; unset the variable if the default is meant"
		}
	case f.Type.Kind() == reflect.String && n.tag != text:
		return v, show(f, n) + " is " + n.String() + ", not a text; put it in quotes"
	case n.quoted && (numeric || f.Type.Kind() == reflect.Bool):
		// The words of a type of its own, such as none, may be quoted; what is a number or a boolean may not.
		if _, err := f.Parse(n.text); err == nil && !isWord(n.text) {
			return v, show(f, n) + " is a text; write it without quotes"
		}
	case numeric && n.tag == text && strings.ContainsAny(n.text, "\n"):
		return v, "expected " + wanted(f) + ", found a text of several lines"
	}
	v, err := f.Parse(n.text)
	if err != nil {
		return v, err.Error()
	}
	return v, ""
}

// isWord reports a text such as none or soon, that nobody takes for a number or a boolean.
func isWord(s string) bool {
	return s != "true" && s != "false" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-") == ""
}

// isNumeric reports types whose values are written as numbers, which durations are not.
func isNumeric(t reflect.Type) bool {
	if t.PkgPath() == "time" && t.Name() == "Duration" {
		return false
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return true
	default:
		return false
	}
}

// wanted says what is to be written for f.
func wanted(f schema.Field) string {
	switch f.Shape() {
	case schema.Struct, schema.Map:
		return "a mapping"
	case schema.List:
		return "a list"
	}
	what := "a text"
	switch k := f.Type.Kind(); {
	case f.Type.PkgPath() == "time" && f.Type.Name() == "Duration":
		what = "a duration"
	case k == reflect.Bool:
		what = "true or false"
	case k == reflect.Float32 || k == reflect.Float64:
		what = "a number"
	case isNumeric(f.Type) && !isEnum(f):
		what = "a whole number"
	}
	if !f.Range.IsZero() {
		what += " (allowed: " + f.Range.String() + ")"
	}
	return what
}

// isEnum reports a number that is written as one of a few words.
func isEnum(f schema.Field) bool {
	return strings.Trim(f.Range.String(), "abcdefghijklmnopqrstuvwxyz-_|") == "" && !f.Range.IsZero()
}

// show returns the text of n as errors quote it.
func show(f schema.Field, n *node) string {
	if f.Secret {
		return "[redacted]"
	}
	return schema.Quote(n.text)
}
