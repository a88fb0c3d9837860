package compress

import (
	"net/http"
	"strings"
)

// suffixed is the entity tag of a representation once it is encoded: "v1" becomes "v1-gzip". A weak tag holds for both.
func suffixed(tag, coding string) string {
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return tag
	}
	return tag[:len(tag)-1] + "-" + coding + `"`
}

// plainTags returns r or, if it names tags of ours in If-None-Match or If-Match, a copy of it in which the plain tags
// stand beside them. In If-None-Match only those count that belong to the coding chosen now: who asks whether the encoded
// form is still right, and takes it no longer, is sent the plain one.
func (m *compressor) plainTags(r *http.Request, c choice) *http.Request {
	var none, match []string
	if c.coding >= 0 && len(r.Header["If-None-Match"]) > 0 {
		none = plain(r.Header["If-None-Match"], m.Codings[c.coding:c.coding+1])
	}
	if len(r.Header["If-Match"]) > 0 {
		match = plain(r.Header["If-Match"], m.Codings)
	}
	if none == nil && match == nil {
		return r
	}
	down := r.WithContext(r.Context())
	down.Header = r.Header.Clone()
	add := func(name string, tags []string) {
		if tags != nil {
			// One line: net/http looks at the first alone.
			down.Header[name] = []string{strings.Join(append(append([]string(nil), r.Header[name]...), tags...), ", ")}
		}
	}
	add("If-None-Match", none)
	add("If-Match", match)
	return down
}

// plain returns the tags in the lines that have the suffix of one of the codings, without it. nil if there are none.
func plain(lines, codings []string) (tags []string) {
	for _, line := range lines {
		for tag := range tagsIn(line) {
			for _, coding := range codings {
				if name, ok := strings.CutSuffix(tag, "-"+coding+`"`); ok {
					tags = append(tags, name+`"`)
				}
			}
		}
	}
	return tags
}

// tagsIn yields the entity tags of a list (RFC 9110 section 8.8.3), up to the first thing that is none. A tag may hold
// commas.
func tagsIn(line string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for {
			line = strings.TrimLeft(line, " \t,")
			open := 0
			if strings.HasPrefix(line, "W/") {
				open = 2
			}
			if len(line) <= open || line[open] != '"' {
				return
			}
			end := strings.IndexByte(line[open+1:], '"')
			if end < 0 {
				return
			}
			end += open + 2
			if !yield(line[:end]) {
				return
			}
			line = line[end:]
		}
	}
}

// tagOf304 gives a 304 the tag of what the client has: its own, if that is the handler's with our suffix.
func (r *response) tagOf304(h http.Header) {
	tags := h["Etag"]
	if len(tags) == 0 || r.choice.coding < 0 {
		return
	}
	mine := suffixed(tags[0], r.m.Codings[r.choice.coding])
	for _, line := range r.req.Header["If-None-Match"] {
		for tag := range tagsIn(line) {
			if strings.TrimPrefix(tag, "W/") == mine {
				h["Etag"] = []string{mine}
				return
			}
		}
	}
}
