package hotconfig

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/internal/suggest"
)

// meaning is what the name of a variable says to a configuration.
type meaning uint8

const (
	nothing meaning = iota
	setsField
	namesFile
)

// resolve finds out what a variable's name means by the types alone: a map takes any key.
func (s shapes) resolve(t reflect.Type, parts []string) meaning {
	part := parts[0]
	last := len(parts) == 1
	switch schema.ShapeOf(t) {
	case schema.Struct:
		result := nothing
		for _, f := range s.of(t) {
			switch {
			case f.Name == part && last:
				return setsField
			case f.Name == part:
				return s.resolve(f.Type, parts[1:])
			case last && f.Shape() == schema.Scalar && f.Name+"_file" == part:
				result = namesFile
			}
		}
		return result
	case schema.Map:
		_, file := strings.CutSuffix(part, "_file")
		switch {
		case part == "" || part == "_file":
			return nothing
		case !last:
			return s.resolve(t.Elem(), parts[1:])
		case file && schema.ShapeOf(t.Elem()) == schema.Scalar:
			return namesFile
		default:
			return setsField
		}
	case schema.List:
		number, file := strings.CutSuffix(part, "_file")
		if _, err := strconv.ParseUint(number, 10, 16); err != nil || (file && !last) {
			return nothing
		}
		switch {
		case !last:
			return s.resolve(t.Elem(), parts[1:])
		case file:
			return namesFile
		default:
			return setsField
		}
	default:
		return nothing
	}
}

// mend returns the parts of the nearest name that means something, correcting each level by itself, or nil.
func (s shapes) mend(t reflect.Type, parts []string) []string {
	if len(parts) == 0 {
		return []string{}
	}
	part, inner := parts[0], reflect.Type(nil)
	switch schema.ShapeOf(t) {
	case schema.Struct:
		types := map[string]reflect.Type{}
		var names []string
		for _, f := range s.of(t) {
			types[f.Name] = f.Type
			names = append(names, f.Name)
		}
		if types[part] == nil {
			part = suggest.Nearest(part, names)
		}
		inner = types[part]
	case schema.Map:
		inner = t.Elem()
	case schema.List:
		if _, err := strconv.ParseUint(part, 10, 16); err == nil {
			inner = t.Elem()
		}
	}
	if inner == nil {
		return nil
	}
	rest := s.mend(inner, parts[1:])
	if rest == nil {
		return nil
	}
	return append([]string{part}, rest...)
}

// known lists the variables there can be, without the prefix. Entries of maps and lists are left out, since anything
// can stand there.
func (e *environ) known(t reflect.Type, s shapes) []string {
	var out []string
	for _, f := range s.of(t) {
		name := strings.ToUpper(f.Name)
		out = append(out, name)
		if f.Shape() == schema.Struct {
			for _, inner := range e.known(f.Type, s) {
				out = append(out, name+"__"+inner)
			}
		}
	}
	return out
}

// collisions reports two meanings of one variable: a field token_file beside a field token, whose value may come from
// a file, and a field env, whose variable names the environment.
func collisions(t reflect.Type, s shapes, prefix string, top bool) error {
	names := map[string]schema.Field{}
	for _, f := range s.of(t) {
		names[f.Name] = f
	}
	for _, f := range s.of(t) {
		if top && f.Name == "env" {
			return fmt.Errorf("hotconfig: %s: the variable %s_ENV names the environment; call the field otherwise", f.GoName, prefix)
		}
		plain, ok := names[strings.TrimSuffix(f.Name, "_file")]
		if ok && plain.Name != f.Name && plain.Shape() == schema.Scalar {
			return fmt.Errorf("hotconfig: %s and %s share a variable: the one that ends in _FILE names a file with the value of the other",
				plain.GoName, f.GoName)
		}
		inner := f.Type
		for schema.ShapeOf(inner) == schema.Map || schema.ShapeOf(inner) == schema.List {
			inner = inner.Elem()
		}
		if schema.ShapeOf(inner) == schema.Struct {
			if err := collisions(inner, s, prefix, false); err != nil {
				return err
			}
		}
	}
	return nil
}
