package series

import (
	"strings"
	"sync/atomic"
)

// RPC is the key of a call over gRPC: the label values that its metrics have in common.
type RPC struct {
	Method    string // without the slash in front, or Other
	Code      string // the name, or Other
	ErrorType string
	Target    Host // of a client's call
}

// RPCMethod is a method that metrics tell apart, or all others.
type RPCMethod struct {
	Name   string // such as shop.Orders/Place, or Other
	active atomic.Int64
	_      [104]byte // keeps the counts of two methods on different cache lines
}

// Add adds n to the calls in flight.
func (m *RPCMethod) Add(n int64) { m.active.Add(n) }

// Split cuts the name into service and method.
func (m *RPCMethod) Split() (service, method string) {
	if i := strings.LastIndexByte(m.Name, '/'); i >= 0 {
		return m.Name[:i], m.Name[i+1:]
	}
	return m.Name, m.Name // Other
}

// RPCMethods are those that metrics of gRPC tell apart, up to a bound. Make one with NewRPCMethods. Safe for concurrent use.
type RPCMethods struct {
	known map[string]bool // nil: all are
	seen  *Table[string, *RPCMethod]
	other *RPCMethod
}

// NewRPCMethods returns an empty set for at most most methods. If there are known ones, such as /shop.Orders/Place, all others
// are one.
func NewRPCMethods(most int, known []string) *RPCMethods {
	m := &RPCMethods{other: &RPCMethod{Name: Other}}
	if len(known) > 0 {
		m.known = make(map[string]bool, len(known))
		for _, full := range known {
			m.known[full] = true
		}
	}
	m.seen = New(most, func(full string) *RPCMethod { return &RPCMethod{Name: strings.TrimPrefix(full, "/")} },
		func() *RPCMethod { return m.other })
	return m
}

// Of returns the method of a call.
func (m *RPCMethods) Of(full string) *RPCMethod {
	if m.known != nil && !m.known[full] {
		return m.other
	}
	return m.seen.Get(full, strings.Clone)
}

// Each calls f with the calls in flight of each method that was seen, and of the others.
func (m *RPCMethods) Each(f func(name string, active int64)) {
	m.seen.Each(func(one *RPCMethod) {
		if one != m.other {
			f(one.Name, one.active.Load())
		}
	})
	f(Other, m.other.active.Load())
}

// maxCode is the last code that gRPC knows.
const maxCode = 16

// RPCCode is the label of a status code: its name. A server may invent any of 2^32 codes, which are all one.
func RPCCode(code uint32, name string) string {
	if code > maxCode {
		return Other
	}
	return name
}

// RPCError is the error.type of a call, given what went wrong in one word: on a client any failure, on a server those of
// codes for which OpenTelemetry holds the server responsible, and whatever is no code.
func RPCError(server bool, code uint32, name, errorType string) string {
	switch {
	case errorType != name:
		return errorType
	case code > maxCode:
		return Other
	case !server:
		return errorType
	}
	switch code {
	case 2, 4, 12, 13, 14, 15: // Unknown, DeadlineExceeded, Unimplemented, Internal, Unavailable, DataLoss
		return errorType
	default:
		return ""
	}
}

// Targets are those that a client's metrics tell apart, up to a bound; all beyond are one.
type Targets struct{ seen *Table[string, Host] }

// NewTargets returns an empty set for at most most targets.
func NewTargets(most int) Targets {
	return Targets{New(most, hostOf, func() Host { return Host{Other, ""} })}
}

// Of returns the host and port of a target as dialled, such as dns:///users.example:443; the port is empty if it names none.
func (t Targets) Of(target string) Host { return t.seen.Get(target, strings.Clone) }

// schemes are those that gRPC takes without slashes behind.
var schemes = [...]string{"dns", "passthrough", "xds", "ipv4", "ipv6", "vsock"}

func hostOf(target string) Host {
	for _, scheme := range [...]string{"unix:", "unix-abstract:"} {
		if path, ok := strings.CutPrefix(target, scheme); ok {
			return Host{Name: strings.TrimPrefix(path, "//")}
		}
	}
	endpoint := target
	if _, rest, ok := strings.Cut(target, "://"); ok {
		_, endpoint, _ = strings.Cut(rest, "/") // behind the authority
	} else if scheme, rest, ok := strings.Cut(target, ":"); ok {
		for _, s := range schemes {
			if s == scheme {
				endpoint = rest
			}
		}
	}
	return split(endpoint)
}

// split cuts an endpoint into host and port.
func split(endpoint string) Host {
	i := strings.LastIndexByte(endpoint, ':')
	switch {
	case i < 0, strings.HasSuffix(endpoint, "]"): // no port
		return Host{Name: strings.Trim(endpoint, "[]")}
	case strings.IndexByte(endpoint, ':') != i && endpoint[0] != '[': // an IPv6 address by itself
		return Host{Name: endpoint}
	default:
		return Host{strings.Trim(endpoint[:i], "[]"), endpoint[i+1:]}
	}
}
