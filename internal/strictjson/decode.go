package strictjson

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Decode decodes data into v, a pointer to a value of the type that s is the shape of. Arrays and objects may be depth
// deep. The error is a *SyntaxError or Faults, and v is then not to be used: parts of it may have been set.
//
// The time is linear in the text, and a name costs as much however many there are in its object. UnmarshalJSON and
// UnmarshalText of the type run within it; those that fail may run twice.
func (s *Shape) Decode(data []byte, v any, depth int) error {
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		return &SyntaxError{Reason: "a byte order mark", Pointer: "#"}
	}
	if !utf8.Valid(data) {
		return &SyntaxError{Reason: "not UTF-8", Offset: firstInvalid(data), Pointer: "#"}
	}
	sc := scanner{data: data, room: depth}
	if err := sc.document(s); err != nil {
		return err
	}
	if len(sc.faults) > 0 {
		return sc.faults
	}
	if json.Unmarshal(data, v) == nil {
		return nil
	}
	// A type that decodes itself refused its part, and encoding/json does not say which: try them one by one.
	sc = scanner{data: data, room: depth, try: true}
	if err := sc.document(s); err != nil {
		return err
	}
	if len(sc.faults) > 0 {
		return sc.faults
	}
	return Faults{{"#", "is not what is expected"}}
}

func firstInvalid(data []byte) int {
	for i := 0; ; {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
}
