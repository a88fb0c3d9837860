package sfv

import "strings"

// The bounds of what is read.
const (
	maxMembers = 1024
	maxInner   = 256
	maxParams  = 256
)

// Parser reads fields. The zero Parser is ready. What it returns is valid until its next call. Not for concurrent use.
type Parser struct {
	src   string // what is left
	list  []Item
	inner []Item
	param []Param
}

// List reads a List; lines are the lines of the field in their order, as in an http.Header. No lines, and an empty one,
// are an empty List. The error is ErrSyntax.
func (p *Parser) List(lines []string) ([]Item, error) {
	p.begin(lines)
	for first := true; p.src != ""; first = false {
		if !first && !p.comma() {
			return nil, ErrSyntax
		}
		it, ok := p.member()
		if !ok || len(p.list) == maxMembers {
			return nil, ErrSyntax
		}
		p.list = append(p.list, it)
		p.space(" \t")
	}
	return p.list, nil
}

// Item reads an Item, as List reads a List; a field without lines is none. It is not an Inner List.
func (p *Parser) Item(lines []string) (Item, error) {
	p.begin(lines)
	it, ok := p.item()
	p.space(" ")
	if !ok || p.src != "" {
		return Item{}, ErrSyntax
	}
	return it, nil
}

func (p *Parser) begin(lines []string) {
	p.list, p.inner, p.param = p.list[:0], p.inner[:0], p.param[:0]
	switch len(lines) {
	case 0:
		p.src = ""
	case 1:
		p.src = lines[0]
	default:
		p.src = strings.Join(lines, ", ")
	}
	p.space(" ")
}

// space skips any of these characters.
func (p *Parser) space(cutset string) { p.src = strings.TrimLeft(p.src, cutset) }

// next takes c if it comes next.
func (p *Parser) next(c byte) bool {
	if p.src == "" || p.src[0] != c {
		return false
	}
	p.src = p.src[1:]
	return true
}

// comma takes a comma between two members, which another one has to follow.
func (p *Parser) comma() bool {
	if !p.next(',') {
		return false
	}
	p.space(" \t")
	return p.src != ""
}

func (p *Parser) member() (it Item, ok bool) {
	if !p.next('(') {
		return p.item()
	}
	// The Parameters of the members come before those of the whole, so all of them are found by their place.
	begin := len(p.inner)
	for {
		p.space(" ")
		if p.next(')') {
			break
		}
		inner, ok := p.item()
		if !ok || len(p.inner)-begin == maxInner || p.src == "" || p.src[0] != ' ' && p.src[0] != ')' {
			return it, false
		}
		p.inner = append(p.inner, inner)
	}
	it.Inner = p.inner[begin:len(p.inner):len(p.inner)]
	if it.Inner == nil {
		it.Inner = []Item{}
	}
	it.Params, ok = p.params()
	return it, ok
}

func (p *Parser) item() (it Item, ok bool) {
	if it.Value, ok = p.value(); !ok {
		return it, false
	}
	it.Params, ok = p.params()
	return it, ok
}

// params reads what Parameters follow. Of two with one key the later value counts, in the place of the first.
func (p *Parser) params() ([]Param, bool) {
	begin := len(p.param)
	for p.next(';') {
		p.space(" ")
		key := p.take(keyLen(p.src))
		if key == "" {
			return nil, false
		}
		v := Bool(true)
		if p.next('=') {
			var ok bool
			if v, ok = p.value(); !ok {
				return nil, false
			}
		}
		if !overwrite(p.param[begin:], key, v) {
			if len(p.param)-begin == maxParams {
				return nil, false
			}
			p.param = append(p.param, Param{key, v})
		}
	}
	return p.param[begin:len(p.param):len(p.param)], true
}

func overwrite(params []Param, key string, v Value) bool {
	for i := range params {
		if params[i].Key == key {
			params[i].Value = v
			return true
		}
	}
	return false
}

// take cuts the first n bytes off.
func (p *Parser) take(n int) string {
	s := p.src[:n]
	p.src = p.src[n:]
	return s
}

// keyLen is the length of the key that s begins with, 0 if it begins with none.
func keyLen(s string) int {
	n := 0
	for n < len(s) && (lower(s[n]) || s[n] == '*' || n > 0 && (digit(s[n]) || s[n] == '_' || s[n] == '-' || s[n] == '.')) {
		n++
	}
	return n
}

// tokenLen is the length of the Token that s begins with, 0 if it begins with none.
func tokenLen(s string) int {
	n := 0
	for n < len(s) && (alpha(s[n]) || s[n] == '*' || n > 0 && (s[n] == ':' || s[n] == '/' || tchar(s[n]))) {
		n++
	}
	return n
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
func lower(c byte) bool { return 'a' <= c && c <= 'z' }
func alpha(c byte) bool { return lower(c | 0x20) }

// tchar is the tchar of RFC 9110.
func tchar(c byte) bool {
	return alpha(c) || digit(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
