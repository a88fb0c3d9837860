package strictjson

import "strconv"

// number scans a number and, if a type is meant, whether it holds it.
func (s *scanner) number(shape *Shape) error {
	start := s.pos
	if s.next() == '-' {
		s.pos++
	}
	whole := true
	switch c := s.next(); {
	case c == '0':
		s.pos++
	case '1' <= c && c <= '9':
		s.digits()
	default:
		return s.syntax("not JSON")
	}
	if s.next() == '.' {
		s.pos++
		whole = false
		if !s.digits() {
			return s.syntax("not JSON")
		}
	}
	if c := s.next(); c == 'e' || c == 'E' {
		s.pos++
		whole = false
		if c := s.next(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return s.syntax("not JSON")
		}
	}
	if shape != nil {
		s.judge(shape, s.data[start:s.pos], whole)
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for c := s.next(); '0' <= c && c <= '9'; c = s.next() {
		s.pos++
	}
	return s.pos > start
}

// judge holds a number against a type. Only digits make an integer, as in encoding/json: 1.0 and 1e3 are none.
func (s *scanner) judge(shape *Shape, digits []byte, whole bool) {
	var err error
	switch shape.kind {
	case integer, unsigned:
		switch {
		case !whole:
			s.fault(shape.expected())
		case shape.kind == integer:
			_, err = strconv.ParseInt(string(digits), 10, shape.bits)
		default:
			_, err = strconv.ParseUint(string(digits), 10, shape.bits)
		}
	case float:
		_, err = strconv.ParseFloat(string(digits), shape.bits)
	case anything:
		_, err = strconv.ParseFloat(string(digits), 64) // what encoding/json makes of it
	case number:
	default:
		s.fault(shape.expected())
	}
	if err != nil {
		s.fault("is out of range")
	}
}
