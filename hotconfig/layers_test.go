package hotconfig

import (
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func TestDefaultsAlone(t *testing.T) {
	for name, file := range map[string]string{
		"empty": "", "comments": "# nothing yet\n", "null": "null\n", "braces": "{}\n", "marker": "---\n", "BOM": "\xef\xbb\xbf# x\n", "null fields": "port:\npool: ~\nbreakers: null\n",
	} {
		want := config{Name: "app", Port: 8080, Ratio: 0.5, Retries: 2, Addr: netip.IPv6Loopback()}
		want.Pool.MaxOpen, want.Pool.Idle = 4, time.Minute
		if got := *mustLoad[config](t, files{"default.yaml": file}).Get(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, want)
		}
	}
}

// Every kind of field, in the ways it may be written.
func TestValues(t *testing.T) {
	got := mustLoad[config](t, files{"default.yaml": "\xef\xbb\xbf" + `
name: yes            # a text: nothing is made of it
note: 2026-11-22
port: 1
ratio: 1
small: -128
debug: true
token: "12:30"
pin: 0
retries: none
addr: 10.0.0.1
breakers:
  pay-ments: {open_for: 1h, failures: none}
  "a.b": {mode: shadow}
  gone: ~
limits:
  api: {limit: 1000000000, every: "1ms"}
pool: {max_open: 100, idle: none}
servers:
- host: a
- {host: b, port: 1}
hosts: [12:30, "12", ~x]
labels:
  "404": |
    text
codes: {ok: 200}
`})
	want := config{Name: "yes", Note: "2026-11-22", Port: 1, Ratio: 1, Small: -128, Debug: true, Token: "12:30", Retries: -1,
		Addr: netip.MustParseAddr("10.0.0.1"),
		Breakers: map[string]breaker{
			"pay-ments": {OpenFor: time.Hour, Failures: -1, Mode: "enforce"},
			"a.b":       {OpenFor: 5 * time.Second, Failures: 5, Mode: "shadow"},
		},
		Limits:  map[string]rate{"api": {Limit: 1e9, Burst: 10, Every: time.Millisecond}},
		Servers: []server{{"a", 5432}, {"b", 1}},
		Hosts:   []string{"12:30", "12", "~x"},
		Labels:  map[string]string{"404": "text\n"},
		Codes:   map[string]int{"ok": 200},
	}
	want.Pool.MaxOpen, want.Pool.Idle = 100, -1
	if !reflect.DeepEqual(*got.Get(), want) {
		t.Errorf("\ngot  %+v\nwant %+v", *got.Get(), want)
	}
}

// Higher layers win key by key; lists are replaced whole; null goes back to the default.
func TestPrecedence(t *testing.T) {
	f := files{
		"default.yaml": `
port: 1000
ratio: 0.1
hosts: [a, b, c]
labels: {one: "1", two: "2"}
breakers:
  payments: {open_for: 1s, failures: 7}
  orders: {open_for: 2s}
pool: {max_open: 50}
`,
		"production.yaml": `
ratio: 0.2
hosts: [z]
labels: {two: "22", one: ~, three: "3"}
breakers:
  payments: {open_for: ~, mode: shadow}
pool: ~
`,
		"other.yaml": "nonsense: [",
	}
	l := mustLoad[config](t, f, "APP_ENV=production", "APP_PORT=3000", "APP_BREAKERS__PAYMENTS__FAILURES=9", "HOME=/", "app_pool__idle=2m")
	c := l.Get()
	want := config{
		Name: "app", Port: 3000, Ratio: 0.2, Retries: 2, Addr: netip.IPv6Loopback(), Hosts: []string{"z"},
		Labels: map[string]string{"two": "22", "three": "3"},
		Breakers: map[string]breaker{
			"payments": {OpenFor: 5 * time.Second, Failures: 9, Mode: "shadow"},
			"orders":   {OpenFor: 2 * time.Second, Failures: 5, Mode: "enforce"},
		},
	}
	want.Pool.MaxOpen, want.Pool.Idle = 4, 2*time.Minute
	if !reflect.DeepEqual(*c, want) {
		t.Errorf("\ngot  %+v\nwant %+v", *c, want)
	}
	v := l.Version()
	sources := []string{"default.yaml", "production.yaml", "APP_BREAKERS__PAYMENTS__FAILURES", "app_pool__idle", "APP_PORT"}
	if v.Number != 1 || len(v.Hash) != 64 || v.Time.IsZero() || !reflect.DeepEqual(v.Sources, sources) {
		t.Errorf("version %+v, want sources %v", v, sources)
	}
}

// Two fields that share layers must not share memory: what one merge writes, the next must not find.
func TestVariablesDoNotLeakIntoTheNextLoad(t *testing.T) {
	l := mustLoad[config](t, files{"default.yaml": "breakers: {a: {}}\n"}, "APP_BREAKERS__A__FAILURES=3", "APP_HOSTS__0=x")
	for range 3 {
		if err := l.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c := l.Get(); len(c.Breakers) != 1 || c.Breakers["a"].Failures != 3 || len(c.Hosts) != 1 {
			t.Fatalf("%+v", c)
		}
	}
	if l.Version().Number != 1 {
		t.Errorf("version %d after reloads of the same", l.Version().Number)
	}
}
