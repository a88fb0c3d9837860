package hotconfig

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestVariables(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := files{"default.yaml": "breakers:\n  pay-ments: {failures: 3}\n  Orders: {}\nservers: [{host: a}, {host: b}]\nlabels: {x: y}\nhosts: [h]\n"}
	for _, c := range []struct {
		env  string
		get  func(*config) any
		want any
	}{
		{"APP_PORT=81", func(c *config) any { return c.Port }, 81},
		{"app_Port=81", func(c *config) any { return c.Port }, 81},
		{"APP_NOTE=", func(c *config) any { return c.Note }, ""},
		{"APP_NOTE=12345", func(c *config) any { return c.Note }, "12345"},
		{"APP_NOTE=null", func(c *config) any { return c.Note }, "null"},
		{"APP_DEBUG=true", func(c *config) any { return c.Debug }, true},
		{"APP_RETRIES=none", func(c *config) any { return c.Retries }, quantity(-1)},
		{"APP_POOL__IDLE=90s", func(c *config) any { return c.Pool.Idle }, 90 * time.Second},
		{"APP_POOL={\"idle\":\"90s\"}", func(c *config) any { return c.Pool.Idle }, 90 * time.Second},
		{"APP_BREAKERS__PAY_MENTS__FAILURES=8", func(c *config) any { return c.Breakers["pay-ments"].Failures }, 8},
		{"APP_BREAKERS__ORDERS__FAILURES=8", func(c *config) any { return c.Breakers["Orders"].Failures }, 8},
		{"APP_BREAKERS__NEW_ONE__FAILURES=8", func(c *config) any { return c.Breakers["new_one"].Failures }, 8},
		{"APP_BREAKERS={\"x\":{\"failures\":4}}", func(c *config) any { return []int{c.Breakers["x"].Failures, c.Breakers["pay-ments"].Failures} }, []int{4, 3}},
		{"APP_LABELS__TEAM=core", func(c *config) any { return c.Labels }, map[string]string{"x": "y", "team": "core"}},
		{"APP_SERVERS__1__PORT=9", func(c *config) any { return c.Servers }, []server{{"a", 5432}, {"b", 9}}},
		{"APP_SERVERS__2__HOST=c", func(c *config) any { return c.Servers }, []server{{"a", 5432}, {"b", 5432}, {"c", 5432}}},
		{"APP_SERVERS=[{\"host\":\"q\",\"port\":7}]", func(c *config) any { return c.Servers }, []server{{"q", 7}}},
		{"APP_HOSTS=[]", func(c *config) any { return c.Hosts }, []string{}},
		{"APP_HOSTS__0=z", func(c *config) any { return c.Hosts }, []string{"z"}},
		{"APP_TOKEN_FILE=" + secret, func(c *config) any { return c.Token }, "s3cret"},
		{"APP_LABELS__KEY_FILE=" + secret, func(c *config) any { return c.Labels["key"] }, "s3cret"},
		{"APP_HOSTS__1_FILE=" + secret, func(c *config) any { return c.Hosts[1] }, "s3cret"},
	} {
		l, err := load[config](t, file, c.env)
		if err != nil {
			t.Errorf("%s: %v", c.env, err)
			continue
		}
		if got := c.get(l.Get()); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.env, got, c.want)
		}
	}
	// Indexes are taken in the order of numbers, not of text.
	env := []string{}
	for i := range 12 {
		env = append(env, "APP_HOSTS__"+itoa(i)+"=h"+itoa(i))
	}
	if got := mustLoad[config](t, files{"default.yaml": ""}, env...).Get().Hosts; len(got) != 12 || got[10] != "h10" {
		t.Errorf("twelve elements: %v", got)
	}
}

