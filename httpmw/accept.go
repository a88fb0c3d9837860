package httpmw

import "strings"

// wantsText reports whether an Accept field takes plain text and excludes the JSON of a problem. In all other cases,
// also when it excludes both, the answer is JSON: RFC 9110 section 12.5.1 lets a server disregard the field.
//
// The most specific range decides for a type; weights other than zero do not matter with two types to choose from. A
// comma inside a quoted parameter splits the range in two here, which can only change the form of the sender's own
// error.
func wantsText(accept []string) bool {
	if len(accept) == 0 {
		return false
	}
	var json, text verdict
	for _, line := range accept {
		for element := range strings.SplitSeq(line, ",") {
			kind, params, _ := strings.Cut(element, ";")
			kind = strings.TrimSpace(kind)
			ok := !zeroWeight(params)
			switch {
			case kind == "*/*":
				json.rule(1, ok)
				text.rule(1, ok)
			case strings.EqualFold(kind, "application/*"):
				json.rule(2, ok)
			case strings.EqualFold(kind, "application/json"):
				json.rule(3, ok)
			case strings.EqualFold(kind, "application/problem+json"):
				json.rule(4, ok)
			case strings.EqualFold(kind, "text/*"):
				text.rule(2, ok)
			case strings.EqualFold(kind, "text/plain"):
				text.rule(3, ok)
			}
		}
	}
	return text.accepted && !json.accepted
}

// verdict is what the most specific range so far says of a type.
type verdict struct {
	rank     int
	accepted bool
}

func (v *verdict) rule(rank int, accepted bool) {
	if rank > v.rank {
		v.rank, v.accepted = rank, accepted
	}
}

// zeroWeight reports whether the parameters hold q=0, q=0.0 and so on: "not acceptable".
func zeroWeight(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(name, "q") {
			return strings.HasPrefix(value, "0") && strings.Trim(value, "0.") == ""
		}
	}
	return false
}
