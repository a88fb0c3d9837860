// Package sfv reads and writes structured field values (RFC 9651): Lists and Items with their Parameters and Inner Lists,
// and the bare items of all kinds. Dictionaries are left out: no field of this module is one.
//
// It serves RateLimit and RateLimit-Policy, Idempotency-Key and Cache-Status:
//
//	var p sfv.Parser
//	list, err := p.List(resp.Header["Ratelimit"]) // "burst";r=50;t=30, "daily";r=900
//	if err == nil && len(list) > 0 {
//		name, ok := list[0].Text()
//		left, ok := list[0].Param("r").Integer()
//	}
//
// # Strictness
//
// A field is what the grammar says or it is an error as a whole, as RFC 9651 section 4.2 asks: there is no half of a field.
// Beyond the grammar a field fails if it has more than 1024 members, an Inner List more than 256 or an Item more than 256
// Parameters: what every parser must support, and the end of what one has to. A Byte Sequence may lack its padding,
// and its last bits need not be zero, as the section recommends.
//
// # Memory
//
// A Parser keeps the memory of its last result for the next one. Strings are parts of the field where it has no escapes;
// a field of one line with neither escapes nor bytes allocates nothing once the Parser has grown.
package sfv
