package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

func start(t testing.TB, c Config) *Lifecycle {
	t.Helper()
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	l.Ready()
	return l
}

// Each step comes at its moment: not ready at once, draining after the wait, force after the grace.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, Config{Wait: 5 * time.Second, Grace: 20 * time.Second})
		begin := time.Now()
		at := func(what string, want time.Duration) {
			if got := time.Since(begin); got != want {
				t.Errorf("%s after %v, want %v", what, got, want)
			}
		}
		must(t, l.OnDrain("quick", func(context.Context) error {
			at("the stops begin", 5*time.Second)
			return nil
		}))
		must(t, l.OnDrain("slow", func(ctx context.Context) error {
			<-ctx.Done()
			at("force", 25*time.Second)
			return errors.New("hung")
		}))
		ended := make(chan error)
		go func() { ended <- l.Shutdown(context.Background()) }()
		synctest.Wait()
		if l.State() != Leaving {
			t.Errorf("%v", l.State())
		}
		l.Ready()
		select {
		case <-l.Draining():
			t.Error("draining at once")
		default:
		}
		<-l.Draining()
		at("draining", 5*time.Second)
		if err := l.OnDrain("late", func(context.Context) error { return nil }); err == nil {
			t.Error("a function that never runs was taken")
		}
		if err := <-ended; err == nil || err.Error() != "slow: hung" {
			t.Error(err)
		}
		<-l.Stopped()
		at("stopped", 25*time.Second)
		if l.State() != Stopped {
			t.Error(l.State())
		}
		if err := l.Shutdown(context.Background()); err == nil || err.Error() != "slow: hung" {
			t.Error("the second call:", err)
		}
	})
}

// A context that ends hurries: the first call's, and that of a second one.
func TestShutdownInAHurry(t *testing.T) {
	for _, second := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := start(t, Config{})
			must(t, l.OnDrain("slow", func(ctx context.Context) error { <-ctx.Done(); return nil }))
			begin := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			if second {
				go func() { _ = l.Shutdown(context.Background()) }()
				synctest.Wait()
			}
			if err := l.Shutdown(ctx); err != nil || time.Since(begin) != 2*time.Second {
				t.Error(err, time.Since(begin))
			}
		})
	}
}

// A stop that panics or ends its goroutine does not keep the others from running, nor Shutdown from returning.
func TestStopsThatBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, Config{Wait: core.None})
		ran := false
		must(t, l.OnDrain("bad", func(context.Context) error { panic("boom") }))
		must(t, l.OnDrain("gone", func(context.Context) error { runtime.Goexit(); return nil }))
		must(t, l.OnDrain("good", func(context.Context) error { ran = true; return nil }))
		err := l.Shutdown(context.Background())
		var p *core.PanicError
		if !errors.As(err, &p) || p.Value != "boom" || !strings.HasPrefix(err.Error(), "bad: ") || !ran {
			t.Error(err, ran)
		}
		if err := l.OnDrain("nil", nil); err == nil {
			t.Error("a nil function")
		}
	})
}

// Who watches sees the latest state, and never blocks anybody.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := New(Config{Wait: core.None})
		must(t, err)
		states, cancel := l.Watch()
		defer cancel()
		deaf, cancelDeaf := l.Watch()
		if got := <-states; got != Starting {
			t.Error(got)
		}
		l.Ready()
		if got := <-states; got != Ready {
			t.Error(got)
		}
		l.Unready()
		l.Ready()
		l.Ready()
		if got := <-states; got != Ready {
			t.Error(got)
		}
		must(t, l.Shutdown(context.Background()))
		if got := <-states; got != Stopped {
			t.Error(got)
		}
		if got := <-deaf; got != Stopped {
			t.Error(got)
		}
		cancelDeaf()
		cancelDeaf()
	})
}

func TestConfig(t *testing.T) {
	for _, c := range []Config{{Wait: time.Hour}, {Grace: -5}, {Grace: 2 * time.Hour}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	l := start(t, Config{})
	if l.Config() != (Config{Wait: 5 * time.Second, Grace: 20 * time.Second}) {
		t.Errorf("%+v", l.Config())
	}
	if err := l.Tune(Config{Grace: -5}); err == nil || l.Config().Grace != 20*time.Second {
		t.Error(err, l.Config())
	}
	if err := l.Tune(Config{Grace: time.Minute}); err != nil || l.Config().Grace != time.Minute {
		t.Error(err, l.Config())
	}
}

// All of it at once, for the race detector.
func TestConcurrentUse(t *testing.T) {
	l := start(t, Config{Wait: core.None})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 50 {
				states, cancel := l.Watch()
				l.Unready()
				l.Ready()
				_ = l.OnDrain(fmt.Sprint(n), func(context.Context) error { return nil })
				<-states
				_ = l.State()
				cancel()
			}
			if i%2 == 0 {
				_ = l.Shutdown(context.Background())
			}
		})
	}
	all.Wait()
	<-l.Stopped()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