func TestWhatIsSaidAboutBadVariables(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"wrong type":               {[]string{"APP_PORT=http"}, `APP_PORT: port: "http" is not a whole number (allowed: 1..65535)`},
		"out of range":             {[]string{"APP_PORT=0"}, `APP_PORT: port: 0 is not allowed; allowed: 1..65535`},
		"in the name as it is":     {[]string{"app_port=0"}, `app_port: port: 0 is not allowed; allowed: 1..65535`},
		"in a new entry":           {[]string{"APP_BREAKERS__PAYMENTS__OPEN_FOR=3"}, `APP_BREAKERS__PAYMENTS__OPEN_FOR: breakers.payments.open_for: "3" is not a duration; write e.g. 3s (allowed: 1ms..1h)`},
		"required in a new entry":  {[]string{"APP_LIMITS__API__BURST=3"}, `APP_LIMITS__API__BURST: limits.api.limit: required; write e.g. limit: 100 (allowed: 1..1000000000)`},
		"empty":                    {[]string{"APP_PORT=", "APP_DEBUG=", "APP_ADDR="}, "APP_ADDR: addr: is empty, which is not a text; unset the variable if the default is meant\nAPP_DEBUG: debug: is empty, which is not true or false; unset the variable if the default is meant\nAPP_PORT: port: is empty, which is not a whole number (allowed: 1..65535); unset the variable if the default is meant"},
		"yes":                      {[]string{"APP_DEBUG=yes"}, `APP_DEBUG: debug: "yes" is not true or false`},
		"secret":                   {[]string{"APP_PIN=hunter2"}, `APP_PIN: pin: [redacted] is not a whole number (allowed: 0..9999)`},
		"unknown level":            {[]string{"APP_POOL__MAX_OPN=3"}, `APP_POOL__MAX_OPN: unknown variable (did you mean APP_POOL__MAX_OPEN?)`},
		"unknown in a map":         {[]string{"APP_BREAKERS__PAYMENTS__OPEN_FR=3s"}, `APP_BREAKERS__PAYMENTS__OPEN_FR: unknown variable (did you mean APP_BREAKERS__PAYMENTS__OPEN_FOR?)`},
		"unknown, nothing near":    {[]string{"APP_XXXXXX__YYYYYY=3s"}, `APP_XXXXXX__YYYYYY: unknown variable`},
		"below a scalar":           {[]string{"APP_PORT__X=3"}, `APP_PORT__X: unknown variable`},
		"flat, almost right":       {[]string{"APP_PROT=3"}, `APP_PROT: unknown variable (did you mean APP_PORT?)`},
		"one underscore for two":   {[]string{"APP_POOL_MAX_OPEN=3"}, `APP_POOL_MAX_OPEN: unknown variable (did you mean APP_POOL__MAX_OPEN?)`},
		"value and file":           {[]string{"APP_TOKEN=x", "APP_TOKEN_FILE=" + secret}, `APP_TOKEN_FILE: given together with APP_TOKEN; one of them must go`},
		"twice, in two cases":      {[]string{"APP_PORT=1", "app_port=2"}, `app_port: given twice, also as APP_PORT`},
		"bad environment":          {[]string{"APP_ENV=Prod"}, `APP_ENV: "Prod" is not allowed; write 1 to 32 of a-z, 0-9 and -`},
		"index not next":           {[]string{"APP_HOSTS__3=x"}, `APP_HOSTS__3: hosts[3]: the list has 0 elements, so the next index is 0`},
		"index no number":          {[]string{"APP_HOSTS__X=x"}, `APP_HOSTS__X: unknown variable`},
		"JSON":                     {[]string{"APP_HOSTS=a,b"}, `APP_HOSTS: hosts: write a list in JSON, or set its parts one by one; this is not JSON`},
		"JSON, more after it":      {[]string{"APP_HOSTS=[] 1"}, `APP_HOSTS: hosts: write a list in JSON, or set its parts one by one; this is not JSON`},
		"JSON, key twice":          {[]string{`APP_LABELS={"a":"b","a":"c"}`}, `APP_LABELS: labels: write a mapping in JSON, or set its parts one by one; key "a" is given twice`},
		"JSON, of the wrong types": {[]string{`APP_HOSTS=[1,true,null,"x",{}]`}, "APP_HOSTS: hosts[0]: \"1\" is a number, not a text; put it in quotes\nAPP_HOSTS: hosts[1]: \"true\" is a boolean, not a text; put it in quotes\nAPP_HOSTS: hosts[2]: an element of a list cannot be null\nAPP_HOSTS: hosts[4]: expected a text, found a mapping"},
		"JSON, unknown key":        {[]string{`APP_POOL={"max_opn":1}`}, `APP_POOL: pool.max_opn: unknown key (did you mean "max_open"?)`},
		"JSON, too deep":           {[]string{`APP_HOSTS=` + strings.Repeat("[", 100) + strings.Repeat("]", 100)}, `APP_HOSTS: hosts: write a list in JSON, or set its parts one by one; nested deeper than 64`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load[config](t, files{"default.yaml": ""}, c.env...)
			checkError(t, "", err, c.want)
		})
	}
	_, err := load[config](t, files{"default.yaml": "labels: {a-b: x, a_b: y}\n"}, "APP_LABELS__A_B=z")
	checkError(t, "", err, `APP_LABELS__A_B: labels.a_b: more than one key is written like this in a variable; set it in a file`)
}

// A Service named app makes Kubernetes set variables that look like ours and are not.
func TestKubernetesServiceLinksAreNotErrors(t *testing.T) {
	var log bytes.Buffer
	l, err := Load[config](Options{Dir: files{"default.yaml": "port: 99\n"}.write(t), Logger: slog.New(slog.NewTextHandler(&log, nil)), Environ: []string{
		"APP_SERVICE_HOST=10.0.0.1", "APP_SERVICE_PORT=80", "APP_SERVICE_PORT_HTTP=80", "APP_PORT=tcp://10.0.0.1:80",
		"APP_PORT_80_TCP=tcp://10.0.0.1:80", "APP_PORT_80_TCP_PROTO=tcp", "APP_PORT_80_TCP_PORT=80", "APP_PORT_80_TCP_ADDR=10.0.0.1",
		"APP_POOL_PORT=udp://10.0.0.2:53", "APP_POOL_SERVICE_HOST=10.0.0.2",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if l.Get().Port != 99 || strings.Contains(log.String(), "unknown") {
		t.Errorf("port %d, log %s", l.Get().Port, log.String())
	}
}

func TestForeignVariablesAreOnlyMentioned(t *testing.T) {
	var log bytes.Buffer
	_, err := Load[config](Options{Dir: files{"default.yaml": ""}.write(t), Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Environ: []string{"APP_BUILD_NUMBER=7", "APPLE=1", "APP_=x", "APP", "=C:=x"}})
	if err != nil {
		t.Fatal(err)
	}
	if s := log.String(); strings.Count(s, "unknown variable") != 1 || !strings.Contains(s, "APP_BUILD_NUMBER: unknown variable, ignored") {
		t.Errorf("log: %s", s)
	}
}

func TestAnotherPrefix(t *testing.T) {
	dir := files{"default.yaml": "", "x.yaml": "port: 2\n"}.write(t)
	l, err := Load[config](Options{Dir: dir, Prefix: "my_svc", Logger: silent, Environ: []string{"MY_SVC_ENV=x", "MY_SVC_NAME=n", "APP_PORT=5"}})
	if err != nil || l.Get().Port != 2 || l.Get().Name != "n" {
		t.Errorf("%v %+v", err, l)
	}
}
