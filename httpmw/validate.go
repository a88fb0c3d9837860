package httpmw

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/internal/strictjson"
)

// ValidateConfig is the Config of Validate. The zero value is the default.
type ValidateConfig struct {
	// Max is the largest body in bytes, after Decompress if that stands outside. It is held in memory as a whole.
	// Default 1048576, 1 MiB. Range 1 to 1073741824.
	Max int64 `default:"1048576" range:"1..1073741824"`
	// Depth is how deep arrays and objects may be nested. Default 64. Range 1 to 10000.
	Depth int `default:"64" range:"1..10000"`
	// Types are the media types accepted, without parameters, such as application/merge-patch+json. Default
	// application/json alone.
	Types []string
	// Mode says what happens to a body that is refused. In shadow mode it is passed on as it came, and Valid has no
	// value. In disabled mode nothing is read. Default enforce.
	Mode core.Mode `default:"enforce" range:"enforce|shadow|disabled"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c ValidateConfig) Validate() error {
	var faults []error
	for i, t := range c.Types {
		if bare, params, err := mime.ParseMediaType(t); err != nil || len(params) > 0 || bare != t || !strings.Contains(t, "/") {
			faults = append(faults, schema.Fault(schema.At("types", i), t, "a media type in lower case without parameters"))
		}
	}
	return schema.Validate(c, faults...)
}

// Validate returns a middleware that decodes the JSON body of every request into a T, strictly, and refuses what is not
// exactly that; Valid gives the value to the handler. The answers are problem documents, and all faults of a kind come
// at once:
//
//	status  when
//	400     the body is empty, is not JSON, not UTF-8 or more than one value, has a byte order mark, half of a surrogate
//	        pair or a name twice in one object, or is nested too deep; or it breaks off
//	408     the server's read deadline passed
//	413     the body is larger than Max
//	415     the Content-Type is not one of Types or names a charset other than UTF-8, or there is a Content-Encoding that
//	        nobody outside has decoded; nothing of the body is read
//	422     a name is not one of T's, letter for letter; a value is of another kind or out of the range of its Go type,
//	        or the body is null; or T's Validate method has refused the value
//
// A 400 or 422 about a part of the body has a member errors, a list of objects with pointer, a JSON Pointer as a URI
// fragment such as "#/items/3/price", and detail. Names that the client sent are in the pointer, values never.
//
// If T or *T has a method Validate() error, it is called on the decoded value. The *FieldErrors in its error, and the
// faults of package schema, whose paths are then taken for names in the JSON, become members of errors; what else the
// error says is for the program and does not reach the client. Tags, embedded structs, UnmarshalJSON and UnmarshalText mean
// what they do for encoding/json; null for a part of the body counts as if it were absent.
//
// The handler may read the body, too: it is there once more. It fails if the Config does not validate, or if
// encoding/json cannot decode into a T.
func Validate[T any](c ValidateConfig) (func(http.Handler) http.Handler, error) {
	m, err := newValidator[T](c)
	if err != nil {
		return nil, err
	}
	return wrap("Validate", m), nil
}

// Valid returns the value that Validate[T] decoded for the request that ctx belongs to. It is false if that middleware did
// not run, or let the request pass in shadow or disabled mode. Safe for concurrent use, also after the handler has
// returned; what the value points to is shared.
func Valid[T any](ctx context.Context) (T, bool) {
	if rec := recordOf(ctx); rec != nil {
		for _, v := range rec.valid {
			if v, ok := v.(*T); ok {
				return *v, true
			}
		}
	}
	var zero T
	return zero, false
}

// ValidHandler is a handler that is called with the value that Validate[T] would give it, for routes that each take a type
// of their own. The Mode of the Config is enforce. It fails as Validate does, and panics if h is nil.
//
//	mux.Handle("POST /orders", mw.Must(httpmw.ValidHandler(httpmw.ValidateConfig{}, placeOrder)))
func ValidHandler[T any](c ValidateConfig, h func(http.ResponseWriter, *http.Request, T)) (http.Handler, error) {
	if h == nil {
		panic("httpmw: ValidHandler: nil handler")
	}
	m, err := newValidator[T](c)
	if err == nil && m.Mode != core.Enforce {
		err = schema.Errors{schema.Fault("mode", c.Mode, "enforce: without it there may be no value to call the handler with")}
	}
	if err != nil {
		return nil, err
	}
	return wrap("Validate", m)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, _ := Valid[T](r.Context())
		h(w, r, v)
	})), nil
}

// validator is the middleware of one type. decode makes a *T, so that only Validate is generic.
type validator struct {
	ValidateConfig
	shape  *strictjson.Shape
	fresh  func() any
	accept string // the types, for the answer to another one
}

func newValidator[T any](c ValidateConfig) (*validator, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = schema.Fill(c)
	if len(c.Types) == 0 {
		c.Types = []string{"application/json"}
	}
	shape, err := strictjson.Of(reflect.TypeFor[T]())
	if err != nil {
		return nil, fmt.Errorf("httpmw: Validate[%v]: %w", reflect.TypeFor[T](), err)
	}
	return &validator{c, shape, func() any { return new(T) }, strings.Join(c.Types, ", ")}, nil
}

func (m *validator) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if m.Mode != core.Disabled {
		v, p, errorType := m.read(w, r)
		if p == nil {
			x.rec.valid = append(x.rec.valid, v)
		} else if x.refuse(w, r, m.Mode, p, errorType) {
			return
		}
	}
	next.ServeHTTP(w, r)
}

// read decodes the body, or says what to answer.
func (m *validator) read(w http.ResponseWriter, r *http.Request) (v any, p *problem, errorType string) {
	if field, ok := m.media(r.Header); !ok {
		if m.Mode == core.Enforce {
			value := "identity"
			if field == "Accept" {
				value = m.accept
			}
			w.Header()[field] = []string{value}
		}
		return nil, problemMediaType, errorMediaType
	}
	data, err := readBody(w, r, m.Max)
	if err != nil {
		p, errorType = bodyProblem(err)
		return nil, p, errorType
	}
	v = m.fresh()
	if err := m.shape.Decode(data, v, m.Depth); err != nil {
		p, errorType = jsonProblem(err)
		return nil, p, errorType
	}
	if err := ownValidate(v); err != nil {
		return nil, faultProblem(fieldErrors(err)), errorBodyInvalid
	}
	return v, nil, ""
}

// media reports whether the body is of a type that is accepted, and not coded; else the field of the answer that says
// what would be.
func (m *validator) media(h http.Header) (field string, ok bool) {
	for _, coding := range h["Content-Encoding"] {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return "Accept-Encoding", false
		}
	}
	lines := h["Content-Type"]
	if len(lines) != 1 { // two could be read in two ways
		return "Accept", false
	}
	kind, params, err := mime.ParseMediaType(lines[0])
	if err != nil {
		return "Accept", false
	}
	if charset, named := params["charset"]; named && !strings.EqualFold(charset, "utf-8") {
		return "Accept", false
	}
	for _, t := range m.Types {
		if t == kind {
			return "", true
		}
	}
	return "Accept", false
}

// ownValidate calls the Validate method of what v points to, if it has one. A nil pointer in there cannot be: null is
// refused.
func ownValidate(v any) error {
	type validates interface{ Validate() error }
	if own, ok := v.(validates); ok {
		return own.Validate()
	}
	if own, ok := reflect.ValueOf(v).Elem().Interface().(validates); ok { // T is itself a pointer or an interface
		return own.Validate()
	}
	return nil
}
