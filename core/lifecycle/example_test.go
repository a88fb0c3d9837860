package lifecycle_test

import (
	"context"
	"fmt"
	"time"

	"github.com/mw-go/mw/core/lifecycle"
)

// A process that serves until it is told to leave.
func Example() {
	life, err := lifecycle.New(lifecycle.Config{Wait: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = life.OnDrain("http", func(ctx context.Context) error {
		fmt.Println("the server stops") // server.Shutdown(ctx)
		return nil
	})
	life.Ready()
	fmt.Println(life.State())
	go func() {
		<-life.Draining()
		// a stream says goodbye
	}()
	fmt.Println(life.Shutdown(context.Background()), life.State()) // on SIGTERM
	// Output:
	// ready
	// the server stops
	// <nil> stopped
}
