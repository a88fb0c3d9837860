package hotconfig

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/mw-go/mw/core/schema"
)

// Every kind of mistake in a file, and exactly what is said about it.
func TestWhatIsSaidAboutBadFiles(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"unknown key": {"prot: 1\nlisten_address: x\n", `
default.yaml:1:1: prot: unknown key (did you mean "port"?)
default.yaml:2:1: listen_address: unknown key`},
		"unknown key, other case":        {"Port: 1\n", `default.yaml:1:1: Port: unknown key (did you mean "port"?)`},
		"unknown key, swapped letters":   {"pool:\n  max_oepn: 1\n", `default.yaml:2:3: pool.max_oepn: unknown key (did you mean "max_open"?)`},
		"unknown key, of another level":  {"breakers:\n  payments: {failures: 2}\nopen_for: 3s\n", `default.yaml:3:1: open_for: unknown key (exists at breakers.payments.open_for)`},
		"unknown key, no entry yet":      {"open_for: 3s\n", `default.yaml:1:1: open_for: unknown key (exists at breakers.<name>.open_for)`},
		"unknown key, almost another's":  {"max-opem: 3\n", `default.yaml:1:1: max-opem: unknown key (did you mean pool.max_open?)`},
		"text for a number":              {"port: http\nsmall: \"3\"\n", "default.yaml:1:7: port: \"http\" is not a whole number (allowed: 1..65535)\ndefault.yaml:2:8: small: \"3\" is a text; write it without quotes"},
		"number for a text":              {"name: 12345\nnote: 1.5\nhosts: [a, 0o17, true]\n", "default.yaml:1:7: name: \"12345\" is a number, not a text; put it in quotes\ndefault.yaml:2:7: note: \"1.5\" is a number, not a text; put it in quotes\ndefault.yaml:3:12: hosts[1]: \"0o17\" is a number, not a text; put it in quotes\ndefault.yaml:3:18: hosts[2]: \"true\" is a boolean, not a text; put it in quotes"},
		"fraction for an integer":        {"port: 5432.7\n", `default.yaml:1:7: port: "5432.7" is not a whole number (allowed: 1..65535)`},
		"yes":                            {"debug: yes\n", `default.yaml:1:8: debug: "yes" is not true or false`},
		"On":                             {"debug: On\n", `default.yaml:1:8: debug: "On" is not true or false`},
		"True":                           {"debug: True\n", `default.yaml:1:8: debug: "True" is not true or false`},
		"quoted true":                    {"debug: 'true'\n", `default.yaml:1:8: debug: "true" is a text; write it without quotes`},
		"number for a boolean":           {"debug: 1\n", `default.yaml:1:8: debug: "1" is not true or false`},
		"leading zero":                   {"port: 0777\n", `default.yaml:1:7: port: "0777" has a leading zero; numbers are decimal, write it without (allowed: 1..65535)`},
		"hexadecimal":                    {"port: 0x1F\n", `default.yaml:1:7: port: "0x1F" is not a whole number (allowed: 1..65535)`},
		"digit separators":               {"port: 1_000\n", `default.yaml:1:7: port: "1_000" is not a whole number (allowed: 1..65535)`},
		"twenty digits":                  {"port: 12345678901234567890\n", `default.yaml:1:7: port: "12345678901234567890" does not fit in int (allowed: 1..65535)`},
		"does not fit":                   {"small: 128\n", `default.yaml:1:8: small: "128" does not fit in int8`},
		"duration without unit":          {"breakers: {payments: {open_for: 3}}\n", `default.yaml:1:33: breakers.payments.open_for: "3" is not a duration; write e.g. 3s (allowed: 1ms..1h)`},
		"duration without unit, quoted":  {"breakers: {payments: {open_for: \"3\"}}\n", `default.yaml:1:33: breakers.payments.open_for: "3" is not a duration; write e.g. 3s (allowed: 1ms..1h)`},
		"NaN":                            {"ratio: .nan\n", `default.yaml:1:8: ratio: ".nan" is not a number (allowed: 0.01..1)`},
		"infinity":                       {"ratio: .inf\n", `default.yaml:1:8: ratio: ".inf" is not a number (allowed: 0.01..1)`},
		"NaN in Go's spelling":           {"ratio: NaN\n", `default.yaml:1:8: ratio: "NaN" is not a number (allowed: 0.01..1)`},
		"explicit 0":                     {"port: 0\nbreakers: {a: {open_for: 0, failures: 0}}\n", "default.yaml:1:7: port: 0 is not allowed; allowed: 1..65535\ndefault.yaml:2:26: breakers.a.open_for: 0s is not allowed; allowed: 1ms..1h\ndefault.yaml:2:39: breakers.a.failures: 0 is not allowed; allowed: 1..1000|none"},
		"explicit 0s":                    {"breakers: {a: {open_for: 0s}}\n", `default.yaml:1:26: breakers.a.open_for: 0s is not allowed; allowed: 1ms..1h`},
		"explicit empty text":            {"name: ''\n", `default.yaml:1:7: name: "" would mean the default (app); write another value, or leave it out`},
		"negative rate":                  {"limits: {api: {limit: -5}}\n", `default.yaml:1:23: limits.api.limit: -5 is not allowed; allowed: 1..1000000000`},
		"-1 for none":                    {"breakers: {a: {failures: -1}}\n", `default.yaml:1:26: breakers.a.failures: "-1" is not allowed; write none if that is meant (allowed: 1..1000|none)`},
		"out of range":                   {"port: 65536\nratio: 1.01\ncodes: {teapot: 418, bad: 99}\n", "default.yaml:1:7: port: 65536 is not allowed; allowed: 1..65535\ndefault.yaml:2:8: ratio: 1.01 is not allowed; allowed: 0.01..1\ndefault.yaml:3:27: codes.bad: 99 is not allowed; allowed: 100..599"},
		"not one of the words":           {"breakers: {a: {mode: enforced}}\nretries: 7\n", "default.yaml:1:22: breakers.a.mode: \"enforced\" is not allowed; allowed: enforce|shadow|disabled\ndefault.yaml:2:10: retries: \"7\" is not allowed; allowed: 1..2|none"},
		"a type of its own":              {"addr: localhost\n", `default.yaml:1:7: addr: "localhost" is not a netip.Addr: ParseAddr("localhost"): unable to parse IP`},
		"missing required":               {"limits:\n  api:\n    burst: 3\n  web: {}\nservers:\n  - port: 1\n", "default.yaml:3:5: limits.api.limit: required; write e.g. limit: 100 (allowed: 1..1000000000)\ndefault.yaml:4:8: limits.web.limit: required; write e.g. limit: 100 (allowed: 1..1000000000)\ndefault.yaml:6:5: servers[0].host: required; write e.g. host: db1"},
		"required null":                  {"limits:\n  api:\n    limit: ~\n", `default.yaml:3:5: limits.api.limit: required; write e.g. limit: 100 (allowed: 1..1000000000)`},
		"duplicate key":                  {"port: 1\npool:\n  max_open: 1\n  max_open: 2\nport: 2\n", "default.yaml:4:3: pool.max_open: key given twice, first in line 3\ndefault.yaml:5:1: port: key given twice, first in line 1"},
		"mapping for a value":            {"port: {a: 1}\nname: [x]\n", "default.yaml:1:7: port: expected a whole number (allowed: 1..65535), found a mapping\ndefault.yaml:2:7: name: expected a text, found a list"},
		"value for a mapping":            {"pool: 5\nbreakers: [1]\nservers: {}\nhosts: a\n", "default.yaml:1:7: pool: expected a mapping, found a number\ndefault.yaml:2:11: breakers: expected a mapping, found a list\ndefault.yaml:3:10: servers: expected a list, found a mapping\ndefault.yaml:4:8: hosts: expected a list, found a text"},
		"null in a list":                 {"hosts: [a, ~]\n", `default.yaml:1:12: hosts[1]: an element of a list cannot be null`},
		"a list for a file":              {"- a\n", `default.yaml:1:1: a layer is a mapping of keys, found a list`},
		"a text for a file":              {"port=80\n", `default.yaml:1:1: a layer is a mapping of keys, found a text`},
		"two documents":                  {"port: 1\n---\nport: 2\n", `default.yaml:2:1: a second document begins here; a layer is one document`},
		"anchor":                         {"name: &n x\nnote: *n\n", "default.yaml:1:7: name: anchors and aliases are not supported; write the value out\ndefault.yaml:2:7: note: anchors and aliases are not supported; write the value out"},
		"merge key":                      {"pool:\n  <<: {max_open: 3}\n", `default.yaml:2:3: pool: merge keys are not supported; write the keys out`},
		"tags":                           {"name: !!str 5\nnote: !secret x\nport: ! 5\n", "default.yaml:1:7: name: tags are not supported; the type of a value is known from its key\ndefault.yaml:2:7: note: tags are not supported; the type of a value is known from its key\ndefault.yaml:3:7: port: tags are not supported; the type of a value is known from its key"},
		"keys that are no text":          {"labels:\n  404: a\n  true: b\n  [x]: c\n  ~: d\n  '': e\n", "default.yaml:2:3: labels: a key must be a text; write \"404\"\ndefault.yaml:3:3: labels: a key must be a text; write \"true\"\ndefault.yaml:4:3: labels: a key must be a text\ndefault.yaml:5:3: labels: a key must be a text; write \"~\"\ndefault.yaml:6:3: labels: a key must not be empty"},
		"too deep":                       {"note: " + strings.Repeat("[", 70) + strings.Repeat("]", 70) + "\n", "default.yaml:1:7: note: expected a text, found a list\ndefault.yaml:1:70: note" + strings.Repeat("[0]", 63) + ": nested deeper than 64"},
		"far too deep":                   {strings.Repeat("[", 20000), `default.yaml:1:10001: not valid YAML: nested too deeply`},
		"too large":                      {"note: " + strings.Repeat("x", maxSize), `default.yaml: larger than 1048576 bytes`},
		"not UTF-8":                      {"name: x\nnote: \xff\n", `default.yaml:2:7: not UTF-8`},
		"UTF-16":                         {"\xff\xfea\x00", `default.yaml:1:1: not UTF-8`},
		"control character":              {"name: x\nnote: a\x00b\n", `default.yaml:2:8: control character U+0000`},
		"open quote, where it opened":    {"name: x\ntoken: \"hunter2\nport: 1\n", `default.yaml:2:8: not valid YAML: a quote opened here is not closed`},
		"open bracket":                   {"name: x\nhosts: [a, b\nport: 1\n", `default.yaml:2:8: not valid YAML: a bracket opened here is not closed`},
		"two colons":                     {"name: a: b\n", `default.yaml:1:8: not valid YAML: ": " is not allowed here; check the indentation, or quote the value`},
		"tab":                            {"pool:\n\tmax_open: 1\n", `default.yaml:2:1: not valid YAML: a value cannot begin with this character; quote it (and indent with spaces, not tabs)`},
		"unknown escape":                 {"token: \"hunter2\\q\"\n", `default.yaml:1:16: not valid YAML: unknown escape after a backslash; single quotes need none`},
		"alias of nothing, name secret":  {"token: *hunter2\n", `default.yaml:1:8: not valid YAML: anchors and aliases are not supported; write the value out`},
		"secrets":                        {"token: 12345\npin: hunter2\n", "default.yaml:1:8: token: [redacted] is a number, not a text; put it in quotes\ndefault.yaml:2:6: pin: [redacted] is not a whole number (allowed: 0..9999)"},
		"secret out of range":            {"pin: 12345\n", `default.yaml:1:6: pin: [redacted] is not allowed; allowed: 0..9999`},
		"long values are cut":            {"port: " + strings.Repeat("y", 50) + "\n" + strings.Repeat("k", 50) + ": 1\n", "default.yaml:1:7: port: \"" + strings.Repeat("y", 32) + "…\" is not a whole number (allowed: 1..65535)\ndefault.yaml:2:1: [\"" + strings.Repeat("k", 32) + "…\"]: unknown key"},
		"odd keys are quoted":            {"labels: {'a.b': 1}\n", `default.yaml:1:17: labels["a.b"]: "1" is a number, not a text; put it in quotes`},
		"twenty at most, in their order": {strings.Repeat("- ", 0) + manyKeys(25), manyFaults(20) + "and 5 more"},
	} {
		t.Run(name, func(t *testing.T) {
			f := files{"default.yaml": c.file}
			_, err := load[config](t, f)
			checkError(t, "", err, c.want)
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("zzzzzzzz" + string(rune('a'+i)) + ": 1\n")
	}
	return b.String()
}

func manyFaults(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("default.yaml:" + itoa(i+1) + ":1: zzzzzzzz" + string(rune('a'+i)) + ": unknown key\n")
	}
	return b.String()
}

