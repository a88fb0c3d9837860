package cache

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Defects found in other libraries, by their numbers in our notes.

// TestD24_LeaderCancelledDoesNotCancelTheOthers: x/sync's singleflight runs the call with the first caller's context,
// so that a healthy second caller got the first one's "context canceled".
func TestD24_LeaderCancelledDoesNotCancelTheOthers(t *testing.T) {
	for name, leave := range map[string]func(x *caller){
		"cancelled": func(x *caller) { x.cancel(nil) },
		"expired":   func(*caller) { time.Sleep(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, g := mustNew(t, steady, testHooks{}), newGate()
				ctx, stop := context.WithTimeout(bg, time.Second)
				defer stop()
				leader := call(ctx, c, "a", g.load)
				healthy := call(bg, c, "a", never(t))
				leave(leader)
				<-leader.done
				if leader.err == nil {
					t.Errorf("the leader got %d", leader.v)
				}
				healthy.waits(t)
				if g.ctx.Err() != nil {
					t.Error("the load was cancelled although somebody waits for it")
				}
				g.open <- answer{v: 7}
				healthy.want(t, 7, nil)
			})
		})
	}
}

// And nobody joins a load that has been cancelled: the caller who comes next would get an error that is not his.
func TestD24_NobodyJoinsACancelledLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := mustNew(t, steady, testHooks{})
		slow := func(ctx context.Context) (int, error) {
			<-ctx.Done()
			time.Sleep(time.Second) // to clean up
			return 0, ctx.Err()
		}
		first := call(bg, c, "a", slow)
		first.cancel(nil)
		first.want(t, 0, context.Canceled)
		want(t, c, "a", gives(7), 7, nil)
	})
}
