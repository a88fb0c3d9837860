package cache_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/cache"
)

// A cache in front of a slow look-up. The load is given once, in Hooks, so that a hit costs no closure.
func Example() {
	names, err := cache.New("names", cache.Config{Size: 10_000, TTL: time.Minute}, cache.Hooks[int, string]{
		Load: func(ctx context.Context, id int) (string, error) {
			fmt.Println("looking up", id)
			return fmt.Sprint("user ", id), nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer names.Close(ctx)
	for range 2 {
		name, err := names.Get(ctx, 7, nil)
		fmt.Println(name, err)
	}
	// Output:
	// looking up 7
	// user 7 <nil>
	// user 7 <nil>
}

// What was read before a Delete is not put into the cache after it.
func ExampleCache_Delete() {
	prices, err := cache.New("prices", cache.Config{Size: 100, TTL: time.Minute}, cache.Hooks[string, int]{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer prices.Close(ctx)
	price := 10
	read := func(context.Context) (int, error) { return price, nil }

	got, _ := prices.Get(ctx, "tea", func(ctx context.Context) (int, error) {
		old, err := read(ctx)
		price = 12 // somebody changes it while this load is on its way back
		_ = prices.Delete(ctx, "tea")
		return old, err
	})
	fmt.Println(got)
	got, _ = prices.Get(ctx, "tea", read)
	fmt.Println(got)
	// Output:
	// 10
	// 12
}

var errNoRow = errors.New("no such row")

// Errors that are answers can be remembered as well, and values given out when there is nothing better.
func ExampleHooks() {
	down := false
	rows, err := cache.New("rows", cache.Config{
		Size: 100, TTL: time.Millisecond, NegativeTTL: time.Minute, StaleIfError: time.Hour,
	}, cache.Hooks[string, string]{
		Load: func(ctx context.Context, key string) (string, error) {
			switch {
			case down:
				return "", errors.New("connection refused")
			case key == "b":
				return "", errNoRow
			}
			return "row " + key, nil
		},
		Negative: func(err error) bool { return errors.Is(err, errNoRow) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer rows.Close(ctx)
	for _, key := range []string{"a", "b"} {
		fmt.Println(rows.Get(ctx, key, nil))
	}
	down = true
	for _, key := range []string{"a", "b", "c"} {
		fmt.Println(rows.Get(ctx, key, nil))
	}
	// Output:
	// row a <nil>
	//  no such row
	// row a <nil>
	//  no such row
	//  connection refused
}

// New settings hold for what is there. A cache grows while it runs; it does not shrink.
func ExampleCache_Tune() {
	c, err := cache.New("sessions", cache.Config{Size: 1000, TTL: time.Hour}, cache.Hooks[string, int]{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer c.Close(ctx)
	_ = c.Set(ctx, "a", 1)
	fmt.Println(c.Tune(cache.Config{Size: 2000, TTL: time.Minute}), c.Len())
	fmt.Println(c.Tune(cache.Config{Size: 500, TTL: time.Minute}))
	// Output:
	// <nil> 1
	// cache "sessions": size: 500 is not allowed; allowed: at least 2000, the size in force: a cache does not shrink while it runs
}

// Shadow mode tries a cache on live traffic: every call loads, and the counts say what would have been a hit.
func ExampleCache_shadow() {
	c, err := cache.New("rows", cache.Config{Size: 100, TTL: time.Minute, Mode: core.Shadow}, cache.Hooks[string, int]{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer c.Close(ctx)
	loads := 0
	for _, key := range []string{"a", "b", "a", "a"} {
		_, _ = c.Get(ctx, key, func(context.Context) (int, error) { loads++; return loads, nil })
	}
	s := c.Snapshot()
	fmt.Println("loads", loads, "would have been hits", s.Shadowed)
	// Output: loads 4 would have been hits 2
}
