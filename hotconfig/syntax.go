package hotconfig

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v4"
)

// complaints translates the messages of the YAML library. They are never passed on as they are: some quote the file,
// where a secret may stand. What is not in the table becomes "not valid YAML".
var complaints = []struct {
	has, say  string
	atContext bool // the beginning of what is broken says more than the place where reading gave up
}{
	{"unexpected end of stream", "a quote opened here is not closed", true},
	{"did not find expected ',' or", "a bracket opened here is not closed", true},
	{"mapping values are not allowed", `": " is not allowed here; check the indentation, or quote the value`, false},
	{"cannot start any token", "a value cannot begin with this character; quote it (and indent with spaces, not tabs)", false},
	{"tab character", "indent with spaces, not tabs", false},
	{"did not find expected key", "a key is expected here; check the indentation", false},
	{"did not find expected '-'", "a list item is expected here; check the indentation", false},
	{"could not find expected ':'", `":" is expected after the key`, true},
	{"unknown escape", "unknown escape after a backslash; single quotes need none", false},
	{"unknown anchor", "anchors and aliases are not supported; write the value out", false},
	{"max depth", "nested too deeply", false},
}

// syntax reports an error of the YAML library.
func (p *parser) syntax(err error) {
	at, reason := p.at(1, 1), "not valid YAML"
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		p.fs.add(at, "", reason)
		return
	}
	mark := le.Mark
	for _, c := range complaints {
		if strings.Contains(le.Message, c.has) {
			reason = "not valid YAML: " + c.say
			if c.atContext && le.ContextMark.Line > 0 {
				mark = le.ContextMark
			}
			break
		}
	}
	p.fs.add(p.at(mark.Line, mark.Column), "", reason)
}