func itoa(i int) string {
	if i < 10 {
		return string(rune('0' + i))
	}
	return itoa(i/10) + itoa(i%10)
}

// Every layer is checked by itself, also where a higher one hides the mistake, and faults are sorted by layer.
func TestFaultsOfAllLayersTogether(t *testing.T) {
	f := files{
		"default.yaml":    "port: high\nlimits: {api: {burst: 5}}\nprot: 1\n",
		"production.yaml": "port: 80\nbreakers: {a: {open_for: 5}}\n",
	}
	_, err := load[config](t, f, "APP_ENV=production", "APP_RATIO=2", "APP_PORT=81")
	checkError(t, "", err, `
default.yaml:1:7: port: "high" is not a whole number (allowed: 1..65535)
default.yaml:2:15: limits.api.limit: required; write e.g. limit: 100 (allowed: 1..1000000000)
default.yaml:3:1: prot: unknown key (did you mean "port"?)
production.yaml:2:26: breakers.a.open_for: "5" is not a duration; write e.g. 5s (allowed: 1ms..1h)
APP_RATIO: ratio: 2 is not allowed; allowed: 0.01..1`)
	var fault *Fault
	if !errors.As(err, &fault) || fault.Source != "default.yaml" || fault.Line != 1 || fault.Column != 7 || fault.Path != "port" {
		t.Errorf("the first fault is %+v", fault)
	}
	// A file that cannot be parsed hides what it says; nothing is then reported as missing on its account.
	f["production.yaml"] = "limits: {api: {limit: 5}}\nx: [\n"
	_, err = load[config](t, f, "APP_ENV=production")
	checkError(t, "", err, `
default.yaml:1:7: port: "high" is not a whole number (allowed: 1..65535)
default.yaml:3:1: prot: unknown key (did you mean "port"?)
production.yaml:3:1: not valid YAML`)
}

