package schema

import (
	"reflect"
	"slices"
	"strings"
)

// Validate checks c, a struct or a pointer to one, against its tags and returns all faults at once as Errors, in the
// order of the fields, or nil. The zero value of a field with a default is fine, of a required field a fault.
//
// Structs inside c, also in maps and lists, are checked the same way, and their Validate() error method is called if they
// have one; paths then read breakers.payments.open_for. The Validate method of c itself is not called, so that it can
// be written with this function, the rules no tag can state going into extra (nil errors are skipped):
//
//	func (c Config) Validate() error {
//		var fault error
//		if e := schema.Fill(c); e.MinWait > e.MaxWait {
//			fault = schema.Fault("max_wait", e.MaxWait, "at least min_wait")
//		}
//		return schema.Validate(c, fault)
//	}
//
// Validate panics if c is no struct or a tag does not parse.
func Validate(c any, extra ...error) error {
	v := reflect.ValueOf(c)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if !v.IsValid() {
		panic("schema: Validate of nil")
	}
	var r report
	r.structs("", v)
	for _, err := range extra {
		r.add(Flatten("", err)...)
	}
	if len(r.faults) == 0 {
		return nil
	}
	return r.faults
}

// report collects faults. The same fault is kept once: it is found by walking the outer struct and again by the
// Validate method of the inner one, which calls this package too.
type report struct{ faults Errors }

func (r *report) add(es ...*FieldError) {
	for _, e := range es {
		same := func(o *FieldError) bool { return o.Path == e.Path && o.Reason() == e.Reason() }
		if !slices.ContainsFunc(r.faults, same) {
			r.faults = append(r.faults, e)
		}
	}
}

// addAt adds a fault whose path is not filled in yet.
func (r *report) addAt(path string, e *FieldError) {
	e.Path = path
	r.add(e)
}

func (r *report) structs(path string, v reflect.Value) {
	for _, f := range mustDescribe(v.Type()) {
		name, fv := Join(path, f.Name), v.FieldByIndex(f.Index)
		absent := fv.IsZero() || (f.Shape() != Scalar && f.Shape() != Struct && fv.Len() == 0)
		switch {
		case absent && f.Required:
			r.addAt(name, f.Missing())
		case absent && f.Shape() == Scalar:
			// Absent: the default, or a zero that Describe has found to be in range.
		default:
			r.value(name, f, fv)
		}
	}
}

// value checks one value that is there.
func (r *report) value(path string, f Field, v reflect.Value) {
	switch f.Shape() {
	case Struct:
		r.structs(path, v)
		r.own(path, v)
	case Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			r.value(Join(path, k.String()), f.Elem(), v.MapIndex(k))
		}
	case List:
		for i := range v.Len() {
			r.value(At(path, i), f.Elem(), v.Index(i))
		}
	default:
		if !f.Range.Allows(v) {
			r.addAt(path, f.Refuse(v))
		}
	}
}

// own calls the Validate method of a struct inside c. A copy is addressed, because values in maps are not addressable
// and the method may be on the pointer.
func (r *report) own(path string, v reflect.Value) {
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	if !p.CanInterface() {
		return
	}
	if validator, ok := reflect.TypeAssert[interface{ Validate() error }](p); ok {
		r.add(Flatten(path, validator.Validate())...)
	}
}
