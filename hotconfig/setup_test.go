package hotconfig

import (
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quantity is a number with a word of its own.
type quantity int

func (q *quantity) UnmarshalText(text []byte) error {
	switch string(text) {
	case "none":
		*q = -1
	case "1":
		*q = 1
	case "2":
		*q = 2
	default:
		return errors.New("unknown quantity")
	}
	return nil
}

func (q quantity) MarshalText() ([]byte, error) {
	return []byte(map[quantity]string{-1: "none", 1: "1", 2: "2"}[q]), nil
}

type breaker struct {
	OpenFor  time.Duration `default:"5s" range:"1ms..1h"`
	Failures int           `default:"5" range:"1..1000|none"`
	Mode     string        `default:"enforce" range:"enforce|shadow|disabled"`
}

type rate struct {
	Limit int           `required:"true" range:"1..1000000000"`
	Burst int           `default:"10" range:"1..1000"`
	Every time.Duration `default:"1s" range:"1ms..1h"`
}

type server struct {
	Host string `required:"true" example:"db1"`
	Port int    `default:"5432" range:"1..65535"`
}

type config struct {
	Name     string `default:"app"`
	Note     string
	Port     int     `default:"8080" range:"1..65535"`
	Ratio    float64 `default:"0.5" range:"0.01..1"`
	Small    int8
	Debug    bool
	Token    string     `secret:"true"`
	Pin      int        `secret:"true" range:"0..9999"`
	Retries  quantity   `default:"2" range:"1..2|none"`
	Addr     netip.Addr `default:"::1"`
	Breakers map[string]breaker
	Limits   map[string]rate
	Pool     struct {
		MaxOpen int           `default:"4" range:"1..100"`
		Idle    time.Duration `default:"1m" range:"1ms..1h|none"`
	}
	Servers []server
	Hosts   []string
	Labels  map[string]string
	Codes   map[string]int `range:"100..599"`
}

// files is a directory of layers: name to content.
type files map[string]string

func (f files) write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range f {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

func load[T any](t testing.TB, f files, env ...string) (*Live[T], error) {
	t.Helper()
	return Load[T](Options{Dir: f.write(t), Environ: append([]string{}, env...), Logger: silent})
}

func mustLoad[T any](t testing.TB, f files, env ...string) *Live[T] {
	t.Helper()
	l, err := load[T](t, f, env...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// checkError compares the text of err with want, line by line, ignoring the name of the test's directory.
func checkError(t *testing.T, dir string, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if dir != "" {
		got = strings.ReplaceAll(got, dir, "DIR")
	}
	if got != strings.TrimSpace(want) {
		t.Errorf("got\n%s\nwant\n%s", got, strings.TrimSpace(want))
	}
}
