package timeout

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// An adapter's own goroutine takes a place while it is left behind, and only then: B1, B2, B4.
func TestDetached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mustNew(t, Config{Limit: 100 * ms, MaxAbandoned: 1}, Hooks{})
		begin := func(takes time.Duration, panicked bool) (left bool, took time.Duration) {
			start := time.Now()
			a, _ := to.Admit(0, core.Never)
			ctx, cancel := a.Context(bg)
			defer cancel()
			d := a.Detach()
			go func() {
				defer d.End(panicked)
				time.Sleep(takes)
			}()
			left = d.Leave(ctx.Done())
			a.Done(0, core.Ignored)
			return left, time.Since(start)
		}
		if left, took := begin(50*ms, true); left || took != 50*ms {
			t.Errorf("in time: left %v after %v", left, took)
		}
		if left, took := begin(time.Second, true); !left || took != 100*ms {
			t.Errorf("over: left %v after %v", left, took)
		}
		if left, took := begin(300*ms, false); left || took != 300*ms { // no place: the first runs on
			t.Errorf("no place: left %v after %v", left, took)
		}
		if s := to.Snapshot(); s.Running != 1 || s.Abandoned != 1 || s.Panics != 0 {
			t.Errorf("while it runs: %+v", s)
		}
		time.Sleep(time.Second)
		if s := to.Snapshot(); s.Running != 0 || s.Panics != 1 {
			t.Errorf("afterwards: %+v", s)
		}
		atRest(t, to)
	})
}

// Judge gives an adapter what Do would return.
func TestJudge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mustNew(t, Config{Limit: 100 * ms}, Hooks{})
		a, _ := to.Admit(0, core.Never)
		ctx, cancel := a.Context(bg)
		defer cancel()
		if o, err := a.Judge(ctx, errDown); o == core.Timeout || err != errDown {
			t.Errorf("in time: %v, %v", o, err)
		}
		<-ctx.Done()
		o, err := a.Judge(ctx, errDown)
		var over *Error
		if o != core.Timeout || !errors.As(err, &over) || over.Err != errDown || over.Limit != 100*ms {
			t.Errorf("over: %v, %v", o, err)
		}
		a.Done(0, o)
		if _, err := a.Judge(ctx, errDown); err != errDown {
			t.Errorf("after Done: %v", err)
		}
		var none Allowance
		if _, err := none.Judge(context.Background(), errDown); err != errDown {
			t.Errorf("the zero Allowance: %v", err)
		}
		atRest(t, to)
	})
}
