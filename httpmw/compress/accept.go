package compress

import "strings"

// choice is what an Accept-Encoding field means for a response.
type choice struct {
	coding int  // an index of the codings offered; below 0 for none
	forced bool // the client does not take the plain form
}

// weight is a qvalue in thousandths. Below 0 the coding was not named.
type weight int

const unnamed weight = -1

// maxCodings bounds what is offered.
const maxCodings = 4

// negotiate reads the lines of an Accept-Encoding field (RFC 9110 section 12.5.3) and chooses among the offered
// codings: the one with the highest weight, the first of equals, and none if the client likes the plain form better. No
// field means none: such a client could take anything, but never said so.
//
// An element that is malformed counts for nothing. Of a coding that is named twice the last counts. It does not allocate.
func negotiate(lines, offered []string) choice {
	var named [maxCodings]weight
	for i := range named {
		named[i] = unnamed
	}
	identity, other := unnamed, unnamed
	for _, line := range lines {
		for line != "" {
			var element string
			element, line, _ = strings.Cut(line, ",")
			name, q, ok := codingAndWeight(element)
			switch {
			case !ok:
			case name == "*":
				other = q
			case strings.EqualFold(name, "identity"):
				identity = q
			default:
				if i := indexOf(offered, name); i >= 0 {
					named[i] = q
				}
			}
		}
	}
	if identity == unnamed && other == 0 {
		identity = 0
	}
	best := choice{coding: -1, forced: identity == 0}
	most := max(identity, 0)
	for i := range offered {
		q := named[i]
		if q == unnamed {
			q = other
		}
		// Of equals the coding is better than the plain form, and an earlier coding than a later.
		if q > 0 && (q > most || q == most && best.coding < 0) {
			best.coding, most = i, q
		}
	}
	if best.coding < 0 {
		best.forced = false // nothing that can be done about it
	}
	return best
}

func indexOf(offered []string, name string) int {
	if strings.EqualFold(name, "x-gzip") { // RFC 9110 section 8.4.1.3
		name = "gzip"
	}
	for i, coding := range offered {
		if strings.EqualFold(coding, name) {
			return i
		}
	}
	return -1
}

// codingAndWeight reads `gzip` or `gzip;q=0.5`.
func codingAndWeight(element string) (name string, q weight, ok bool) {
	name, param, weighted := strings.Cut(element, ";")
	name = strings.Trim(name, " \t")
	if name == "" {
		return "", 0, false
	}
	if !weighted {
		return name, 1000, true
	}
	key, value, _ := strings.Cut(strings.Trim(param, " \t"), "=")
	if key != "q" && key != "Q" {
		return "", 0, false
	}
	q, ok = qvalue(value)
	return name, q, ok
}

// qvalue reads 0, 0.123 or 1.000: a digit and at most three more.
func qvalue(s string) (weight, bool) {
	if s == "" || s[0] != '0' && s[0] != '1' || len(s) > 5 || len(s) > 1 && s[1] != '.' {
		return 0, false
	}
	q, unit := weight(s[0]-'0')*1000, weight(100)
	for i := 2; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		q += weight(s[i]-'0') * unit
		unit /= 10
	}
	return q, q <= 1000
}
