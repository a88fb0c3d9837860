package sfv

import (
	"errors"
	"time"
)

// ErrSyntax is the error of a field that is not what it should be.
var ErrSyntax = errors.New("sfv: malformed field")

// ErrValue is the error of a value that no field can hold.
var ErrValue = errors.New("sfv: value cannot be written")

// Kind is the type of a bare item.
type Kind uint8

// The kinds. The zero Value is of kind None: it is the value of an absent Parameter, and cannot be written.
const (
	None Kind = iota
	Integer
	Decimal
	String
	Token
	Bytes
	Boolean
	Date
	DisplayString
)

// maxInteger bounds Integers and Dates: fifteen digits.
const maxInteger = 999_999_999_999_999

// Value is a bare item. Comparable.
type Value struct {
	kind Kind
	n    int64  // Integer; Decimal in thousandths; Boolean as 0 or 1; Date in seconds since 1970
	s    string // the rest, decoded
}

// Int returns an Integer. The range is plus and minus fifteen digits; others cannot be written.
func Int(n int64) Value { return Value{kind: Integer, n: n} }

// Thousandths returns the Decimal n/1000. The range is twelve digits before the point.
func Thousandths(n int64) Value { return Value{kind: Decimal, n: n} }

// Text returns a String: printable ASCII.
func Text(s string) Value { return Value{kind: String, s: s} }

// Tok returns a Token, such as a name.
func Tok(s string) Value { return Value{kind: Token, s: s} }

// Binary returns a Byte Sequence.
func Binary(b string) Value { return Value{kind: Bytes, s: b} }

// Bool returns a Boolean.
func Bool(b bool) Value {
	if b {
		return Value{kind: Boolean, n: 1}
	}
	return Value{kind: Boolean}
}

// At returns a Date, to the second.
func At(t time.Time) Value { return Value{kind: Date, n: t.Unix()} }

// Display returns a Display String: any UTF-8.
func Display(s string) Value { return Value{kind: DisplayString, s: s} }

// Kind returns the kind, None for the zero Value.
func (v Value) Kind() Kind { return v.kind }

// Integer returns an Integer; ok is false for other kinds, as in all of these.
func (v Value) Integer() (n int64, ok bool) { return v.n, v.kind == Integer }

// Thousandths returns a Decimal times a thousand, or an Integer: a field may write either where it means a Decimal.
func (v Value) Thousandths() (n int64, ok bool) {
	if v.kind == Integer {
		return v.n * 1000, true
	}
	return v.n, v.kind == Decimal
}

// Text returns a String.
func (v Value) Text() (s string, ok bool) { return v.s, v.kind == String }

// Token returns a Token.
func (v Value) Token() (s string, ok bool) { return v.s, v.kind == Token }

// Bytes returns a Byte Sequence.
func (v Value) Bytes() (b string, ok bool) { return v.s, v.kind == Bytes }

// Boolean returns a Boolean.
func (v Value) Boolean() (b, ok bool) { return v.n != 0, v.kind == Boolean }

// Date returns a Date.
func (v Value) Date() (t time.Time, ok bool) { return time.Unix(v.n, 0).UTC(), v.kind == Date }

// Display returns a Display String.
func (v Value) Display() (s string, ok bool) { return v.s, v.kind == DisplayString }

// Param is a Parameter.
type Param struct {
	Key   string
	Value Value
}

// Item is a bare item, or an Inner List, and its Parameters.
type Item struct {
	Value
	Params []Param
	// Inner is the content of an Inner List, whose Value is the zero Value. nil means that this is none; an empty one is not
	// nil. Its members are no Inner Lists.
	Inner []Item
}

// Param returns the value of a Parameter, the zero Value if there is none.
func (it Item) Param(key string) Value {
	for i := range it.Params {
		if it.Params[i].Key == key {
			return it.Params[i].Value
		}
	}
	return Value{}
}
