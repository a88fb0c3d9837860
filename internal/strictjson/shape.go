package strictjson

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// kind is what JSON may stand for a type.
type kind uint8

const (
	anything kind = iota // an interface: all of JSON
	opaque               // the type decodes itself: what is inside is its own affair
	text
	boolean
	integer
	unsigned
	float
	number // json.Number
	list
	array // of a fixed length
	dict
	object
)

// Shape is what a Go type allows. Immutable, safe for concurrent use.
type Shape struct {
	kind   kind
	bits   int  // of numbers
	quoted bool // opaque: must be a string
	length int  // of an array
	key    kind // of a dict: text, integer, unsigned, or opaque
	elem   *Shape
	fields map[string]*Shape
	typ    reflect.Type
}

// Of returns the shape of t. It fails if t or a type in it cannot hold JSON: a channel, a function, a complex number, an
// interface with methods, a map with keys that are no text.
func Of(t reflect.Type) (*Shape, error) {
	b := builder{made: map[reflect.Type]*Shape{}}
	s := b.of(t)
	return s, b.err
}

// builder makes the shapes of a type and all in it; those that contain themselves are made once.
type builder struct {
	made map[reflect.Type]*Shape
	err  error
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonNumber      = reflect.TypeFor[json.Number]()
)

// of returns the shape of t. A pointer has the shape of what it points to, for null stands for any type.
func (b *builder) of(t reflect.Type) *Shape {
	for range 8 {
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
	}
	if s := b.made[t]; s != nil {
		return s
	}
	s := &Shape{typ: t}
	b.made[t] = s
	pointer := reflect.PointerTo(t)
	switch {
	case pointer.Implements(jsonUnmarshaler):
		s.kind = opaque
	case pointer.Implements(textUnmarshaler):
		s.kind, s.quoted = opaque, true
	case t == jsonNumber:
		s.kind = number
	default:
		b.fill(s, t)
	}
	return s
}

// fill describes a type that encoding/json decodes by its kind.
func (b *builder) fill(s *Shape, t reflect.Type) {
	switch t.Kind() {
	case reflect.String:
		s.kind = text
	case reflect.Bool:
		s.kind = boolean
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.kind, s.bits = integer, t.Bits()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		s.kind, s.bits = unsigned, t.Bits()
	case reflect.Float32, reflect.Float64:
		s.kind, s.bits = float, t.Bits()
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 { // base64
			s.kind, s.quoted = opaque, true
			return
		}
		s.kind, s.elem = list, b.of(t.Elem())
	case reflect.Array:
		s.kind, s.length, s.elem = array, t.Len(), b.of(t.Elem())
	case reflect.Map:
		k := b.of(t.Key())
		if k.kind != text && k.kind != integer && k.kind != unsigned && (k.kind != opaque || !k.quoted) {
			b.refuse(t)
			return
		}
		s.kind, s.elem, s.key, s.bits = dict, b.of(t.Elem()), k.kind, k.bits
	case reflect.Struct:
		s.kind = object
		s.fields = b.members(t)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			b.refuse(t)
		}
	default:
		b.refuse(t)
	}
}

func (b *builder) refuse(t reflect.Type) {
	if b.err == nil {
		b.err = fmt.Errorf("strictjson: no JSON can be decoded into a %v", t)
	}
}

// candidate is a field that may be meant by a name.
type candidate struct {
	shape  func() *Shape
	tagged bool
	twice  bool // another field of the same depth and standing has the name: encoding/json ignores both
}

// members finds the names of a struct's fields by the rules of Go's embedding as encoding/json applies them: the
// shallowest field wins; among equals one with a tag does, if it is the only one.
func (b *builder) members(t reflect.Type) map[string]*Shape {
	fields := map[string]*Shape{}
	taken := map[string]bool{}
	visited := map[reflect.Type]bool{}
	for level := []reflect.Type{t}; len(level) > 0; {
		found := map[string]candidate{}
		count := map[reflect.Type]int{}
		for _, s := range level {
			count[s]++
		}
		var next []reflect.Type
		for _, s := range level {
			if visited[s] {
				continue
			}
			visited[s] = true
			next = append(next, b.level(s, count[s] > 1, found)...)
		}
		for name, c := range found {
			if !taken[name] && !c.twice {
				fields[name] = c.shape()
			}
			taken[name] = true
		}
		level = next
	}
	return fields
}

// level adds the fields of one struct to found and returns the structs embedded in it.
func (b *builder) level(t reflect.Type, repeated bool, found map[string]candidate) (embedded []reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		if tag == "-" {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		inner := f.Type
		if inner.Name() == "" && inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if f.Anonymous && !f.IsExported() && inner.Kind() != reflect.Struct || !f.Anonymous && !f.IsExported() {
			continue
		}
		if !validName(name) {
			name = ""
		}
		if f.Anonymous && name == "" && inner.Kind() == reflect.Struct {
			embedded = append(embedded, inner)
			continue
		}
		c := candidate{shape: func() *Shape { return b.field(f.Type, options) }, tagged: name != "", twice: repeated}
		if name == "" {
			name = f.Name
		}
		if old, ok := found[name]; ok {
			if old.tagged == c.tagged {
				c.twice = true
			} else if old.tagged {
				c = old
			}
		}
		found[name] = c
	}
	return embedded
}

// field is the shape of a struct's field with its tag's options.
func (b *builder) field(t reflect.Type, options string) *Shape {
	for option := range strings.SplitSeq(options, ",") {
		if option != "string" {
			continue
		}
		inner := t
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch inner.Kind() {
		case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
			reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
			reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
			return &Shape{kind: opaque, quoted: true} // without a type: it cannot be tried alone
		}
	}
	return b.of(t)
}

// validName reports whether encoding/json takes a name from a tag.
func validName(name string) bool {
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) {
			return false
		}
	}
	return name != ""
}