func TestMissingAndUnreadableSources(t *testing.T) {
	_, err := load[config](t, nil)
	var fault *Fault
	if !errors.As(err, &fault) || !strings.HasPrefix(err.Error(), "default.yaml: there is no such file in /") ||
		!strings.HasSuffix(err.Error(), "; the lowest layer must exist") {
		t.Errorf("no default.yaml: %v", err)
	}

	f := files{"default.yaml": "port: 80\n"}
	dir := f.write(t)
	_, err = Load[config](Options{Dir: dir, Environ: []string{"APP_ENV=staging"}, Logger: silent})
	checkError(t, dir, err, `staging.yaml: there is no such file in DIR, but APP_ENV is staging`)

	l, err := Load[config](Options{Dir: dir, Environ: []string{"APP_ENV=staging"}, AllowMissingEnvFile: true, Logger: silent})
	if err != nil || l.Get().Port != 80 {
		t.Errorf("AllowMissingEnvFile: %v", err)
	}

	// A file in place of the directory, and a directory in place of the file.
	_, err = Load[config](Options{Dir: dir + "/default.yaml", Environ: []string{}, Logger: silent})
	checkError(t, dir, err, `default.yaml: cannot be read: not a directory`)
	_, err = Load[config](Options{Dir: "/dev/../dev", Environ: []string{"APP_ENV=../etc/passwd"}, Logger: silent})
	if err == nil || !strings.Contains(err.Error(), `APP_ENV: "../etc/passwd" is not allowed; write 1 to 32 of a-z, 0-9 and -`) {
		t.Errorf("a name that leads out of the directory: %v", err)
	}
	_, err = load[config](t, files{"default.yaml": ""}, "APP_TOKEN_FILE=/nowhere/hunter2")
	checkError(t, "", err, `APP_TOKEN_FILE: the file it names cannot be read: no such file or directory`)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the cause is lost")
	}
}

