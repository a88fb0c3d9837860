package hotconfig_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/mw-go/mw/hotconfig"
)

// Config is the configuration of a small service.
type Config struct {
	// Listen is the address to serve on.
	Listen string `default:":8080"`
	// Backend tunes the calls to the backend.
	Backend Backend
}

// Backend is the part that the backend's client follows.
type Backend struct {
	// Timeout of one call.
	Timeout time.Duration `default:"2s" range:"1ms..1m"`
	// Limit is how many calls may run at once.
	Limit int `required:"true" range:"1..10000"`
}

// client stands for something that is tuned while it runs.
type client struct{ limit int }

func (c *client) Prepare(b Backend) (commit func(), err error) {
	if b.Limit > 500 {
		return nil, fmt.Errorf("limit %d: no more than 500 connections here", b.Limit)
	}
	return func() { c.limit = b.Limit }, nil
}

func Example() {
	dir, err := os.MkdirTemp("", "hotconfig")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	write := func(s string) {
		if err := os.WriteFile(filepath.Join(dir, "default.yaml"), []byte(s), 0o600); err != nil {
			panic(err)
		}
	}
	write("backend:\n  limit: 10\n")

	live, err := hotconfig.Load[Config](hotconfig.Options{
		Dir:     dir,
		Environ: []string{"APP_BACKEND__TIMEOUT=500ms"}, // leave it out to use the environment of the process
		Logger:  slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		panic(err)
	}
	c := &client{}
	if err := hotconfig.Bind(live, func(cfg *Config) Backend { return cfg.Backend }, c); err != nil {
		panic(err)
	}
	live.OnChange(func(old, new *Config) {
		fmt.Println("limit", old.Backend.Limit, "->", new.Backend.Limit)
	})
	fmt.Println(live.Get().Listen, live.Get().Backend.Timeout, c.limit)

	// A service calls live.Watch() here, and live.Close() at its end. Reload does the same once, by hand.
	for _, s := range []string{"backend:\n  limit: 20\n", "backend:\n  limits: 0\n", "backend:\n  limit: 501\n"} {
		write(s)
		if err := live.Reload(context.Background()); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println("version", live.Version().Number, "limit", c.limit)
	// Output:
	// :8080 500ms 10
	// limit 10 -> 20
	// default.yaml:2:3: backend.limit: required; write e.g. limit: 100 (allowed: 1..10000)
	// default.yaml:2:3: backend.limits: unknown key (did you mean "limit"?)
	// hotconfig: a bound target refuses the configuration: limit 501: no more than 500 connections here
	// version 2 limit 20
}
