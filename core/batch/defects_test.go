package batch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Defects found in other libraries, by their numbers in our notes.

// TestD24_TheFirstCallerLeavesAlone: in x/sync/singleflight a healthy second caller got the first one's "context
// canceled". Here what one caller's context does is its own affair, whoever came first.
func TestD24_TheFirstCallerLeavesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{reply: func(ctx context.Context, reqs []int) ([]int, error) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(time.Second):
				return times10(reqs), nil
			}
		}}
		b := newBatcher(t, Config{MaxItems: 2}, s)
		ctx, cancel := context.WithCancel(bg)
		first, second := do(ctx, b, 1), do(bg, b, 2)
		cancel()
		if a := <-first; a.err != context.Canceled {
			t.Errorf("%+v", a)
		}
		wantOK(t, second, 2)

		soon, cancel2 := context.WithTimeout(bg, time.Millisecond)
		defer cancel2()
		first, second = do(soon, b, 1), do(bg, b, 2)
		if a := <-first; !errors.Is(a.err, context.DeadlineExceeded) {
			t.Errorf("%+v", a)
		}
		wantOK(t, second, 2)
		shut(t, b)
	})
}

// TestD25_NewStartsNothing: no goroutine and no timer until the first call, so a batcher that is never used need not be
// closed.
func TestD25_NewStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // ends with a failure if a goroutine is left
		b := newBatcher(t, Config{}, &server{})
		if b.timer != nil {
			t.Error("a timer")
		}
	})
}
