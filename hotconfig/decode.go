package hotconfig

import (
	"reflect"
	"strings"

	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/internal/suggest"
)

// shapes describes struct types, each once per load. All types have been checked when the Live was made.
type shapes map[reflect.Type][]schema.Field

func (s shapes) of(t reflect.Type) []schema.Field {
	fields, ok := s[t]
	if !ok {
		fields, _ = schema.Describe(t)
		s[t] = fields
	}
	return fields
}

// A decoder writes a tree into a value and reports all that does not fit.
type decoder struct {
	shapes shapes
	typ    reflect.Type // of the whole configuration
	root   *node        // of the whole configuration, for hints; may be nil
	fs     *faults
	// where is the position of every path there is. It is nil while a single layer is checked: then required fields may
	// be absent.
	where map[string]position
}

// structure decodes a struct. n is nil if nobody has written anything about it; then at is where it could be written.
func (d *decoder) structure(path string, t reflect.Type, n *node, at position, v reflect.Value) {
	fields := d.shapes.of(t)
	if n != nil {
		at = n.at
		d.unknown(path, fields, n)
	}
	for _, f := range fields {
		var child *node
		if n != nil {
			child = n.get(f.Name)
		}
		name := schema.Join(path, f.Name)
		switch absent := child == nil || child.kind == null; {
		case !absent:
			d.value(name, f, child, v.FieldByIndex(f.Index))
		case d.where == nil:
		case f.Required:
			d.fs.add(at, name, f.Missing().Reason())
		case f.Shape() == schema.Struct:
			d.structure(name, f.Type, nil, at, v.FieldByIndex(f.Index))
		}
	}
}

// value decodes n into v, whose rules are f's.
func (d *decoder) value(path string, f schema.Field, n *node, v reflect.Value) {
	if d.where != nil {
		d.where[path] = n.at
	}
	want := map[schema.Shape]kind{schema.Struct: mapping, schema.Map: mapping, schema.List: sequence}
	switch shape := f.Shape(); {
	case n.kind == refused:
	case shape == schema.Scalar:
		got, reason := parseScalar(f, n)
		if reason != "" {
			d.fs.add(n.at, path, reason)
			return
		}
		v.Set(got)
	case n.kind != want[shape]:
		d.fs.add(n.at, path, "expected "+wanted(f)+", found "+n.String())
	case shape == schema.Struct:
		d.structure(path, f.Type, n, n.at, v)
	case shape == schema.Map:
		d.mapping(path, f, n, v)
	default:
		d.list(path, f, n, v)
	}
}

func (d *decoder) mapping(path string, f schema.Field, n *node, v reflect.Value) {
	v.Set(reflect.MakeMapWithSize(f.Type, len(n.entries)))
	for _, e := range n.entries {
		if e.value.kind == null { // the default of an entry is not to be there
			continue
		}
		elem := reflect.New(f.Type.Elem()).Elem()
		d.value(schema.Join(path, e.key), f.Elem(), e.value, elem)
		v.SetMapIndex(reflect.ValueOf(e.key).Convert(f.Type.Key()), elem)
	}
}

func (d *decoder) list(path string, f schema.Field, n *node, v reflect.Value) {
	v.Set(reflect.MakeSlice(f.Type, len(n.items), len(n.items)))
	for i, item := range n.items {
		name := schema.At(path, i)
		if item.kind == null {
			d.fs.add(item.at, name, "an element of a list cannot be null")
			continue
		}
		d.value(name, f.Elem(), item, v.Index(i))
	}
}

// unknown reports the keys of n that no field has.
func (d *decoder) unknown(path string, fields []schema.Field, n *node) {
	for _, e := range n.entries {
		known := false
		for _, f := range fields {
			known = known || f.Name == e.key
		}
		if !known {
			reason := "unknown key"
			if hint := d.hint(e.key, fields); hint != "" {
				reason += " (" + hint + ")"
			}
			d.fs.add(e.at, schema.Join(path, cutKey(e.key)), reason)
		}
	}
}

// hint guesses what was meant by an unknown key: a sibling spelt almost so, else the same name at another level, else
// almost the same name at another level.
func (d *decoder) hint(key string, siblings []schema.Field) string {
	name := strings.ReplaceAll(strings.ToLower(key), "-", "_")
	var names []string
	for _, f := range siblings {
		names = append(names, f.Name)
	}
	if best := suggest.Nearest(name, names); best != "" {
		return `did you mean "` + best + `"?`
	}
	elsewhere := map[string]string{} // name to the shortest path that ends in it
	names = names[:0]
	d.paths("", d.typ, d.root, func(path, name string) {
		if old, ok := elsewhere[name]; !ok || len(path) < len(old) {
			elsewhere[name] = path
			names = append(names, name)
		}
	})
	if path, ok := elsewhere[name]; ok {
		return "exists at " + path
	}
	if best := suggest.Nearest(name, names); best != "" {
		return "did you mean " + elsewhere[best] + "?"
	}
	return ""
}

// paths calls visit for every key the configuration can have. At a map it goes into the first entry that n has, so that
// the path is one that means something to the reader, else into <name>.
func (d *decoder) paths(path string, t reflect.Type, n *node, visit func(path, name string)) {
	for _, f := range d.shapes.of(t) {
		name := schema.Join(path, f.Name)
		visit(name, f.Name)
		var child *node
		if n != nil {
			child = n.get(f.Name)
		}
		inner := f.Type
		for schema.ShapeOf(inner) == schema.Map || schema.ShapeOf(inner) == schema.List {
			switch {
			case schema.ShapeOf(inner) == schema.List:
				name, child = name+"[]", nil
			case child != nil && len(child.entries) > 0:
				name, child = schema.Join(name, child.entries[0].key), child.entries[0].value
			default:
				name, child = name+".<name>", nil
			}
			inner = inner.Elem()
		}
		if schema.ShapeOf(inner) == schema.Struct {
			d.paths(name, inner, child, visit)
		}
	}
}

// cutKey bounds how much of an unknown key an error repeats.
func cutKey(key string) string {
	if r := []rune(key); len(r) > 32 {
		return string(r[:32]) + "…"
	}
	return key
}
