package sfv

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"
)

// AppendList appends a List to dst. The error is ErrValue; dst is then returned as it was. An empty List is written as
// nothing, and is no field at all.
func AppendList(dst []byte, list []Item) ([]byte, error) {
	out := dst
	for i := range list {
		if i > 0 {
			out = append(out, ", "...)
		}
		var ok bool
		if out, ok = appendMember(out, &list[i]); !ok {
			return dst, ErrValue
		}
	}
	return out, nil
}

// AppendItem appends an Item to dst, as AppendList appends a List.
func AppendItem(dst []byte, it Item) ([]byte, error) {
	if out, ok := appendItem(dst, &it); ok {
		return out, nil
	}
	return dst, ErrValue
}

func appendMember(dst []byte, it *Item) (out []byte, ok bool) {
	if it.Inner == nil {
		return appendItem(dst, it)
	}
	if it.kind != None {
		return dst, false
	}
	out = append(dst, '(')
	for i := range it.Inner {
		if i > 0 {
			out = append(out, ' ')
		}
		if out, ok = appendItem(out, &it.Inner[i]); !ok {
			return dst, false
		}
	}
	return appendParams(append(out, ')'), it.Params)
}

func appendItem(dst []byte, it *Item) ([]byte, bool) {
	if it.Inner != nil {
		return dst, false
	}
	out, ok := appendValue(dst, it.Value)
	if !ok {
		return dst, false
	}
	return appendParams(out, it.Params)
}

// appendParams leaves out the value of a Parameter that is true, as the grammar asks.
func appendParams(dst []byte, params []Param) (out []byte, ok bool) {
	out = dst
	for _, p := range params {
		if p.Key == "" || keyLen(p.Key) != len(p.Key) {
			return dst, false
		}
		out = append(append(out, ';'), p.Key...)
		if p.Value == Bool(true) {
			continue
		}
		if out, ok = appendValue(append(out, '='), p.Value); !ok {
			return dst, false
		}
	}
	return out, true
}

func appendValue(dst []byte, v Value) ([]byte, bool) {
	switch v.kind {
	case Integer:
		return appendInteger(dst, v.n)
	case Decimal:
		return appendDecimal(dst, v.n)
	case String:
		return appendText(dst, v.s)
	case Token:
		return append(dst, v.s...), v.s != "" && tokenLen(v.s) == len(v.s)
	case Bytes:
		dst = base64.StdEncoding.AppendEncode(append(dst, ':'), []byte(v.s))
		return append(dst, ':'), true
	case Boolean:
		return append(dst, '?', '0'+byte(v.n)), true
	case Date:
		return appendInteger(append(dst, '@'), v.n)
	case DisplayString:
		return appendDisplay(dst, v.s)
	default:
		return dst, false
	}
}

func appendInteger(dst []byte, n int64) ([]byte, bool) {
	return strconv.AppendInt(dst, n, 10), -maxInteger <= n && n <= maxInteger
}

// appendDecimal writes one to three digits after the point.
func appendDecimal(dst []byte, n int64) ([]byte, bool) {
	if n < -maxInteger || n > maxInteger {
		return dst, false
	}
	if n < 0 {
		dst, n = append(dst, '-'), -n
	}
	dst = append(strconv.AppendInt(dst, n/1000, 10), '.')
	dst = append(dst, '0'+byte(n/100%10))
	if n%100 != 0 {
		dst = append(dst, '0'+byte(n/10%10))
	}
	if n%10 != 0 {
		dst = append(dst, '0'+byte(n%10))
	}
	return dst, true
}

func appendText(dst []byte, s string) ([]byte, bool) {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c > '~':
			return dst, false
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"'), true
}

func appendDisplay(dst []byte, s string) ([]byte, bool) {
	const hex = "0123456789abcdef"
	dst = append(dst, `%"`...)
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c > '~' || c == '%' || c == '"':
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"'), utf8.ValidString(s)
}
