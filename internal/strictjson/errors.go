package strictjson

import (
	"strconv"
	"strings"
)

// SyntaxError is the error of a text that is no JSON, or not only one value of it that can be read in only one way.
type SyntaxError struct {
	// Reason says what is wrong, in fixed words.
	Reason string
	// Offset is the byte at which it was noticed.
	Offset int
	// Pointer is the value in which it was noticed, as in Fault.
	Pointer string
}

func (e *SyntaxError) Error() string {
	return "strictjson: " + e.Reason + " at byte " + strconv.Itoa(e.Offset)
}

// Fault is a value that the type has no place for.
type Fault struct {
	// Pointer is the JSON Pointer (RFC 6901) of the value as a URI fragment: #/items/3/price. At most 300 bytes: a longer
	// one ends at the last level that fits.
	Pointer string
	// Detail says what is wrong with it, in fixed words.
	Detail string
}

// Faults are all that is wrong with a document, in the order of the text, and at most MaxFaults of it.
type Faults []Fault

// MaxFaults bounds the answer to a document that is wrong all over.
const MaxFaults = 32

func (f Faults) Error() string {
	b := []byte("strictjson: ")
	for i, one := range f {
		if i > 0 {
			b = append(b, "; "...)
		}
		b = append(append(append(b, one.Pointer...), ": "...), one.Detail...)
	}
	return string(b)
}

// maxPointer bounds what of the sender's names comes back to him.
const maxPointer = 300

// Pointer returns the fragment form of the JSON Pointer with these names. Names that would make it longer than 300
// bytes, and all below them, are left out.
func Pointer(names ...string) string {
	b := []byte{'#'}
	for _, name := range names {
		mark := len(b)
		if b = appendName(b, name); len(b) > maxPointer {
			return string(b[:mark])
		}
	}
	return string(b)
}

// appendName appends /name, escaped for a pointer and then for a fragment (RFC 6901 section 6).
func appendName(b []byte, name string) []byte {
	const hex = "0123456789ABCDEF"
	b = append(b, '/')
	for i := 0; i < len(name) && len(b) <= maxPointer; i++ {
		switch c := name[i]; {
		case c == '~':
			b = append(b, "~0"...)
		case c == '/':
			b = append(b, "~1"...)
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._!$&'()*+,;=:@?", c) >= 0:
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}
