package bulkhead

import (
	"context"
	"runtime"
	"testing"

	"github.com/mw-go/mw/core"
)

// Defects found in other libraries, by their numbers in our notes.

// TestD02_PanicGivesTheSlotBack: a panic or runtime.Goexit in the call costs no slot, however often.
func TestD02_PanicGivesTheSlotBack(t *testing.T) {
	b := bulkhead(t, Config{Limit: 2})
	k := keyedBulkhead(t, Config{Limit: 2})
	ways := map[string]func(f func(context.Context) (int, error)){
		"Do":      func(f func(context.Context) (int, error)) { _, _ = Do(bg, b, f) },
		"core.Do": func(f func(context.Context) (int, error)) { _, _ = core.Do(bg, k, core.Call{Key: keyOf(1)}, nil, f) },
	}
	for name, do := range ways {
		for range 10 {
			for _, fall := range []func(){func() { panic("x") }, runtime.Goexit} {
				done, ran := make(chan any), false
				go func() {
					defer func() { done <- recover() }()
					do(func(context.Context) (int, error) { ran = true; fall(); return 0, nil })
				}()
				<-done
				if !ran {
					t.Fatalf("%s: the call did not run: a slot is lost", name)
				}
			}
		}
	}
	atRest(t, b)
	atRest(t, &k.Bulkhead)
}
