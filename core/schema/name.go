package schema

import (
	"strconv"
	"strings"
	"unicode"
)

// snake turns a Go name into the name used in files. A run of capitals is one word (HTTPPort is http_port), and a
// plural s belongs to the run before it (UserIDs is user_ids). Digits belong to the word before them. Names that mix
// case inside a word, such as IPv4, come out badly: give those a key tag.
func snake(name string) string {
	r := []rune(name)
	at := func(i int) rune {
		if i < len(r) {
			return r[i]
		}
		return 0
	}
	var b strings.Builder
	for i, c := range r {
		if i > 0 && unicode.IsUpper(c) {
			afterWord := !unicode.IsUpper(r[i-1])
			plural := at(i+1) == 's' && !unicode.IsLower(at(i+2))
			beforeWord := unicode.IsLower(at(i+1)) && !plural
			if (afterWord || beforeWord) && r[i-1] != '_' {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// validName is strict because "__" separates the levels of an environment variable's name: a name that began or ended
// with an underscore, or held two in a row, could not be told from two levels.
func validName(name string) bool {
	word := true // an underscore may not come now
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			word = false
		case c == '_' && !word:
			word = true
		default:
			return false
		}
	}
	return name != "" && !word
}

// Join returns the path of the field or map entry key inside path: "breakers" and "payments" give
// "breakers.payments". A map key of other characters than letters, digits, "_" and "-" is quoted, so that a path is
// never ambiguous: routes["/v1.2"].
func Join(path, key string) string {
	if !plainKey(key) {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func plainKey(key string) bool {
	odd := func(c rune) bool {
		letter := (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
		return !letter && c != '_' && c != '-'
	}
	return key != "" && strings.IndexFunc(key, odd) < 0
}

// At returns the path of element i of the list at path: servers[0].
func At(path string, i int) string {
	return path + "[" + strconv.Itoa(i) + "]"
}
