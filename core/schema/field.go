package schema

import (
	"errors"
	"fmt"
	"reflect"
)

// Shape is how values of a type are written in a file.
type Shape uint8

const (
	Scalar Shape = iota // one value
	Struct              // a mapping with known keys
	Map                 // a mapping with keys of the user's choice
	List                // a sequence
)

// A Field is what the tags of one struct field say.
type Field struct {
	Name     string       // in files, variables and errors
	GoName   string       // in the program, with the outer types' names: Config.OpenFor
	Index    []int        // for reflect.Value.FieldByIndex on the struct given to Describe
	Type     reflect.Type // of the Go field
	Default  string       // text of the default; empty if there is none
	Range    Range        // values allowed; for lists and maps, of each element
	Required bool         // the zero value is a fault
	Secret   bool         // the value must not be printed
	Example  string       // a value that can be written, for messages; empty if none could be made
}

// ShapeOf returns how values of t are written. Types with UnmarshalText are scalars whatever they are made of.
func ShapeOf(t reflect.Type) Shape {
	if isText(t) {
		return Scalar
	}
	switch t.Kind() {
	case reflect.Struct:
		return Struct
	case reflect.Map:
		return Map
	case reflect.Slice:
		return List
	default:
		return Scalar
	}
}

// Shape returns ShapeOf(f.Type).
func (f Field) Shape() Shape { return ShapeOf(f.Type) }

// Elem describes the elements of a list or map: its type, its range and whether it is secret. An element that is
// there was written by somebody, so it has no default and is not required. Elem panics on other shapes.
func (f Field) Elem() Field {
	return Field{GoName: f.GoName, Type: f.Type.Elem(), Range: f.Range, Secret: f.Secret, Example: f.Example}
}

// Describe lists the fields of the struct type t in order and checks the tags of t and of every type inside it. The
// error joins all mistakes, each naming the Go field.
func Describe(t reflect.Type) ([]Field, error) {
	if t == nil || ShapeOf(t) != Struct {
		return nil, fmt.Errorf("schema: %v is not a struct", t)
	}
	d := describer{open: map[reflect.Type]bool{}}
	fields := d.describe(t)
	return fields, errors.Join(d.errs...)
}

// mustDescribe is Describe where a bad tag can only be a mistake in the program.
func mustDescribe(t reflect.Type) []Field {
	fields, err := Describe(t)
	if err != nil {
		panic(err)
	}
	return fields
}

// describer walks a type. open holds the structs it is inside of.
type describer struct {
	open map[reflect.Type]bool
	errs []error
}

func (d *describer) failf(goName, format string, args ...any) {
	d.errs = append(d.errs, fmt.Errorf("schema: %s: %w", goName, fmt.Errorf(format, args...)))
}

func (d *describer) describe(t reflect.Type) []Field {
	d.open[t] = true
	defer delete(d.open, t)
	var out []Field
	owner := map[string]string{}
	for i := range t.NumField() {
		sf := t.Field(i)
		key, keyed := sf.Tag.Lookup("key")
		if key == "-" || (!sf.IsExported() && !sf.Anonymous) {
			continue
		}
		var found []Field
		if sf.Anonymous && !keyed && ShapeOf(sf.Type) == Struct && !d.open[sf.Type] {
			found = d.describe(sf.Type)
			for j := range found {
				found[j].Index = append([]int{i}, found[j].Index...)
			}
		} else if sf.IsExported() {
			found = []Field{d.field(t, sf)}
		}
		for _, f := range found {
			if other, taken := owner[f.Name]; taken {
				d.failf(f.GoName, "the name %q is taken by %s", f.Name, other)
			}
			owner[f.Name] = f.GoName
		}
		out = append(out, found...)
	}
	return out
}

// field reads the tags of one field. It reports what is wrong and returns what it could read.
func (d *describer) field(t reflect.Type, sf reflect.StructField) Field {
	f := Field{
		Name: sf.Tag.Get("key"), GoName: t.String() + "." + sf.Name, Index: sf.Index, Type: sf.Type,
		Default: sf.Tag.Get("default"), Example: sf.Tag.Get("example"),
		Required: d.flag(t, sf, "required"), Secret: d.flag(t, sf, "secret"),
	}
	if f.Name == "" {
		f.Name = snake(sf.Name)
	}
	if !validName(f.Name) {
		d.failf(f.GoName, "the name %q is not words of a-z and 0-9 joined by single underscores", f.Name)
	}
	leaf := f.Type
	for ShapeOf(leaf) == Map || ShapeOf(leaf) == List {
		if leaf.Kind() == reflect.Map && leaf.Key().Kind() != reflect.String {
			d.failf(f.GoName, "the keys of a map must be strings, not %s", leaf.Key())
		}
		leaf = leaf.Elem()
	}
	if ShapeOf(leaf) == Struct {
		d.structField(f, leaf, sf.Tag.Get("range"))
		return f
	}
	if !isText(leaf) && !isNumber(leaf) && leaf.Kind() != reflect.Bool && leaf.Kind() != reflect.String {
		d.failf(f.GoName, "a %s cannot be configured; tag it key:\"-\" if it is not meant to be", leaf)
		return f
	}
	var err error
	if f.Range, err = ParseRange(leaf, sf.Tag.Get("range")); err != nil {
		d.failf(f.GoName, "%w", err)
		return f
	}
	if err := f.consistent(); err != nil {
		d.failf(f.GoName, "%w", err)
	}
	if f.Example == "" {
		f.Example = example(leaf, f.Range)
	}
	return f
}

func (d *describer) flag(t reflect.Type, sf reflect.StructField, tag string) bool {
	switch v := sf.Tag.Get(tag); v {
	case "", "false":
		return false
	case "true":
		return true
	default:
		d.failf(t.String()+"."+sf.Name, "%s must be true or false, not %q", tag, v)
		return false
	}
}

// structField checks a field that is a struct, or a map or list of structs.
func (d *describer) structField(f Field, leaf reflect.Type, rng string) {
	if f.Default != "" || rng != "" || (f.Required && f.Shape() == Struct) {
		d.failf(f.GoName, "default, range and required belong on the fields of %s", leaf)
	}
	if d.open[leaf] {
		d.failf(f.GoName, "%s contains itself", leaf)
		return
	}
	d.describe(leaf)
}
