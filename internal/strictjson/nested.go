package strictjson

import "strconv"

// enter goes one level down.
func (s *scanner) enter() error {
	if s.room == 0 {
		return s.syntax("too deep")
	}
	s.room--
	s.path = append(s.path, step{index: -1})
	s.pos++
	s.space()
	return nil
}

func (s *scanner) leave() {
	s.room++
	s.path = s.path[:len(s.path)-1]
	s.pos++
}

// more scans what stands between two values: a comma, or the end.
func (s *scanner) more(end byte) (bool, error) {
	s.space()
	switch s.next() {
	case ',':
		s.pos++
		s.space()
		return true, nil
	case end:
		return false, nil
	default:
		return false, s.syntax("not JSON")
	}
}

func (s *scanner) list(shape *Shape) error {
	var elem *Shape
	if shape != nil {
		switch shape.kind {
		case list, array:
			elem = shape.elem
		case anything:
			elem = shape
		default:
			s.fault(shape.expected())
		}
	}
	if err := s.enter(); err != nil {
		return err
	}
	n := 0
	for more := s.next() != ']'; more; n++ {
		s.path[len(s.path)-1].index = n
		err := s.value(elem)
		if err != nil {
			return err
		}
		if more, err = s.more(']'); err != nil {
			return err
		}
	}
	s.leave()
	if shape != nil && shape.kind == array && n != shape.length {
		s.fault("must have " + strconv.Itoa(shape.length) + " elements")
	}
	return nil
}

func (s *scanner) object(shape *Shape) error {
	if shape != nil && shape.kind != object && shape.kind != dict && shape.kind != anything {
		s.fault(shape.expected())
		shape = nil
	}
	if err := s.enter(); err != nil {
		return err
	}
	names := nameSet{s: s, base: len(s.names)}
	for more := s.next() != '}'; more; {
		err := s.member(shape, &names)
		if err != nil {
			return err
		}
		if more, err = s.more('}'); err != nil {
			return err
		}
	}
	s.names = s.names[:names.base]
	s.leave()
	return nil
}

// member scans a name and its value.
func (s *scanner) member(shape *Shape, names *nameSet) error {
	here := &s.path[len(s.path)-1]
	here.name = nil
	if s.next() != '"' {
		return s.syntax("not JSON")
	}
	at := s.pos
	name, err := s.text()
	if err != nil {
		return err
	}
	here.name = name
	if names.has(name) {
		s.pos = at
		return s.syntax("a name twice")
	}
	if s.space(); s.next() != ':' {
		return s.syntax("not JSON")
	}
	s.pos++
	s.space()
	return s.value(s.memberShape(shape, name))
}

func (s *scanner) memberShape(shape *Shape, name []byte) *Shape {
	if shape == nil {
		return nil
	}
	switch shape.kind {
	case dict:
		if !shape.keeps(name) {
			s.fault("is not an integer as it is written shortest, or out of range")
		}
		return shape.elem
	case object:
		field := shape.fields[string(name)]
		if field == nil {
			s.fault("is not known")
		}
		return field
	default:
		return shape
	}
}

// keeps reports whether a name is the only one for a key of a map: 7 and 07 would be the same integer.
func (s *Shape) keeps(name []byte) bool {
	switch s.key {
	case integer:
		n, err := strconv.ParseInt(string(name), 10, s.bits)
		return err == nil && strconv.FormatInt(n, 10) == string(name)
	case unsigned:
		n, err := strconv.ParseUint(string(name), 10, s.bits)
		return err == nil && strconv.FormatUint(n, 10) == string(name)
	default:
		return true
	}
}

// nameSet is the names of one object: a few are compared one by one, on the scanner's stack; more get a map.
type nameSet struct {
	s    *scanner
	base int
	many map[string]struct{}
}

const few = 16

// has reports whether the name was there already, and adds it.
func (n *nameSet) has(name []byte) bool {
	if n.many != nil {
		before := len(n.many)
		n.many[string(name)] = struct{}{}
		return len(n.many) == before
	}
	mine := n.s.names[n.base:]
	for _, other := range mine {
		if string(other) == string(name) {
			return true
		}
	}
	n.s.names = append(n.s.names, name)
	if len(mine)+1 == few {
		n.many = make(map[string]struct{}, 4*few)
		for _, other := range n.s.names[n.base:] {
			n.many[string(other)] = struct{}{}
		}
	}
	return false
}
