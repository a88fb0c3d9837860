package strictjson

import (
	"encoding/json"
	"reflect"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner walks a text once, against a shape. A nil shape is no matter which: inside a part that is wrong already or that
// decodes itself, syntax alone counts.
type scanner struct {
	data   []byte
	pos    int
	room   int  // levels left
	try    bool // let opaque types try their part
	path   []step
	names  [][]byte // of the objects that are open, the innermost last
	faults Faults
}

// step is one level of a pointer: a name, an index if the name is nil, or below 0 neither, before an object's next name.
type step struct {
	name  []byte
	index int
}

func (s *scanner) syntax(reason string) error {
	return &SyntaxError{Reason: reason, Offset: s.pos, Pointer: s.pointer()}
}

func (s *scanner) fault(detail string) {
	if len(s.faults) < MaxFaults {
		s.faults = append(s.faults, Fault{s.pointer(), detail})
	}
}

func (s *scanner) pointer() string {
	names := make([]string, 0, len(s.path))
	for _, p := range s.path {
		switch {
		case p.name != nil:
			names = append(names, string(p.name))
		case p.index >= 0:
			names = append(names, strconv.Itoa(p.index))
		}
	}
	return Pointer(names...)
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// next returns the byte at the position, 0 at the end: a text has no 0 outside its strings.
func (s *scanner) next() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) document(shape *Shape) error {
	s.space()
	switch {
	case s.pos == len(s.data):
		return s.syntax("nothing")
	case s.next() == 'n':
		s.fault("must not be null")
	}
	if err := s.value(shape); err != nil {
		return err
	}
	if s.space(); s.pos < len(s.data) {
		return s.syntax("more than one value")
	}
	return nil
}

// value scans a value; the position is at its first byte.
func (s *scanner) value(shape *Shape) error {
	if shape != nil && shape.kind == opaque {
		return s.own(shape)
	}
	switch c := s.next(); {
	case c == '{':
		return s.object(shape)
	case c == '[':
		return s.list(shape)
	case c == '"':
		if shape != nil && shape.kind != text && shape.kind != anything {
			s.fault(shape.expected())
		}
		_, err := s.text()
		return err
	case c == 't':
		return s.boolean("true", shape)
	case c == 'f':
		return s.boolean("false", shape)
	case c == 'n':
		return s.word("null")
	case c == '-', '0' <= c && c <= '9':
		return s.number(shape)
	default:
		return s.syntax("not JSON")
	}
}

// own scans a part whose type decodes itself.
func (s *scanner) own(shape *Shape) error {
	start, c := s.pos, s.next()
	if err := s.value(nil); err != nil {
		return err
	}
	switch {
	case c == 'n':
	case shape.quoted && c != '"':
		s.fault("must be a string")
	case s.try && shape.typ != nil && json.Unmarshal(s.data[start:s.pos], reflect.New(shape.typ).Interface()) != nil:
		s.fault("is not what is expected")
	}
	return nil
}

// expected is the fault of a value of another kind.
func (s *Shape) expected() string {
	switch s.kind {
	case text:
		return "must be a string"
	case boolean:
		return "must be true or false"
	case integer, unsigned:
		return "must be an integer"
	case float, number:
		return "must be a number"
	case list, array:
		return "must be an array"
	default:
		return "must be an object"
	}
}

func (s *scanner) word(word string) error {
	for i := range len(word) {
		if s.next() != word[i] {
			return s.syntax("not JSON")
		}
		s.pos++
	}
	return nil
}

func (s *scanner) boolean(word string, shape *Shape) error {
	if shape != nil && shape.kind != boolean && shape.kind != anything {
		s.fault(shape.expected())
	}
	return s.word(word)
}

// text scans a string and returns what it says.
func (s *scanner) text() ([]byte, error) {
	s.pos++
	start := s.pos
	for ; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return s.data[start : s.pos-1 : s.pos-1], nil
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			return nil, s.syntax("a control character in a string")
		}
	}
	return nil, s.syntax("not JSON")
}

// escaped is text from the first backslash on.
func (s *scanner) escaped(start int) ([]byte, error) {
	said := append([]byte(nil), s.data[start:s.pos]...)
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		switch {
		case c == '"':
			s.pos++
			return said, nil
		case c < ' ':
			return nil, s.syntax("a control character in a string")
		case c != '\\':
			said = append(said, c)
			s.pos++
			continue
		}
		s.pos++
		switch c := s.next(); c {
		case '"', '\\', '/':
			said = append(said, c)
		case 'b':
			said = append(said, '\b')
		case 'f':
			said = append(said, '\f')
		case 'n':
			said = append(said, '\n')
		case 'r':
			said = append(said, '\r')
		case 't':
			said = append(said, '\t')
		case 'u':
			r, err := s.rune()
			if err != nil {
				return nil, err
			}
			said = utf8.AppendRune(said, r)
			continue
		default:
			return nil, s.syntax("not JSON")
		}
		s.pos++
	}
	return nil, s.syntax("not JSON")
}

// rune scans \uXXXX, or two of them that are one character; the position is at the u.
func (s *scanner) rune() (rune, error) {
	r, ok := s.hex()
	if !ok {
		return 0, s.syntax("not JSON")
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if s.next() == '\\' {
		s.pos++
		if low, ok := s.hex(); ok {
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				return r, nil
			}
		}
	}
	return 0, s.syntax("half of a surrogate pair")
}

// hex scans uXXXX.
func (s *scanner) hex() (r rune, ok bool) {
	if s.next() != 'u' || len(s.data)-s.pos < 5 {
		return 0, false
	}
	for _, c := range s.data[s.pos+1 : s.pos+5] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	s.pos += 5
	return r, true
}
