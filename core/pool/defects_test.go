package pool

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// Defects found in other libraries, by their numbers in our notes.

// TestD02_PanicGivesThePlaceBack: a panic or runtime.Goexit in the call discards the resource, costs no place and goes
// on untouched, however often.
func TestD02_PanicGivesThePlaceBack(t *testing.T) {
	for name, fall := range map[string]func(){"panic": func() { panic("ouch") }, "runtime.Goexit": runtime.Goexit} {
		synctest.Test(t, func(t *testing.T) {
			m := &maker{}
			p := newPool(t, Config{Max: 1}, m)
			for range 10 {
				end := make(chan any)
				go func() {
					defer func() { end <- recover() }()
					_, _ = Do(bg, p, func(context.Context, *conn) (int, error) { fall(); return 0, nil })
				}()
				if r := <-end; (r == "ouch") != (name == "panic") {
					t.Errorf("recovered %v", r)
				}
			}
			synctest.Wait()
			if s := p.Snapshot(); s.Out != 0 || s.Discarded != 10 {
				t.Errorf("%s: %+v", name, s)
			}
			shut(t, p, m)
		})
	}
}

// TestD24_CreationOutlivesItsCaller: in x/sync/singleflight a healthy second caller got the first one's "context
// canceled". Here the next one has what was created, or it lies idle.
func TestD24_CreationOutlivesItsCaller(t *testing.T) { // C1
	synctest.Test(t, func(t *testing.T) {
		var inside context.Context
		type key struct{}
		m := &maker{create: func(ctx context.Context, _ int) error {
			inside = ctx
			time.Sleep(time.Second)
			return ctx.Err()
		}}
		p := newPool(t, Config{Max: 1}, m)
		ctx, cancel := context.WithCancel(context.WithValue(bg, key{}, "a secret of the first caller"))
		first := wait(ctx, p)
		second := wait(bg, p)
		cancel()
		wantReason(t, (<-first).err, core.ReasonLeft)
		a := <-second
		if a.err != nil || a.lease.Value().id != 1 || inside.Value(key{}) != nil {
			t.Errorf("%v, resource %d, value %v", a.err, a.lease.Value().id, inside.Value(key{}))
		}
		a.lease.Discard()

		ctx, cancel = context.WithCancel(bg)
		third := wait(ctx, p)
		cancel()
		<-third
		time.Sleep(time.Second)
		synctest.Wait()
		if s := p.Snapshot(); s.Idle != 1 || s.Created != 2 {
			t.Errorf("%+v", s)
		}
		shut(t, p, m)
	})
}

// TestD25_NewStartsNothing: no goroutine and no timer until the first call, so a pool that is never used need not be
// closed.
func TestD25_NewStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // ends with a failure if a goroutine is left
		m := &maker{}
		p := newPool(t, Config{Max: 2, Min: 2}, m)
		if p.timer != nil || m.made.Load() != 0 {
			t.Error("a timer, or a resource")
		}
	})
}
