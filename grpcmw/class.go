package grpcmw

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/mw-go/mw/core"
)

// classNames are the values of the metadata, as HTTP services and Google's SRE book name them.
var classNames = [...]string{
	core.CriticalPlus: "critical-plus", core.Critical: "critical",
	core.SheddablePlus: "sheddable-plus", core.Sheddable: "sheddable",
}

const maxClass = len("sheddable-plus")

// classNamed reads a value; Unclassified if it is none. Capital letters and underscores are taken too.
func classNamed(text string) core.Class {
	if len(text) > maxClass {
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

// classKey finds the class in a context.
type classKey struct{}

// WithClass returns a context that says how critical the calls made with it are, such as core.Sheddable for those of a batch
// job: guards of a client that shed look at it, and Criticality passes it on.
func WithClass(ctx context.Context, class core.Class) context.Context {
	return context.WithValue(ctx, classKey{}, class)
}

// ClassOf returns how critical the call of ctx is: what WithClass or Criticality have said, the nearest of them;
// core.Unclassified if nobody has. Safe for concurrent use, also after the handler has returned. It is a Class for a Guard
// of a client.
func ClassOf(ctx context.Context) core.Class {
	class, _ := ctx.Value(classKey{}).(core.Class)
	return class
}

// ClassConfig says how critical a call is. The zero value leaves it open: guards take it as critical.
type ClassConfig struct {
	// Class is the class by what is asked for. nil leaves it open.
	Class func(ctx context.Context, i Info) core.Class
	// Key is the metadata key, in lower case, by which trusted callers say how critical their call is, which goes before
	// Class: critical-plus, critical, sheddable-plus or sheddable. Anything else is taken for absent. Default
	// request-criticality.
	Key string
	// Trusted tells which calls are believed, such as those of peers with a certificate. nil believes none: everybody's own
	// call is critical to them.
	Trusted func(ctx context.Context, i Info) bool
	// KeepRetries leaves calls that are a further attempt of their caller's, by grpc-previous-rpc-attempts, in their class.
	// Default false: they are the first to go, core.Sheddable, for their callers have had a turn, and more attempts are
	// what keeps an overload alive.
	KeepRetries bool
}

// ByClass returns the function for GuardConfig.Class of a server's guards, and for ServerConfig.Class, that finds the class of
// a call as c says.
func ByClass(c ClassConfig) func(ctx context.Context, i Info) core.Class {
	c.fill()
	return func(ctx context.Context, i Info) core.Class { return c.of(ctx, i) }
}

func (c *ClassConfig) fill() {
	if c.Key == "" {
		c.Key = "request-criticality"
	}
	if c.Key != strings.ToLower(c.Key) || strings.HasPrefix(c.Key, "grpc-") || strings.HasSuffix(c.Key, "-bin") {
		panic("grpcmw: Criticality: " + c.Key + " is no metadata key: want lower case, not grpc-, not -bin")
	}
}

func (c *ClassConfig) of(ctx context.Context, i Info) core.Class {
	if !c.KeepRetries && incomingAttempt(ctx) > 1 {
		return core.Sheddable
	}
	return c.said(ctx, i)
}

// said is the class apart from which attempt it is.
func (c *ClassConfig) said(ctx context.Context, i Info) core.Class {
	if v := metadata.ValueFromIncomingContext(ctx, c.Key); len(v) == 1 && c.Trusted != nil && c.Trusted(ctx, i) {
		if class := classNamed(v[0]); class != core.Unclassified {
			return class
		}
	}
	if c.Class != nil {
		return c.Class(ctx, i)
	}
	return core.Unclassified
}

// Criticality returns the policy that carries along how critical a call is, so that what a handler calls is shed with the
// handler's own call. On a server it notes the class, for ClassOf; that the call is a further attempt is left out, for what
// it calls in turn is not. On a client it tells the next service what ClassOf says, and without a class it takes the key off
// the outgoing metadata: a proxy would otherwise pass on, as its own word, what its client wrote. At most one Config.
func Criticality(c ...ClassConfig) *Interceptor {
	config := atMostOne("Criticality", c)
	config.fill()
	return single(&criticality{config})
}

type criticality struct{ ClassConfig }

func (*criticality) layer() string { return "Criticality" }

func (m *criticality) server(c *serverCall, at int) error {
	class := m.said(c.ctx, Info{Method: c.method, Stream: c.info != nil})
	if class == core.Unclassified {
		return c.next(at)
	}
	outer := c.ctx
	c.ctx = WithClass(outer, class)
	defer func() { c.ctx = outer }()
	return c.next(at)
}

func (m *criticality) unaryClient(ctx context.Context, c *clientCall, at int, req, reply any, opts []grpc.CallOption) error {
	return c.unary(m.outgoing(ctx), at+1, req, reply, opts)
}

func (m *criticality) streamClient(ctx context.Context, c *clientCall, at int, opts []grpc.CallOption) (grpc.ClientStream, error) {
	return c.stream(m.outgoing(ctx), at+1, opts)
}

// outgoing is the context with the class of the call in its metadata, and no other.
func (m *criticality) outgoing(ctx context.Context) context.Context {
	class := ClassOf(ctx)
	if int(class) >= len(classNames) {
		class = core.Unclassified
	}
	md, ok := metadata.FromOutgoingContext(ctx)
	has := ok && len(md[m.Key]) > 0
	switch {
	case has && class == core.Unclassified:
		delete(md, m.Key) // md is a copy
		return metadata.NewOutgoingContext(ctx, md)
	case has:
		md[m.Key] = []string{classNames[class]}
		return metadata.NewOutgoingContext(ctx, md)
	case class != core.Unclassified:
		return metadata.AppendToOutgoingContext(ctx, m.Key, classNames[class])
	default:
		return ctx
	}
}
