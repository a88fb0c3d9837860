package throttle_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/throttle"
)

// A backend that says "too much" is sent fewer and fewer calls.
func ExampleDo() {
	overloaded := errors.New("429")
	th, err := throttle.New("backend", throttle.Config{}, throttle.Hooks{
		Classify: func(ctx context.Context, err error) core.Outcome {
			if errors.Is(err, overloaded) {
				return core.Overload
			}
			return core.Classify(ctx, err)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	sent := 0
	for range 1000 {
		_, err = throttle.Do(context.Background(), th, func(context.Context) (string, error) {
			sent++
			return "", overloaded
		})
	}
	s := th.Snapshot().Classes[1]
	fmt.Println("most were not sent:", sent < 500)
	fmt.Println("of", s.Requests, "requests accepted:", s.Accepts)
	// Output:
	// most were not sent: true
	// of 1000 requests accepted: 0
}
