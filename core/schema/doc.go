// Package schema gives meaning to the tags on the fields of a Config: name, default, range, required.
//
// A Config is three things at once: the Go API, the format of the file and the documentation. They stay one thing
// because all three read the same tags through this package: Validate of every machine, Fill before a machine starts,
// and the decoder of package hotconfig.
//
//	type Config struct {
//		// Limit is how many calls a second are admitted.
//		Limit int `required:"true" range:"1..1000000000"`
//		// Wait is how long a call may queue for its turn.
//		Wait time.Duration `default:"5s" range:"1ms..1h|none"`
//		// Mode says what happens to a call over the limit.
//		Mode Mode `default:"enforce" range:"enforce|shadow|disabled"`
//	}
//
//	func (c Config) Validate() error { return schema.Validate(c) }
//
// # Tags
//
//	key:"open_for"   name in files, variables and errors. Without it: the Go name in snake case, MaxOpenFor is
//	                 max_open_for and UserID is user_id. key:"-" leaves the field out.
//	default:"5s"     what an absent field means, in text.
//	range:"1ms..1h"  values allowed, both ends included; "|" separates alternatives: "0.01..1|none", "a|b|c".
//	                 On a list or a map it holds for each element.
//	required:"true"  there is no sensible default: the zero value is a fault.
//	example:"100"    what the message about a missing required field suggests; without it one is made from the range.
//	secret:"true"    the value is never printed.
//
// # Zero
//
// The zero value of a field means absent, and absent means the default. It is never "off" or "unlimited"; where a
// machine offers that, the range has the word none, which is -1 in a plain number and whatever UnmarshalText makes of
// "none" in a type of its own. A literal 0 in a file is legal only if the range includes 0; that is judged by
// Field.Parse and not by Validate, which cannot see the difference between 0 and absent.
//
// It follows that some tags contradict each other, and Describe refuses them: a bool with default true, a field that is
// required and has a default, a range that excludes zero on a field that has no default and is not required, one that
// includes zero on a field with another default, a default outside its range.
//
// # Kinds
//
// A field may be a bool, an integer, a float, a string, a time.Duration, any type whose pointer has
// UnmarshalText([]byte) error, a struct, a map with string keys, or a slice; elements of maps and slices are of these
// kinds again. Embedded structs without a key tag lend their fields to the outer struct. Unexported fields are skipped.
// Pointers, interfaces, functions, arrays and types that contain themselves are refused.
//
// A tag that does not parse is a mistake in the program, not in a file: Describe returns it as an error, so that one
// test per package finds it, and Fill and Validate panic with the name of the field.
//
// Everything here is reflection over a few dozen fields, some microseconds: right for a start or a reload, not for a
// request. All functions are pure and safe for concurrent use.
package schema
