package sfv

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// value reads a bare item; its first character tells the kind.
func (p *Parser) value() (v Value, ok bool) {
	if p.src == "" {
		return v, false
	}
	switch c := p.src[0]; {
	case c == '-' || digit(c):
		return p.number()
	case c == '"':
		return p.text()
	case c == ':':
		return p.bytes()
	case c == '?':
		return p.boolean()
	case c == '@':
		p.src = p.src[1:]
		v, ok = p.number()
		ok = ok && v.kind == Integer
		v.kind = Date
		return v, ok
	case c == '%':
		return p.display()
	default:
		v.kind, v.s = Token, p.take(tokenLen(p.src))
		return v, v.s != ""
	}
}

// number reads an Integer of up to 15 digits, or a Decimal of up to 12 and 1 to 3 after the point.
func (p *Parser) number() (v Value, ok bool) {
	minus := p.next('-')
	whole := p.digits(15, &v.n)
	if whole == 0 || p.src != "" && digit(p.src[0]) {
		return v, false
	}
	v.kind = Integer
	if p.next('.') {
		v.kind = Decimal
		after := p.digits(3, &v.n)
		if whole > 12 || after == 0 || p.src != "" && digit(p.src[0]) {
			return v, false
		}
		for ; after < 3; after++ {
			v.n *= 10
		}
	}
	if minus {
		v.n = -v.n
	}
	return v, true
}

// digits appends up to limit digits to n and returns how many there were.
func (p *Parser) digits(limit int, n *int64) (count int) {
	for count < limit && count < len(p.src) && digit(p.src[count]) {
		*n = *n*10 + int64(p.src[count]-'0')
		count++
	}
	p.src = p.src[count:]
	return count
}

// text reads a String.
func (p *Parser) text() (v Value, ok bool) {
	s := p.src[1:]
	escaped := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			v.kind, v.s, p.src = String, s[:i], s[i+1:]
			if escaped {
				v.s = unescape(v.s)
			}
			return v, true
		case c == '\\':
			i++
			if i == len(s) || s[i] != '"' && s[i] != '\\' {
				return v, false
			}
			escaped = true
		case c < ' ' || c > '~':
			return v, false
		}
	}
	return v, false
}

// unescape takes the backslashes out of a String in which all stand where they may.
func unescape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// bytes reads a Byte Sequence. base64 skips line ends, which no field may contain.
func (p *Parser) bytes() (v Value, ok bool) {
	code, rest, ok := strings.Cut(p.src[1:], ":")
	if !ok || strings.ContainsAny(code, "\r\n") {
		return v, false
	}
	padding := len(code) - len(strings.TrimRight(code, "="))
	if padding > 0 && len(code)%4 != 0 {
		return v, false
	}
	b, err := base64.RawStdEncoding.DecodeString(code[:len(code)-padding])
	if err != nil || padding > 2 {
		return v, false
	}
	v.kind, v.s, p.src = Bytes, string(b), rest
	return v, true
}

func (p *Parser) boolean() (v Value, ok bool) {
	if len(p.src) < 2 || p.src[1] != '0' && p.src[1] != '1' {
		return v, false
	}
	return Bool(p.take(2)[1] == '1'), true
}

// display reads a Display String: UTF-8 with all but printable ASCII in lower-case percent codes.
func (p *Parser) display() (v Value, ok bool) {
	s, ok := strings.CutPrefix(p.src, `%"`)
	if !ok {
		return v, false
	}
	var b []byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			v.kind, v.s, p.src = DisplayString, string(b), s[i+1:]
			return v, utf8.Valid(b)
		case c == '%':
			if i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0 {
				return v, false
			}
			b = append(b, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
		case c < ' ' || c > '~':
			return v, false
		default:
			b = append(b, c)
		}
	}
	return v, false
}

// unhex is the value of a lower-case hexadecimal digit, -1 for anything else.
func unhex(c byte) int {
	return strings.IndexByte("0123456789abcdef", c)
}
