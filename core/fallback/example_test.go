package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/fallback"
)

// shop answers what a thing costs: from memory, else from a store as Redis is one, else from the database, else by
// a price that nobody complains about.
type shop struct {
	memory   sync.Map
	store    *store
	database func(ctx context.Context, id string) (int, error)

	fromStore, fromDatabase, fromDefault *fallback.Fallback
}

// store is a server that is asked over the network.
type store struct {
	down  bool
	hangs bool
	data  map[string]int
}

var errMiss = errors.New("miss")

func (s *store) Get(ctx context.Context, id string) (int, error) {
	switch {
	case s.hangs:
		<-ctx.Done()
		return 0, ctx.Err()
	case s.down:
		return 0, errors.New("connection refused")
	}
	if price, ok := s.data[id]; ok {
		return price, nil
	}
	return 0, errMiss
}

func (s *shop) price(ctx context.Context, id string) (int, fallback.From, error) {
	return fallback.DoFrom(ctx, fallback.Chain[int]{
		{By: s.fromStore, Run: func(ctx context.Context, _ error) (int, error) { return s.store.Get(ctx, id) }},
		{By: s.fromDatabase, Run: func(ctx context.Context, _ error) (int, error) { return s.database(ctx, id) }},
		{By: s.fromDefault, Run: func(context.Context, error) (int, error) { return 999, nil }},
	}, func(context.Context) (int, error) {
		if price, ok := s.memory.Load(id); ok {
			return price.(int), nil
		}
		return 0, errMiss
	})
}

// Memory, then a store, then the database, then a default: each with the time and the number of calls that it can bear.
func Example() {
	step := func(name string, c fallback.Config) *fallback.Fallback {
		return mw.Must(fallback.New(name, c, fallback.Hooks{}))
	}
	s := &shop{
		store: &store{data: map[string]int{"cup": 7}},
		database: func(_ context.Context, id string) (int, error) {
			return map[string]int{"cup": 7, "pot": 30}[id], nil
		},
		fromStore:    step("price/store", fallback.Config{Timeout: 10 * time.Millisecond, Limit: 64}),
		fromDatabase: step("price/database", fallback.Config{Timeout: 200 * time.Millisecond, Limit: 8}),
		fromDefault:  step("price/default", fallback.Config{Timeout: core.None, Limit: core.None}),
	}
	s.memory.Store("spoon", 2)
	show := func(id string) {
		price, from, err := s.price(context.Background(), id)
		fmt.Printf("%s %d from %q after %q, %v\n", id, price, from.Step, fmt.Sprint(from.Err), err)
	}
	show("spoon")
	show("cup")
	show("pot")
	s.store.hangs = true
	show("cup")
	s.store.hangs, s.store.down = false, true
	s.database = func(context.Context, string) (int, error) { return 0, errors.New("too many connections") }
	show("cup")

	// The shop would rather show no price than a wrong one: the default is switched off while the service runs.
	if err := s.fromDefault.Tune(fallback.Config{Mode: core.Disabled}); err != nil {
		fmt.Println(err)
	}
	_, _, err := s.price(context.Background(), "cup")
	fmt.Println(err)
	fmt.Println(errors.Is(err, errMiss), s.fromStore.Snapshot().TimedOut, s.fromDefault.Snapshot().Answered)
	// Output:
	// spoon 2 from "" after "<nil>", <nil>
	// cup 7 from "price/store" after "miss", <nil>
	// pot 30 from "price/database" after "miss\nfallback \"price/store\": miss", <nil>
	// cup 7 from "price/database" after "miss\nfallback \"price/store\": over after 10ms: context deadline exceeded", <nil>
	// cup 999 from "price/default" after "miss\nfallback \"price/store\": connection refused\nfallback \"price/database\": too many connections", <nil>
	// miss
	// fallback "price/store": connection refused
	// fallback "price/database": too many connections
	// true 1 1
}

// A step may answer certain failures alone: an old answer is better than none when the backend is too slow, and no help if
// there is no such thing.
func ExampleHooks() {
	notFound := errors.New("no such user")
	stale, err := fallback.New("user/stale", fallback.Config{}, fallback.Hooks{
		When: func(o core.Outcome, err error) bool { return o == core.Timeout || errors.Is(err, core.ErrRejected) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Made once, as nothing in it depends on the call.
	chain := fallback.Chain[string]{{By: stale, Run: func(_ context.Context, before error) (string, error) {
		return "Ann, as of yesterday", nil
	}}}
	for _, err := range []error{notFound, core.ErrTimeout, &core.Rejection{Kind: core.KindBreaker, Policy: "users", Reason: core.ReasonOpen}} {
		fmt.Println(fallback.Do(context.Background(), chain, func(context.Context) (string, error) { return "", err }))
	}
	// Output:
	// no such user
	// Ann, as of yesterday <nil>
	// Ann, as of yesterday <nil>
}
