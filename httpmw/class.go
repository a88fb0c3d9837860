package httpmw

import (
	"context"
	"net/http"
	"strings"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// classNames are the values of the field, as gRPC services and Google's SRE book name them.
var classNames = [...]string{
	core.CriticalPlus: "critical-plus", core.Critical: "critical",
	core.SheddablePlus: "sheddable-plus", core.Sheddable: "sheddable",
}

// classNamed reads the value of the field; Unclassified if it is none. Capital letters and underscores are taken too.
func classNamed(text string) core.Class {
	if len(text) > len("sheddable-plus") {
		return core.Unclassified
	}
	text = strings.ReplaceAll(text, "_", "-")
	for class, name := range classNames {
		if name != "" && strings.EqualFold(name, text) {
			return core.Class(class)
		}
	}
	return core.Unclassified
}

// classKey finds the class in a context. A record answers to it as well.
type classKey struct{}

// WithClass returns a context that says how critical the calls made with it are, such as Sheddable for those of a batch
// job: client guards that shed look at it, and ClientCriticality passes it on.
func WithClass(ctx context.Context, class core.Class) context.Context {
	return context.WithValue(ctx, classKey{}, class)
}

// ClassOf returns how critical the request of ctx is: what WithClass, Criticality or Shed have said, the nearest of them;
// core.Unclassified if nobody has. Safe for concurrent use, also after the handler has returned.
func ClassOf(ctx context.Context) core.Class {
	class, _ := ctx.Value(classKey{}).(core.Class)
	return class
}

// CriticalityConfig says how critical a request is. The zero value leaves it open: guards take it as critical.
type CriticalityConfig struct {
	// Class is the class by what is asked for, such as the route or the subject. nil leaves it open.
	Class func(*http.Request) core.Class `key:"-"`
	// Header is the field in which trusted callers say how critical their request is, which goes before Class:
	// critical-plus, critical, sheddable-plus or sheddable. Anything else is taken for absent. Default Request-Criticality.
	Header string `default:"Request-Criticality"`
	// Trusted tells which requests are believed, such as FromPeers. nil believes none: everybody's own request is critical to
	// them.
	Trusted func(*http.Request) bool `key:"-"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c CriticalityConfig) Validate() error {
	return schema.Validate(c, checkField("header", c.Header))
}

// of returns the class of r.
func (c *CriticalityConfig) of(r *http.Request) core.Class {
	if lines := r.Header[c.Header]; len(lines) == 1 && c.Trusted != nil && c.Trusted(r) {
		if class := classNamed(lines[0]); class != core.Unclassified {
			return class
		}
	}
	if c.Class != nil {
		return c.Class(r)
	}
	return core.Unclassified
}

// canonical returns c with its defaults, as net/http writes the name.
func (c CriticalityConfig) canonical() (CriticalityConfig, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	c = schema.Fill(c)
	c.Header = http.CanonicalHeaderKey(c.Header)
	return c, nil
}

// Criticality returns a middleware that notes how critical a request is, for the guards behind it, for ClassOf and for
// what the handler calls in turn. Shed does so by itself; this is for a Guard that holds several.
//
// It fails if the Config does not validate.
func Criticality(c CriticalityConfig) (func(http.Handler) http.Handler, error) {
	c, err := c.canonical()
	if err != nil {
		return nil, err
	}
	return wrap("Criticality", &criticality{c}), nil
}

type criticality struct{ CriticalityConfig }

func (m *criticality) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	x.rec.class = m.of(r)
	next.ServeHTTP(w, r)
}
