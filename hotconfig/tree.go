package hotconfig

// kind is what a node is, whatever wrote it: YAML, a JSON literal, or a variable.
type kind uint8

const (
	null kind = iota
	scalar
	mapping
	sequence
	refused // a fault has been reported; there is nothing more to say about it
)

// tag is the type that the text of a scalar has by itself.
type tag uint8

const (
	text     tag = iota // quoted, or nothing else
	whole               // an integer, in whatever notation
	fraction            // a number with a point or an exponent, NaN, infinity
	boolean             //
	untyped             // the value of a variable: whatever its field declares
)

// A node is a piece of configuration that remembers where it was written. Nodes are not changed once parsed, only those
// that merge has made.
type node struct {
	kind    kind
	at      position
	text    string // scalars: without quotes and escapes
	tag     tag    // scalars
	quoted  bool   // scalars
	entries []entry
	items   []*node
}

// entry is one key of a mapping.
type entry struct {
	key   string
	at    position // of the key
	value *node
}

// get returns the value of key, or nil.
func (n *node) get(key string) *node {
	for i := range n.entries {
		if n.entries[i].key == key {
			return n.entries[i].value
		}
	}
	return nil
}

// set adds or replaces key.
func (n *node) set(key string, at position, value *node) {
	for i := range n.entries {
		if n.entries[i].key == key {
			n.entries[i].at, n.entries[i].value = at, value
			return
		}
	}
	n.entries = append(n.entries, entry{key, at, value})
}

// clone returns a copy that may be changed, in all its depth.
func (n *node) clone() *node {
	c := *n
	c.entries, c.items = nil, nil
	for _, e := range n.entries {
		c.entries = append(c.entries, entry{e.key, e.at, e.value.clone()})
	}
	for _, item := range n.items {
		c.items = append(c.items, item.clone())
	}
	return &c
}

// merge returns low overlaid with high, as a tree of its own: mappings merge key by key, everything else is replaced by
// what high says. A null in high hides what low says, which resets it to the default. A merged mapping keeps the
// position of the lower one, where it is written first.
func merge(low, high *node) *node {
	if low.kind != mapping || high.kind != mapping {
		return high.clone()
	}
	out := low.clone()
	index := make(map[string]int, len(out.entries))
	for i, e := range out.entries {
		index[e.key] = i
	}
	for _, e := range high.entries {
		if i, both := index[e.key]; both {
			out.entries[i] = entry{e.key, e.at, merge(out.entries[i].value, e.value)}
		} else {
			out.entries = append(out.entries, entry{e.key, e.at, e.value.clone()})
		}
	}
	return out
}

// String names the kind of thing n is, for messages that must not show what it says.
func (n *node) String() string {
	switch {
	case n.kind == mapping:
		return "a mapping"
	case n.kind == sequence:
		return "a list"
	case n.kind == null:
		return "nothing"
	case n.tag == whole || n.tag == fraction:
		return "a number"
	case n.tag == boolean:
		return "a boolean"
	default:
		return "a text"
	}
}
