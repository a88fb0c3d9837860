package hotconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/mw-go/mw/core/schema"
)

const (
	maxSize  = 1 << 20 // bytes of one layer file
	maxDepth = 64      // mappings and lists inside one another
)

// parseFile reads one layer. It accepts one YAML document and only the part of the language that means the same to
// everybody: no anchors, aliases, merge keys or tags, no key twice. A file with no document in it, or with a null
// document, gives a nil node. What is wrong goes to fs; ok is false if the file as a whole could not be understood.
func parseFile(name string, rank int, data []byte, fs *faults) (root *node, ok bool) {
	p := parser{name: name, rank: rank, fs: fs}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !p.readable(data) {
		return nil, false
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, true
	}
	if err != nil {
		p.syntax(err)
		return nil, false
	}
	if err := dec.Decode(&second); err == nil {
		p.fail(&second, "", "a second document begins here; a layer is one document")
		return nil, false
	} else if !errors.Is(err, io.EOF) {
		p.syntax(err)
		return nil, false
	}
	if len(doc.Content) == 0 {
		return nil, true
	}
	root = p.convert(doc.Content[0], "", 1)
	switch root.kind {
	case mapping:
		return root, true
	case null:
		return nil, true
	case refused:
	default:
		fs.add(root.at, "", "a layer is a mapping of keys, found "+root.String())
	}
	return nil, false
}

type parser struct {
	name string
	rank int
	fs   *faults
}

func (p *parser) at(line, col int) position {
	return position{source: p.name, rank: p.rank, line: max(line, 1), col: max(col, 1)}
}

func (p *parser) fail(y *yaml.Node, path, format string, args ...any) {
	p.fs.add(p.at(y.Line, y.Column), path, fmt.Sprintf(format, args...))
}

// readable rejects bytes that are no YAML at all, with the position of the first, which the YAML library does not tell.
func (p *parser) readable(data []byte) bool {
	if len(data) > maxSize {
		p.fs.add(position{source: p.name, rank: p.rank}, "", fmt.Sprintf("larger than %d bytes", maxSize))
		return false
	}
	line, col := 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			p.fs.add(p.at(line, col), "", "not UTF-8")
			return false
		case (r < ' ' && r != '\t' && r != '\n' && r != '\r') || r == 0x7f:
			p.fs.add(p.at(line, col), "", fmt.Sprintf("control character %U", r))
			return false
		}
		i, col = i+size, col+1
		if r == '\n' {
			line, col = line+1, 1
		}
	}
	return true
}

// convert makes a node of a YAML node.
func (p *parser) convert(y *yaml.Node, path string, depth int) *node {
	n := &node{at: p.at(y.Line, y.Column), kind: refused}
	switch {
	case depth > maxDepth:
		p.fail(y, path, "nested deeper than %d", maxDepth)
	case y.Kind == yaml.AliasNode || y.Anchor != "":
		p.fail(y, path, "anchors and aliases are not supported; write the value out")
	case y.Style&yaml.TaggedStyle != 0:
		p.fail(y, path, "tags are not supported; the type of a value is known from its key")
	case y.Kind == yaml.MappingNode:
		n.kind = mapping
		p.mapping(n, y, path, depth)
	case y.Kind == yaml.SequenceNode:
		n.kind = sequence
		for i, item := range y.Content {
			n.items = append(n.items, p.convert(item, schema.At(path, i), depth+1))
		}
	default:
		p.scalar(n, y, path)
	}
	return n
}

func (p *parser) scalar(n *node, y *yaml.Node, path string) {
	n.kind, n.text = scalar, y.Value
	n.quoted = y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	switch y.Tag {
	case "!!null":
		n.kind = null
	case "!!int":
		n.tag = whole
	case "!!float":
		n.tag = fraction
	case "!!bool":
		n.tag = boolean
	case "!!str", "!!timestamp": // 2026-11-22 is text to us: a field for times reads it as such
		n.tag = text
	case "!!merge": // "<<" where a value stands
		n.tag = text
	default: // a lone "!" in front, for which the library sets no style
		n.kind = refused
		p.fail(y, path, "tags are not supported; the type of a value is known from its key")
	}
}

func (p *parser) mapping(n *node, y *yaml.Node, path string, depth int) {
	first := map[string]int{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		key, ok := p.key(k, path)
		if !ok {
			continue
		}
		name := schema.Join(path, key)
		if line, twice := first[key]; twice {
			p.fail(k, name, "key given twice, first in line %d", line)
			continue
		}
		first[key] = k.Line
		n.entries = append(n.entries, entry{key, p.at(k.Line, k.Column), p.convert(v, name, depth+1)})
	}
}

// key returns the text of a mapping's key.
func (p *parser) key(k *yaml.Node, path string) (string, bool) {
	switch {
	case k.Anchor != "" || k.Kind == yaml.AliasNode:
		p.fail(k, path, "anchors and aliases are not supported")
	case k.Tag == "!!merge":
		p.fail(k, path, "merge keys are not supported; write the keys out")
	case k.Style&yaml.TaggedStyle != 0 || k.Tag == "!":
		p.fail(k, path, "tags are not supported")
	case k.Kind != yaml.ScalarNode:
		p.fail(k, path, "a key must be a text")
	case k.Tag != "!!str" && k.Tag != "!!timestamp":
		p.fail(k, path, "a key must be a text; write %s", schema.Quote(k.Value))
	case k.Value == "":
		p.fail(k, path, "a key must not be empty")
	default:
		return k.Value, true
	}
	return "", false
}
