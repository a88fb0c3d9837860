package hotconfig

import (
	"cmp"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/internal/suggest"
)

// A variable is one environment variable with our prefix.
type variable struct {
	name  string   // as it is in the environment
	parts []string // after the prefix, in lower case, split at "__"
	value string
	file  bool // the name ends in _FILE and the value names a file
}

// environ is the part of the environment that concerns one Live. It is read once: the environment of a running process
// changes only from inside.
type environ struct {
	prefix   string // upper case, with the underscore
	name     string // the value of APP_ENV
	vars     []variable
	warnings []string
}

var validPrefix = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*$`)
var validEnv = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// Kubernetes puts the address of every Service of a namespace into the environment of every container: for a Service
// named app these are APP_SERVICE_HOST, APP_SERVICE_PORT, APP_SERVICE_PORT_HTTP, APP_PORT, APP_PORT_80_TCP,
// APP_PORT_80_TCP_ADDR and so on, and for one named app-db the same with APP_DB. Nobody wrote those as configuration.
var (
	linkName  = regexp.MustCompile(`^([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	linkPort  = regexp.MustCompile(`^([A-Z0-9_]+_)?PORT$`)
	linkValue = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

// readEnviron picks from env, in the form of os.Environ, the variables that set fields of t. What is wrong goes to fs.
func readEnviron(prefix string, env []string, t reflect.Type, s shapes, fs *faults) *environ {
	e := &environ{prefix: strings.ToUpper(prefix) + "_"}
	known := e.known(t, s)
	given := map[string]string{}
	for _, line := range env {
		name, value, ok := strings.Cut(line, "=")
		upper := strings.ToUpper(name)
		rest, ours := strings.CutPrefix(upper, e.prefix)
		if !ok || !ours || rest == "" {
			continue
		}
		if other, twice := given[upper]; twice {
			fs.add(variablePosition(name), "", "given twice, also as "+other)
			continue
		}
		given[upper] = name
		if rest == "ENV" {
			e.setName(name, value, fs)
			continue
		}
		v := variable{name: name, parts: strings.Split(strings.ToLower(rest), "__"), value: value}
		switch what := s.resolve(t, v.parts); {
		case (linkName.MatchString(rest) && what != setsField) || (linkPort.MatchString(rest) && linkValue.MatchString(value)):
		case what == setsField:
			e.vars = append(e.vars, v)
		case what == namesFile:
			v.file = true
			last := len(v.parts) - 1
			v.parts[last] = strings.TrimSuffix(v.parts[last], "_file")
			e.vars = append(e.vars, v)
		default:
			e.unknown(v, rest, known, s.mend(t, v.parts), fs)
		}
	}
	slices.SortFunc(e.vars, func(a, b variable) int { return compareParts(a.parts, b.parts) })
	e.both(fs)
	return e
}

// variablePosition is the place of a variable. The name may be anything that somebody put into our environment.
func variablePosition(name string) position {
	printable := func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}
	if len(name) > maxPath {
		name = name[:maxPath] + "…"
	}
	return position{source: strings.Map(printable, name), rank: variableRank}
}

// setName takes the value of APP_ENV. The pattern keeps it from leading out of the directory.
func (e *environ) setName(name, value string, fs *faults) {
	if value != "" && !validEnv.MatchString(value) {
		fs.add(variablePosition(name), "", schema.Quote(value)+" is not allowed; write 1 to 32 of a-z, 0-9 and -")
		return
	}
	e.name = value
}

// both reports fields that are given as a value and as a file.
func (e *environ) both(fs *faults) {
	for i := 1; i < len(e.vars); i++ {
		a, b := e.vars[i-1], e.vars[i]
		if slices.Equal(a.parts, b.parts) {
			fs.add(variablePosition(b.name), "", "given together with "+a.name+"; one of them must go")
		}
	}
}

// compareParts orders variables so that a level comes before what is inside it, and list indexes by number.
func compareParts(a, b []string) int {
	return slices.CompareFunc(a, b, func(x, y string) int {
		i, errI := strconv.Atoi(x)
		j, errJ := strconv.Atoi(y)
		if errI == nil && errJ == nil {
			return cmp.Compare(i, j)
		}
		return cmp.Compare(x, y)
	})
}

// unknown reports a variable that sets nothing. One with "__" in it can only be ours, and one that is almost right was
// meant for us; any other may belong to somebody else whose name begins like ours, so it is only mentioned.
func (e *environ) unknown(v variable, rest string, known, mended []string, fs *faults) {
	hint := suggest.Nearest(rest, known)
	strict := strings.Contains(rest, "__") || (hint != "" && suggest.Distance(rest, hint, 2) <= 2)
	if mended != nil {
		hint = strings.ToUpper(strings.Join(mended, "__"))
	}
	if hint != "" {
		hint = " (did you mean " + e.prefix + hint + "?)"
	}
	if strict {
		fs.add(variablePosition(v.name), "", "unknown variable"+hint)
		return
	}
	e.warnings = append(e.warnings, variablePosition(v.name).source+": unknown variable, ignored"+hint)
}
