package schema

import (
	"errors"
	"reflect"
	"strings"
)

// A FieldError is one fault of one field.
type FieldError struct {
	// Path names the field as a file does: breakers.payments.open_for. Empty for the Config as a whole.
	Path string
	// Value is the offending value as shown to people: strings quoted, cut after 32 characters, secrets hidden. Empty if
	// the fault is not about a value.
	Value string
	// Want says what is allowed; without a Value it is the whole complaint.
	Want string
	// Err is the cause if a Validate method returned an error of another type, else nil.
	Err error
}

// Error returns, for example, "open_for: 0s is not allowed; allowed: 1ms..1h".
func (e *FieldError) Error() string {
	if e.Path == "" {
		return e.Reason()
	}
	return e.Path + ": " + e.Reason()
}

// Reason is the text of Error without the path.
func (e *FieldError) Reason() string {
	switch {
	case e.Err != nil:
		return e.Err.Error()
	case e.Value == "":
		return e.Want
	default:
		return e.Value + " is not allowed; allowed: " + e.Want
	}
}

// Unwrap returns Err.
func (e *FieldError) Unwrap() error { return e.Err }

// Fault reports a value that breaks a rule no tag can state, such as a minimum above a maximum. want says what would be
// right: Fault("max_wait", c.MaxWait, "at least min_wait (2s)"). A nil value makes want the whole message. For a path of
// more than one level use Join and At.
func Fault(path string, value any, want string) *FieldError {
	e := &FieldError{Path: path, Want: want}
	if value != nil {
		e.Value = Show(reflect.ValueOf(value))
	}
	return e
}

// Errors is all that is wrong with a Config, in the order of its fields. errors.As finds the first *FieldError in it,
// and ranging over it finds all.
type Errors []*FieldError

// Error returns one line per fault.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults one by one.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// Flatten returns the faults inside err, whose paths are relative to path, with full paths: an Errors or an errors.Join
// is taken apart, a *FieldError keeps its parts, and any other error becomes a fault of the field at path itself. A nil
// error gives nothing.
func Flatten(path string, err error) Errors {
	if err == nil {
		return nil
	}
	if e, ok := err.(*FieldError); ok { //nolint:errorlint // a wrapped one must keep its wrapping text
		if e == nil { // a nil *FieldError in an error: what `var fault *FieldError` and no fault leaves behind
			return nil
		}
		c := *e
		c.Path = under(path, e.Path)
		return Errors{&c}
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out Errors
		for _, one := range many.Unwrap() {
			out = append(out, Flatten(path, one)...)
		}
		return out
	}
	if one := errors.Unwrap(err); one != nil && one.Error() == err.Error() {
		return Flatten(path, one) // a wrapper that adds no text
	}
	return Errors{{Path: path, Err: err}}
}

// under places the relative path rel below path.
func under(path, rel string) string {
	switch {
	case path == "":
		return rel
	case rel == "":
		return path
	case rel[0] == '[':
		return path + rel
	default:
		return path + "." + rel
	}
}
