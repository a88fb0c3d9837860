// Command http is a small shop that depends on a payment provider and a flaky stock, with the full stacks of mw in front of
// its handlers and behind its clients, tuned by a file.
//
//	go run ./examples/http          serves until it is interrupted, and then leaves in good order
//	go run ./examples/http -demo    drives itself with load for about 20 s and tells what happened
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	dir := flag.String("config", "examples/http/config", "directory of default.yaml")
	listen := flag.String("listen", "", "address to serve on, instead of the file's")
	admin := flag.String("admin", "", "address for operators, instead of the file's")
	demo := flag.Bool("demo", false, "drive the shop with load and check what happens")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	var err error
	if *demo {
		err = tell(ctx, *dir)
	} else {
		err = serve(ctx, *dir, *listen, *admin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

// serve runs the shop until ctx is done.
func serve(ctx context.Context, dir, listen, admin string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	s, err := start(options{dir: dir, listen: listen, admin: admin, log: log})
	if err != nil {
		return err
	}
	fmt.Printf("The shop is open at %s, its settings are in %s.\n\nTry:\n%s\nStop it with Ctrl-C.\n", s.url, dir, tryThis(s.url, s.admin))
	select {
	case <-ctx.Done():
	case err = <-s.failed:
	}
	if stopErr := s.stop(); err == nil {
		err = stopErr
	}
	return err
}
