// Package strictjson decodes JSON that somebody else wrote, and takes nothing that could be read in two ways.
//
// encoding/json takes the last of two equal names, matches names whatever their case, replaces what is not UTF-8, and
// ignores what the Go type has no place for. Two readers of one text then see two documents, and a service that checks
// one acts on the other. Here all of that is a fault, and the fault says where it is:
//
//	text                                    what it is
//	not JSON, or more than one value        *SyntaxError
//	not UTF-8, a byte order mark            *SyntaxError
//	half of a surrogate pair: "\ud800"      *SyntaxError
//	a name twice in an object               *SyntaxError
//	deeper than the limit                   *SyntaxError
//	a name that the type does not have      Faults; the case of letters counts
//	a value of another kind or size         Faults
//	null for the whole                      Faults; null for a part is as if it were absent, as in encoding/json
//
// A Shape is what a Go type allows. The text is scanned once against it, which finds all faults at once; then
// encoding/json fills the value, so that tags, embedded structs, UnmarshalJSON and UnmarshalText mean what they always do.
// Nothing of the values is in an error, for they may be secret; names are.
package strictjson