// pair has rules that concern two fields.
type pair struct {
	Min int `default:"1" range:"1..100"`
	Max int `default:"10" range:"1..100"`
}

type pairs struct {
	One  pair
	Many map[string]pair
	Oops bool
}

func (p pair) Validate() error {
	var fault error
	if e := schema.Fill(p); e.Min > e.Max {
		fault = schema.Fault("max", e.Max, "at least min ("+itoa(e.Min)+")")
	}
	return schema.Validate(p, fault)
}

var errTooMany = errors.New("too many")

func (p *pairs) Validate() error {
	if p.Oops {
		panic("unprepared")
	}
	if len(p.Many) > 2 {
		return errors.Join(schema.Fault("many", nil, "two at most"), errTooMany)
	}
	return schema.Validate(p)
}

// The rules of Validate methods are told at the position of the field, or of what is around it.
func TestFaultsOfValidateMethodsHavePositions(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"of a field":           {"one:\n  min: 20\n  max: 15\n", `default.yaml:3:8: one.max: 15 is not allowed; allowed: at least min (20)`},
		"of an absent field":   {"one:\n  min: 20\n", `default.yaml:2:3: one.max: 10 is not allowed; allowed: at least min (20)`},
		"of an entry of a map": {"many:\n  a: {}\n  b:\n    min: 11\n", `default.yaml:4:5: many.b.max: 10 is not allowed; allowed: at least min (11)`},
		"of the whole":         {"many: {a: {}, b: {}, c: {}}\n", "default.yaml: too many\ndefault.yaml:1:7: many: two at most"},
		"a panic":              {"oops: true\n", `default.yaml: panic in Validate: unprepared`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load[pairs](t, files{"default.yaml": c.file})
			checkError(t, "", err, c.want)
			if strings.Contains(c.want, "too many") && !errors.Is(err, errTooMany) {
				t.Error("the cause is lost")
			}
		})
	}
	_, err := load[pairs](t, files{"default.yaml": "one:\n  max: 15\n"}, "APP_ONE__MIN=20")
	checkError(t, "", err, `default.yaml:2:8: one.max: 15 is not allowed; allowed: at least min (20)`)
	_, err = load[pairs](t, files{"default.yaml": ""}, "APP_ONE__MAX=20", "APP_ONE__MIN=30")
	checkError(t, "", err, `APP_ONE__MAX: one.max: 20 is not allowed; allowed: at least min (30)`)
}

