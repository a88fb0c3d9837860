// Command grpc is a small shop on gRPC, with an HTTP port beside it, that depends on a flaky payment provider. It is guarded
// by mw and tuned by a file.
//
//	go run ./examples/grpc          serves until it is interrupted
//	go run ./examples/grpc -demo    drives itself with load for about 15 s and tells what happened
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
	dir := flag.String("config", "examples/grpc/config", "directory of default.yaml")
	listen := flag.String("listen", "", "address to serve gRPC on, instead of the file's")
	listenHTTP := flag.String("listen-http", "", "address to serve HTTP on, instead of the file's")
	demo := flag.Bool("demo", false, "drive the shop with load and check what happens")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal does not wait for anything
	run := serve
	if *demo {
		run = tell
	}
	if err := run(ctx, options{dir: *dir, listen: *listen, listenHTTP: *listenHTTP}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

// serve runs the shop until ctx is done, and takes it out of service then.
func serve(ctx context.Context, o options) error {
	o.log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	s, err := start(o)
	if err != nil {
		return err
	}
	fmt.Printf("The shop is open at %s (gRPC) and %s (HTTP), its settings are in %s.\n\nTry:\n%s\nStop it with Ctrl-C.\n",
		s.addr, s.url, o.dir, tryThis(s.addr, s.url))
	select {
	case <-ctx.Done():
		o.log.Info("leaving", "wait", s.life.Config().Wait, "grace", s.life.Config().Grace)
	case err = <-s.failed:
	}
	if stopErr := s.stop(context.Background()); err == nil {
		err = stopErr
	}
	return err
}
