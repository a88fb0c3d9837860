package batch_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mw-go/mw/core/batch"
)

var errNotFound = errors.New("no such user")

// Three look-ups, one call.
func Example() {
	names := map[int]string{1: "ann", 2: "ben"}
	users, err := batch.New("users", batch.Config{MaxItems: 3, Delay: time.Second}, batch.Hooks[int, string]{
		Run: func(ctx context.Context, ids []int) ([]string, error) {
			fmt.Println("select ... where id in, with", len(ids), "ids")
			found, errs := make([]string, len(ids)), make(batch.Errors, len(ids))
			for i, id := range ids {
				if found[i] = names[id]; found[i] == "" {
					errs[i] = errNotFound
				}
			}
			return found, errs
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var all sync.WaitGroup
	answers := make([]string, 4)
	for id := 1; id <= 3; id++ {
		all.Go(func() {
			name, err := users.Do(context.Background(), id)
			answers[id] = fmt.Sprintf("%d is %q, %v", id, name, err)
		})
	}
	all.Wait()
	for _, a := range answers[1:] {
		fmt.Println(a)
	}
	fmt.Println(users.Close(context.Background()))
	// Output:
	// select ... where id in, with 3 ids
	// 1 is "ann", <nil>
	// 2 is "ben", <nil>
	// 3 is "", no such user
	// <nil>
}

// Close sends what is collected and waits for it.
func ExampleBatcher_Close() {
	log, err := batch.New("log", batch.Config{Delay: time.Minute}, batch.Hooks[string, struct{}]{
		Run: func(ctx context.Context, lines []string) ([]struct{}, error) {
			fmt.Println("written:", lines)
			return make([]struct{}, len(lines)), nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	done := make(chan error)
	go func() { _, err := log.Do(context.Background(), "hello"); done <- err }()
	for log.Snapshot().Collecting == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println(log.Close(ctx), <-done)
	_, err = log.Do(ctx, "too late")
	fmt.Println(err)
	// Output:
	// written: [hello]
	// <nil> <nil>
	// batch "log": closed
}
