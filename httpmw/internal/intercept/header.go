package intercept

import (
	"maps"
	"net/http"
	"slices"
)

// late keeps what a header was when the handler decided the status, since a server sends that and not what the handler
// makes of the map afterwards. What it changes afterwards matters all the same: trailers are set that way.
type late struct {
	frozen  http.Header
	changed http.Header
	deleted []string
}

func (l *late) freeze(h http.Header) { l.frozen = h.Clone() }

// restore makes h what it was, and keeps the difference for amend.
func (l *late) restore(h http.Header) {
	for name, values := range h {
		if was, ok := l.frozen[name]; ok && slices.Equal(was, values) {
			continue
		}
		if l.changed == nil {
			l.changed = http.Header{}
		}
		l.changed[name] = values
		delete(h, name)
	}
	for name, values := range l.frozen {
		if _, ok := h[name]; ok {
			continue
		}
		if _, ok := l.changed[name]; !ok {
			l.deleted = append(l.deleted, name)
		}
		h[name] = values
	}
}

// amend makes the changes of the handler again.
func (l *late) amend(h http.Header) {
	maps.Copy(h, l.changed)
	for _, name := range l.deleted {
		delete(h, name)
	}
	*l = late{}
}
