package httpmw

import (
	"fmt"
	"net/http"

	"github.com/mw-go/mw/core"
)

// ByHeader returns a key function that gives each value of a request field a cell of its own. Requests without the field
// share one, and so do those whose value is longer than longest bytes or that have the field twice. It fails for a name
// that is no field name, and unless longest is 1 to 8192.
//
// A client chooses what it sends: a field that nobody has checked before is no identity.
func ByHeader(name string, longest int) (KeyFunc, error) {
	if !isToken(name) {
		return nil, fmt.Errorf("httpmw: ByHeader: %q is no field name", name)
	}
	if longest < 1 || longest > 8192 {
		return nil, fmt.Errorf("httpmw: ByHeader: longest %d, want 1 to 8192", longest)
	}
	name = http.CanonicalHeaderKey(name)
	absent, unfit := keyOf("absent"), keyOf("unfit")
	return func(r *http.Request) core.Key {
		lines := r.Header[name]
		if name == "Host" && r.Host != "" { // where net/http keeps it
			lines = []string{r.Host}
		}
		switch {
		case len(lines) == 0:
			return absent
		case len(lines) > 1, len(lines[0]) > longest:
			return unfit
		default:
			return core.KeyOf(lines[0])
		}
	}, nil
}

// keyOf is the key of a state that no value has: values are hashed alone, and these together with another.
func keyOf(state string) core.Key { return core.KeyOf("httpmw").Join(core.KeyOf(state)) }

// BySubject returns a key function that gives each subject, such as the user or tenant that an authentication outside has
// put into the context, a cell of its own. Requests whose subject is "" share one. It panics if subject is nil.
func BySubject(subject func(*http.Request) string) KeyFunc {
	if subject == nil {
		panic("httpmw: BySubject: nil function")
	}
	anonymous := keyOf("anonymous")
	return func(r *http.Request) core.Key {
		if s := subject(r); s != "" {
			return core.KeyOf(s)
		}
		return anonymous
	}
}

// ByRoute returns a key function that gives each route of mux, by its pattern and method, a cell of its own; requests
// that none matches share one. The number of cells is that of the patterns. A guard behind the mux may pass nil: it
// goes by the pattern that has matched.
func ByRoute(mux *http.ServeMux) KeyFunc {
	unmatched := keyOf(Unmatched)
	return func(r *http.Request) core.Key {
		pattern := r.Pattern
		if pattern == "" && mux != nil {
			_, pattern = mux.Handler(r)
		}
		if pattern == "" {
			return unmatched
		}
		return core.KeyOf(pattern)
	}
}

// Join returns a key function for limits by several things at once, such as client and route. Order counts. It panics if
// there is none or one is nil.
func Join(keys ...KeyFunc) KeyFunc {
	if len(keys) == 0 {
		panic("httpmw: Join: no key function")
	}
	for _, key := range keys {
		if key == nil {
			panic("httpmw: Join: nil key function")
		}
	}
	keys = append([]KeyFunc(nil), keys...)
	return func(r *http.Request) core.Key {
		key := keys[0](r)
		for _, next := range keys[1:] {
			key = key.Join(next(r))
		}
		return key
	}
}