// What nobody can configure is a mistake of the program, told before any file is read.
func TestMistakesOfTheProgram(t *testing.T) {
	type badTag struct {
		A int `range:"1..x"`
	}
	type shared struct {
		Token     string
		TokenFile string
	}
	type env struct{ Env string }
	type nested struct{ M map[string]shared }
	good := Options{Dir: "/nowhere", Environ: []string{}, Logger: silent}
	try := func(name, want string, _ any, err error) {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	a, err := Load[badTag](good)
	try("bad tag", "badTag.A", a, err)
	b, err := Load[shared](good)
	try("shared variable", "shared.Token and hotconfig.shared.TokenFile share a variable", b, err)
	c, err := Load[env](good)
	try("env", "APP_ENV names the environment", c, err)
	d, err := Load[nested](good)
	try("nested", "share a variable", d, err)
	e, err := Load[int](good)
	try("no struct", "is not a struct", e, err)
	for want, o := range map[string]Options{
		"Options.Dir is required":        {},
		"Options.Prefix":                 {Dir: "x", Prefix: "A__B"},
		"Options.Debounce":               {Dir: "x", Debounce: -1},
		"is below Debounce":              {Dir: "x", Debounce: 5, MaxDebounce: 4},
		"Options.Poll -1ns: must not be": {Dir: "x", Poll: -1},
	} {
		l, err := Load[config](o)
		try(want, want, l, err)
	}
}
