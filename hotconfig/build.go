package hotconfig

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/mw-go/mw/core/schema"
)

// built is what a reading means.
type built struct {
	value  reflect.Value       // pointer to the configuration, without defaults
	where  map[string]position // of every path that is set
	filled []bool              // by layer: the file said something
}

// build parses and merges a reading and decodes it. last is the filled of the version in force, nil if there is none.
func (s *source) build(r *reading, last []bool, fs *faults) *built {
	sh := shapes{}
	root := &node{kind: mapping, at: position{source: s.layers[0].name, line: 1, col: 1}}
	b := &built{value: reflect.New(s.typ), where: map[string]position{}}
	trees, whole := make([]*node, len(s.layers)), true
	for rank, l := range s.layers {
		tree, ok := s.parse(rank, l, r.files[rank], last != nil && last[rank], fs)
		whole = whole && ok
		trees[rank] = tree
		b.filled = append(b.filled, tree != nil)
		if tree != nil {
			root = merge(root, tree)
		}
	}
	sh.overlay(root, s.typ, s.env.vars, r.values, fs)
	d := decoder{shapes: sh, typ: s.typ, root: root, fs: fs}
	for _, tree := range trees {
		// Each layer by itself first: what a higher one hides must be right too, or it will be wrong where that one
		// is not used.
		if tree != nil {
			d.structure("", s.typ, tree, tree.at, reflect.New(s.typ).Elem())
		}
	}
	if whole { // else everything in the broken file would be reported as missing
		d.where = b.where
		d.structure("", s.typ, root, root.at, b.value.Elem())
	}
	return b
}

// parse reads one layer. had tells that it said something in the version in force: then it must not be silent now. An
// interrupted copy or a full disk is likelier than somebody who means to give up every setting of a file.
func (s *source) parse(rank int, l layer, c content, had bool, fs *faults) (tree *node, ok bool) {
	if c.failed {
		return nil, false
	}
	tree, ok = parseFile(l.name, rank, c.data, fs)
	if !ok || tree != nil || !had {
		return tree, ok
	}
	reason := "was not empty before and is now; write {} if that is meant"
	if !c.exists {
		reason = "was there before and is gone"
	}
	fs.add(position{source: l.name, rank: rank}, "", reason)
	return nil, false
}

// check runs the rules that concern more than one field: those of the structs inside (schema.Validate) and those of the
// configuration itself, if cfg, a pointer to it, has Validate() error. They see the defaults filled in. A panic in such a
// method is a fault like any other, because a reload must not end the process.
func (s *source) check(cfg any, b *built, fs *faults) {
	report := func(err error) {
		for _, e := range schema.Flatten("", err) {
			at, path := b.nearest(e.Path), e.Path
			if at.source == "" {
				at = position{source: s.layers[0].name}
			}
			fs.addErr(at, path, e.Reason(), e)
		}
	}
	defer func() {
		if p := recover(); p != nil {
			report(panicError("Validate", p))
		}
	}()
	report(schema.Validate(cfg))
	if v, ok := cfg.(interface{ Validate() error }); ok {
		report(v.Validate())
	}
}

// nearest returns the position of path, or of the innermost thing around it that is set.
func (b *built) nearest(path string) position {
	best, found := position{}, -1
	for known, at := range b.where {
		inside := known == path || (strings.HasPrefix(path, known) && strings.ContainsAny(path[len(known):len(known)+1], ".["))
		if inside && len(known) > found {
			best, found = at, len(known)
		}
	}
	return best
}

// panicError is an error for a panic in code that was given to us.
func panicError(what string, p any) error {
	err, ok := p.(error)
	if !ok {
		err = errors.New(fmt.Sprint(p))
	}
	return fmt.Errorf("panic in %s: %w", what, err)
}
