package schema

import (
	"fmt"
	"reflect"
)

// Fill returns a copy of c in which every zero field with a default has that default, in nested structs and in the
// elements of maps and lists as well. Maps and lists that hold structs are copied, never written to; others are shared
// with c. A nil map or list stays nil. Fill judges nothing: what is required and absent stays zero, what is out of range
// stays as it is. It panics if T is not a struct or a tag does not parse.
func Fill[T any](c T) T {
	v := reflect.ValueOf(&c).Elem()
	fillStruct(v, mustDescribe(v.Type()))
	return c
}

func fillStruct(v reflect.Value, fields []Field) {
	for _, f := range fields {
		fv := v.FieldByIndex(f.Index)
		if f.Shape() != Scalar {
			fv.Set(filled(fv))
			continue
		}
		if f.Default == "" || !fv.IsZero() {
			continue
		}
		d, err := f.Parse(f.Default)
		if err != nil {
			panic(fmt.Sprintf("schema: %s: default: %v", f.GoName, err)) // Describe has checked it
		}
		fv.Set(d)
	}
}

// filled returns v with defaults inside, a copy where something inside could change.
func filled(v reflect.Value) reflect.Value {
	switch shape := ShapeOf(v.Type()); {
	case shape == Struct:
		c := reflect.New(v.Type()).Elem()
		c.Set(v)
		fillStruct(c, mustDescribe(v.Type()))
		return c
	case shape == Scalar || v.IsNil() || !holdsStructs(v.Type()):
		return v
	case shape == Map:
		c := reflect.MakeMapWithSize(v.Type(), v.Len())
		for it := v.MapRange(); it.Next(); {
			c.SetMapIndex(it.Key(), filled(it.Value()))
		}
		return c
	default:
		c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			c.Index(i).Set(filled(v.Index(i)))
		}
		return c
	}
}

func holdsStructs(t reflect.Type) bool {
	for ShapeOf(t) == Map || ShapeOf(t) == List {
		t = t.Elem()
	}
	return ShapeOf(t) == Struct
}
