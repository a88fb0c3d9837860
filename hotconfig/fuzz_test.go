package hotconfig

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mw-go/mw/core/schema"
)

// Whatever a file and a variable say: no panic, every fault has a place and fits on a line, and what is accepted
// satisfies the rules.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"", "port: 1\n", "port: 0\n", "limits: {a: {burst: 1}}\n", "a: [1,2\n", "a: &x 1\nb: *x\n", "<<: {}\n", "? [a]\n: b\n", "port: 1\n---\n",
		"hosts: [a, ~, 1, {}]\n", "name: !!str 5\n", "name: \"\\x\"\n", "\xef\xbb\xbfname: x\n", "pool: ~\n", "servers:\n- {port: 1}\n", "token: 5\n",
		"breakers: {a.b: {open_for: 1s}, \"\": {}}\n", strings.Repeat("[", 100), "labels: {\"a\\nb\": 1}\n", "port: |\n  a\n  b\n", "ratio: 1e400\n",
	} {
		f.Add(s, "pool: {idle: 1s}\n", "APP_PORT=5")
		f.Add("port: 1\n", s, "APP_HOSTS=[1]")
	}
	f.Add("", "", "APP_BREAKERS__X__OPEN_FOR=\x00")
	f.Fuzz(func(t *testing.T, low, high, variable string) {
		env := []string{"APP_ENV=x"}
		if strings.HasPrefix(variable, "APP_") && !strings.Contains(strings.ToUpper(variable), "_FILE") && !strings.HasPrefix(variable, "APP_ENV") {
			env = append(env, variable)
		}
		src, err := newSource(Options{Dir: "/nowhere", Environ: env, Logger: silent}, reflect.TypeFor[config]())
		if err != nil {
			t.Fatal(err)
		}
		r := &reading{files: []content{{data: []byte(low), exists: true}, {data: []byte(high), exists: true}}, values: map[string]string{}}
		for _, v := range src.env.vars {
			r.values[v.name] = v.value
		}
		fs := faults{}
		fs.include(&src.fixed)
		b := src.build(r, nil, &fs)
		cfg := schema.Fill(*b.value.Interface().(*config))
		if len(fs.list) == 0 {
			src.check(&cfg, b, &fs)
			if len(fs.list) > 0 {
				t.Errorf("decoded without complaint, and then: %v", fs.err())
			}
		}
		_ = fs.err()
		for _, fault := range fs.list {
			text := fault.Error()
			if fault.Source == "" || (fault.Line == 0 && strings.HasSuffix(fault.Source, ".yaml") && !strings.Contains(text, "larger than")) {
				t.Errorf("no place: %q", text)
			}
			if strings.ContainsAny(text, "\n\x00") || !utf8.ValidString(text) || len(text) > 1000 {
				t.Errorf("not a line of text: %q", text)
			}
		}
	})
}
