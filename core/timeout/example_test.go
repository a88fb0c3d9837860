package timeout_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/timeout"
)

func ExampleDo() {
	limit, err := timeout.New("inventory", timeout.Config{Limit: 20 * time.Millisecond}, timeout.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	stock := func(ctx context.Context) (int, error) { return 7, nil }
	fmt.Println(timeout.Do(context.Background(), limit, stock))

	hangs := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
	_, err = timeout.Do(context.Background(), limit, hangs)
	fmt.Println(err)
	fmt.Println(errors.Is(err, core.ErrTimeout), errors.Is(err, context.DeadlineExceeded))
	// Output:
	// 7 <nil>
	// timeout "inventory": over after 20ms
	// true true
}

// A driver that does not look at its context is left behind, and what it brings at last is closed.
func ExampleDoAbandoning() {
	closed := make(chan bool)
	limit, err := timeout.New("legacy", timeout.Config{Limit: time.Millisecond, MaxAbandoned: 10}, timeout.Hooks{
		OnAbandoned: func(a timeout.Abandoned) {
			if c, ok := a.Value.(io.Closer); ok {
				closed <- c.Close() == nil
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := make(chan struct{})
	_, err = timeout.DoAbandoning(context.Background(), limit, func(context.Context) (io.ReadCloser, error) {
		<-answer
		return io.NopCloser(nil), nil
	})
	fmt.Println(err)
	fmt.Println("running on:", limit.Snapshot().Running)
	close(answer)
	fmt.Println("closed:", <-closed)
	// Output:
	// timeout "legacy": over after 1ms
	// running on: 1
	// closed: true
}

// A call whose caller has too little time left is turned away before it costs anything.
func ExampleTimeout_floor() {
	limit, err := timeout.New("search", timeout.Config{
		Limit: 2 * time.Second, Margin: 20 * time.Millisecond, MinRest: 100 * time.Millisecond,
	}, timeout.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err = timeout.Do(ctx, limit, func(context.Context) (string, error) { return "found", nil })
	fmt.Println(err)
	fmt.Println(errors.Is(err, core.ErrTooLong), limit.Snapshot().Rejected)
	// Output:
	// timeout "search": would wait too long
	// true 1
}

// An adapter knows how long its caller will wait from a header, and makes the context of the call itself, so that it
// lives until the last byte of the answer is read.
func ExampleTimeout_Admit() {
	limit, err := timeout.New("feed", timeout.Config{Limit: time.Minute, Margin: time.Second}, timeout.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fromHeader := 10 * time.Second
	a, d := limit.Admit(0, fromHeader)
	if !d.Admitted() {
		fmt.Println(d.Err())
		return
	}
	ctx, cancel := a.Context(context.Background())
	defer cancel() // when the body is closed, in earnest
	_, bounded := ctx.Deadline()
	fmt.Println(a.Rest, bounded, a.Over(ctx))
	a.Done(0, core.Success)

	_, d = limit.Admit(0, time.Second)
	fmt.Println(d.Reason)
	// Output:
	// 9s true false
	// too_long
}
