package hedge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/retry"
)

// replicas answer the same; the first of them has just stalled.
func lookup(ctx context.Context) (string, error) {
	if hedge.Attempt(ctx) == 1 {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return "found", nil
}

// A replica that stalls costs a delay, not the whole call.
func ExampleDoFrom() {
	search, err := hedge.New("search", hedge.Config{Delay: time.Millisecond}, hedge.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, from, err := hedge.DoFrom(context.Background(), search, lookup)
	fmt.Println(v, err)
	fmt.Printf("attempt %d of %d\n", from.Attempt, from.Attempts)
	// Output:
	// found <nil>
	// attempt 2 of 2
}

// A result that is read after the call keeps its context until it is released. What the loser brings is closed.
func ExampleDoKeeping() {
	closed := make(chan error)
	search, err := hedge.New("pages", hedge.Config{Delay: time.Millisecond}, hedge.Hooks{
		OnLoser: func(l hedge.Loser) {
			if body, ok := l.Value.(io.Closer); ok {
				closed <- body.Close()
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	get := func(ctx context.Context) (io.ReadCloser, error) {
		if hedge.Attempt(ctx) == 1 {
			<-ctx.Done() // it comes too late, but it comes
			fmt.Println(context.Cause(ctx))
		}
		return io.NopCloser(strings.NewReader("a page")), nil
	}
	body, _, release, err := hedge.DoKeeping(context.Background(), search, get)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer release()
	fmt.Println("closed:", <-closed)
	text, err := io.ReadAll(body)
	fmt.Println(string(text), err)
	// Output:
	// hedge: another attempt was first
	// closed: <nil>
	// a page <nil>
}

// A call that must not be made twice has one attempt, whatever comes of it.
func ExampleOnce() {
	orders, err := hedge.New("orders", hedge.Config{Delay: time.Millisecond}, hedge.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, from, err := hedge.DoFrom(hedge.Once(context.Background()), orders, func(context.Context) (int, error) {
		return 0, errors.New("connection reset")
	})
	fmt.Println(from.Attempts, err)
	// Output: 1 connection reset
}

// Retries and hedges to one backend share a budget, so that together they stay a small share of its calls. The retry is
// outside.
func ExampleHooks_budget() {
	extra, err := budget.New("search", budget.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := retry.New("search", retry.Config{}, retry.Hooks{Budget: extra})
	if err != nil {
		fmt.Println(err)
		return
	}
	search, err := hedge.New("search", hedge.Config{Delay: time.Millisecond}, hedge.Hooks{Budget: extra})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := retry.Do(context.Background(), again, func(ctx context.Context) (string, error) {
		return hedge.Do(ctx, search, lookup)
	})
	fmt.Println(v, err, "extra attempts:", extra.Snapshot().Withdrawn)
	// Output: found <nil> extra attempts: 1
}

// Shadow mode counts what hedging would do, and does nothing.
func ExampleConfig_mode() {
	search, err := hedge.New("search", hedge.Config{Delay: time.Millisecond, Mode: core.Shadow}, hedge.Hooks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, from, _ := hedge.DoFrom(context.Background(), search, func(context.Context) (int, error) {
		return 0, errors.New("connection reset")
	})
	fmt.Println("attempts:", from.Attempts, "would have been hedged:", search.Status().Shadowed)
	// Output: attempts: 1 would have been hedged: 1
}
