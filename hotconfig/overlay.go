package hotconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/mw-go/mw/core/schema"
)

// overlay writes the variables into the merged tree of the files. values holds the value of each, which for a _FILE
// variable is the content of the file.
func (s shapes) overlay(root *node, t reflect.Type, vars []variable, values map[string]string, fs *faults) {
	for _, v := range vars {
		value, ok := values[v.name]
		if !ok {
			continue // its file could not be read, and that has been reported
		}
		w := writer{shapes: s, at: variablePosition(v.name), value: value, fs: fs}
		w.write(root, schema.Field{Type: t}, "", v.parts)
	}
}

// A writer puts one variable in its place.
type writer struct {
	shapes shapes
	at     position
	value  string
	fs     *faults
}

// write goes down one level. n is the node of what f describes, of the right kind or none of our business: then the
// decoder will complain about the file.
func (w *writer) write(n *node, f schema.Field, path string, parts []string) {
	part, rest := parts[0], parts[1:]
	switch shape := f.Shape(); {
	case shape == schema.Struct && n.kind == mapping:
		for _, inner := range w.shapes.of(f.Type) {
			if inner.Name == part {
				w.child(n.get(part), inner, schema.Join(path, part), rest, func(c *node) { n.set(part, w.at, c) })
			}
		}
	case shape == schema.Map && n.kind == mapping:
		key, ok := w.key(n, path, part)
		if ok {
			w.child(n.get(key), f.Elem(), schema.Join(path, key), rest, func(c *node) { n.set(key, w.at, c) })
		}
	case shape == schema.List && n.kind == sequence:
		i, _ := strconv.Atoi(part)
		name := schema.At(path, i)
		switch {
		case i < len(n.items):
			w.child(n.items[i], f.Elem(), name, rest, func(c *node) { n.items[i] = c })
		case i == len(n.items):
			w.child(nil, f.Elem(), name, rest, func(c *node) { n.items = append(n.items, c) })
		default:
			w.fs.add(w.at, name, fmt.Sprintf("the list has %d elements, so the next index is %d", len(n.items), len(n.items)))
		}
	}
}

// child writes below old, the present value of f, or replaces it by calling put if there are no parts left.
func (w *writer) child(old *node, f schema.Field, path string, parts []string, put func(*node)) {
	if len(parts) > 0 {
		if old == nil || old.kind == null {
			old = &node{at: w.at, kind: mapping}
			if f.Shape() == schema.List {
				old.kind = sequence
			}
			put(old)
		}
		w.write(old, f, path, parts)
		return
	}
	if f.Shape() == schema.Scalar {
		put(&node{at: w.at, kind: scalar, tag: untyped, text: w.value})
		return
	}
	n, err := parseJSON(w.value, w.at)
	switch {
	case err != nil:
		w.fs.add(w.at, path, "write "+wanted(f)+" in JSON, or set its parts one by one; "+err.Error())
	case old != nil:
		put(merge(old, n))
	default:
		put(n)
	}
}

// key finds the entry of a map that part means: the one there is, without regard to case and with "-" the same as "_",
// which a variable's name cannot have, else a new one.
func (w *writer) key(n *node, path, part string) (string, bool) {
	found, count := part, 0
	for _, e := range n.entries {
		if strings.ReplaceAll(strings.ToLower(e.key), "-", "_") == part {
			found = e.key
			count++
		}
	}
	if count > 1 {
		w.fs.add(w.at, schema.Join(path, part), "more than one key is written like this in a variable; set it in a file")
	}
	return found, count <= 1
}

// parseJSON reads a JSON literal into a node. Its errors do not repeat the text.
func parseJSON(s string, at position) (*node, error) {
	dec := json.NewDecoder(bytes.NewReader([]byte(s)))
	dec.UseNumber()
	n, err := jsonValue(dec, at, 1)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errNotJSON
		}
	}
	if err != nil && !errors.As(err, new(jsonFault)) {
		err = errNotJSON
	}
	return n, err
}

// jsonFault is an error of ours, as opposed to those of encoding/json, which may quote the text.
type jsonFault string

func (f jsonFault) Error() string { return string(f) }

const errNotJSON = jsonFault("this is not JSON")

func jsonValue(dec *json.Decoder, at position, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, jsonFault("nested deeper than " + strconv.Itoa(maxDepth))
	}
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	n := &node{at: at, kind: scalar}
	switch x := token.(type) {
	case nil:
		n.kind = null
	case bool:
		n.tag, n.text = boolean, strconv.FormatBool(x)
	case string:
		n.text, n.quoted = x, true
	case json.Number:
		n.tag, n.text = whole, x.String()
		if strings.ContainsAny(n.text, ".eE") {
			n.tag = fraction
		}
	case json.Delim:
		n.kind = mapping
		if x == '[' {
			n.kind = sequence
		}
		for dec.More() {
			if err := jsonElement(dec, n, depth); err != nil {
				return nil, err
			}
		}
		_, err = dec.Token() // the closing bracket
	}
	return n, err
}

// jsonElement reads one element of a list, or one key and its value.
func jsonElement(dec *json.Decoder, n *node, depth int) error {
	key := ""
	if n.kind == mapping {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		key, _ = token.(string)
		if n.get(key) != nil {
			return jsonFault("key " + schema.Quote(key) + " is given twice")
		}
	}
	c, err := jsonValue(dec, n.at, depth+1)
	if err != nil {
		return err
	}
	if n.kind == mapping {
		n.entries = append(n.entries, entry{key, n.at, c})
	} else {
		n.items = append(n.items, c)
	}
	return nil
}
