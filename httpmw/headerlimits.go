package httpmw

import (
	"net/http"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// HeaderLimitsConfig is the Config of HeaderLimits. The zero value is the default.
type HeaderLimitsConfig struct {
	// Fields is how many field lines a request may have. Default 100. Range 1 to 100000.
	Fields int `default:"100" range:"1..100000"`
	// Value is the largest value of one line in bytes. Default 16384, which holds the cookies of a browser. Range 64 to
	// 16777216.
	Value int `default:"16384" range:"64..16777216"`
	// Total is how many bytes all names and values may have. Default 65536. Range 64 to 16777216.
	Total int `default:"65536" range:"64..16777216"`
	// Mode says what happens to a request above a limit. Default enforce.
	Mode core.Mode `default:"enforce" range:"enforce|shadow|disabled"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c HeaderLimitsConfig) Validate() error { return schema.Validate(c) }

// HeaderLimits returns a middleware that refuses requests with too large a header before anything parses, stores, logs or
// forwards it: they get a 431 with a problem document, and nothing of the field is sent back. http.Server.MaxHeaderBytes
// (1 MiB by default) bounds what the server itself keeps, for all fields together; raise it too if you raise Total beyond.
//
// Put it outside everything that reads fields. It does not allocate. It fails if the Config does not validate.
func HeaderLimits(c HeaderLimitsConfig) (func(http.Handler) http.Handler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return wrap("HeaderLimits", &headerLimits{schema.Fill(c)}), nil
}

type headerLimits struct{ HeaderLimitsConfig }

func (m *headerLimits) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if m.Mode != core.Disabled && m.exceeded(r.Header) && x.refuse(w, r, m.Mode, problemHeader, errorHeader) {
		return
	}
	next.ServeHTTP(w, r)
}

func (m *headerLimits) exceeded(h http.Header) bool {
	fields, total := 0, 0
	for name, values := range h {
		fields += len(values)
		for _, v := range values {
			if len(v) > m.Value {
				return true
			}
			total += len(name) + len(v)
		}
	}
	return fields > m.Fields || total > m.Total
}
