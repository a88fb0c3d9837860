package batch

import (
	"context"
	"errors"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

func tune(t *testing.T, b *Batcher[int, int], c Config) {
	t.Helper()
	if err := b.Tune(c); err != nil {
		t.Fatal(err)
	}
	check(t, b)
}

func TestTune(t *testing.T) {
	sub := func(name string, f func(t *testing.T, s *server)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { f(t, &server{}) }) })
	}
	sub("fewer items: what is collected goes if it is enough", func(t *testing.T, s *server) {
		b := newBatcher(t, Config{MaxItems: 5, Delay: time.Minute}, s)
		ends := []chan answer{do(bg, b, 1), do(bg, b, 2), do(bg, b, 3)}
		tune(t, b, Config{MaxItems: 4, Delay: time.Minute})
		still(t, ends[0])
		tune(t, b, Config{MaxItems: 2, Delay: time.Minute})
		for i, end := range ends {
			wantOK(t, end, i+1)
		}
		s.wantSent(t, []int{1, 2, 3})
		shut(t, b)
	})
	sub("fewer bytes, too", func(t *testing.T, s *server) {
		b := newBatcher(t, Config{Delay: time.Minute}, s)
		end := do(bg, b, 100)
		tune(t, b, Config{Delay: time.Minute, MaxBytes: 100})
		wantOK(t, end, 100)
		shut(t, b)
	})
	sub("another delay counts from the first item", func(t *testing.T, s *server) {
		b := newBatcher(t, Config{Delay: 10 * time.Second}, s)
		start := time.Now()
		end := do(bg, b, 1)
		time.Sleep(3 * time.Second)
		tune(t, b, Config{Delay: 5 * time.Second})
		wantOK(t, end, 1)
		if got := time.Since(start); got != 5*time.Second {
			t.Errorf("sent after %v", got)
		}
		start = time.Now()
		end = do(bg, b, 2)
		time.Sleep(3 * time.Second)
		tune(t, b, Config{Delay: time.Second})
		wantOK(t, end, 2)
		if got := time.Since(start); got != 3*time.Second {
			t.Errorf("sent after %v", got)
		}
		start = time.Now()
		end = do(bg, b, 3)
		tune(t, b, Config{Delay: 2 * time.Second})
		wantOK(t, end, 3)
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("sent after %v", got)
		}
		shut(t, b)
	})
	sub("more at once start, and more places are given", func(t *testing.T, s *server) {
		s.reply = func(_ context.Context, reqs []int) ([]int, error) { time.Sleep(time.Second); return times10(reqs), nil }
		c := Config{MaxItems: 1, Concurrency: 1, Queue: 1, MaxWait: time.Hour}
		b := newBatcher(t, c, s)
		start := time.Now()
		ends := []chan answer{do(bg, b, 1), do(bg, b, 2), do(bg, b, 3), do(bg, b, 4)}
		c.Concurrency, c.Queue = 3, 2
		tune(t, b, c)
		for i, end := range ends {
			wantOK(t, end, i+1)
		}
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("took %v", got)
		}
		shut(t, b)
	})
	sub("another mode sends what is collected and lets those who wait run", func(t *testing.T, s *server) {
		s.reply = func(_ context.Context, reqs []int) ([]int, error) { time.Sleep(time.Second); return times10(reqs), nil }
		c := Config{MaxItems: 2, Delay: time.Minute, Concurrency: 2, Queue: 2, MaxWait: time.Hour}
		b := newBatcher(t, c, s)
		var ends []chan answer
		for i := range 7 { // four run, two are ready, one waits
			ends = append(ends, do(bg, b, i))
		}
		c.Mode = core.Disabled
		start := time.Now()
		tune(t, b, c)
		wantOK(t, ends[6], 6)
		if got := time.Since(start); got != time.Second {
			t.Errorf("the one who waited ran for %v", got)
		}
		for i, end := range ends[:6] {
			wantOK(t, end, i)
		}
		c.Mode = core.Enforce
		tune(t, b, c)
		end := do(bg, b, 9)
		if err := b.Override(core.Disabled, time.Minute); err != nil {
			t.Fatal(err)
		}
		wantOK(t, end, 9)
		if n := b.Snapshot(); n.Drained != 1 || !n.Overridden {
			t.Errorf("%+v", n)
		}
		time.Sleep(time.Minute) // the override is over
		a, z := do(bg, b, 10), do(bg, b, 11)
		wantOK(t, a, 10)
		wantOK(t, z, 11)
		if got := s.batches(); len(got[len(got)-1]) != 2 {
			t.Errorf("sent %v", got)
		}
		shut(t, b)
	})
	sub("a bad one changes nothing", func(t *testing.T, s *server) {
		b := newBatcher(t, Config{}, s)
		before := b.Config()
		if err := b.Tune(Config{MaxItems: -1}); err == nil || b.Config() != before {
			t.Errorf("%v, %+v", err, b.Config())
		}
		shut(t, b)
	})
}

func TestModes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		b := newBatcher(t, Config{MaxItems: 3, MaxBytes: 50, Delay: time.Second, Mode: core.Shadow}, s)
		start := time.Now()
		for i := range 7 { // two batches on paper, and one item of a third
			wantOK(t, do(bg, b, i), i)
		}
		wantOK(t, do(bg, b, 51), 51)
		if time.Since(start) != 0 {
			t.Error("shadow mode waits")
		}
		if n := b.Snapshot(); n.Paper != 2 || n.Shadowed != 1 || n.Rejected != 0 || n.Admitted != 8 || n.Batches != 0 || n.Running != 0 {
			t.Errorf("%+v", n)
		}
		if got := len(s.batches()); got != 8 {
			t.Errorf("%d calls", got)
		}
		tune(t, b, Config{Mode: core.Disabled})
		type key struct{}
		ctx := context.WithValue(bg, key{}, 1)
		wantOK(t, do(ctx, b, 3), 3)
		if s.ctxs[8].Value(key{}) != 1 {
			t.Error("alone, but not with its caller's context")
		}
		if n := b.Snapshot(); n.Paper != 2 || n.Admitted != 9 || n.Policy.Mode != core.Disabled {
			t.Errorf("%+v", n)
		}
		for name, fall := range map[string]func(){"panic": func() { panic("ouch") }, "runtime.Goexit": runtime.Goexit} {
			s.reply = func(context.Context, []int) ([]int, error) { fall(); return nil, nil }
			end := make(chan any)
			go func() {
				defer func() { end <- recover() }()
				_, _ = b.Do(bg, 1)
			}()
			if r := <-end; (r == "ouch") != (name == "panic") {
				t.Errorf("recovered %v", r)
			}
		}
		s.reply = func(context.Context, []int) ([]int, error) { return nil, nil }
		if _, err := b.Do(bg, 1); err == nil || err.Error() != `batch "test": Run returned 0 responses for 1 items` {
			t.Errorf("%v", err)
		}
		s.reply = func(context.Context, []int) ([]int, error) { return []int{7}, Errors{errDown} }
		if resp, err := b.Do(bg, 1); resp != 7 || err != errDown {
			t.Errorf("%d, %v", resp, err)
		}
		shut(t, b)
	})
}

func TestNewRefuses(t *testing.T) {
	run := (&server{}).run
	for name, test := range map[string]struct {
		name string
		c    Config
		h    Hooks[int, int]
		want string
	}{
		"no name":  {"", Config{}, Hooks[int, int]{Run: run}, `batch: name "" is not allowed; allowed: 1 to 64 of letters, digits and - _ . /`},
		"no Run":   {"b", Config{}, Hooks[int, int]{}, `batch "b": Hooks.Run is required`},
		"negative": {"b", Config{MaxItems: -1}, Hooks[int, int]{Run: run}, `batch "b": max_items: -1 is not allowed; allowed: 1..100000`},
	} {
		b, err := New(test.name, test.c, test.h)
		if b != nil || err == nil || err.Error() != test.want {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	bad := Config{MaxItems: -1, MaxBytes: -2, Delay: 1, Concurrency: -1, Queue: -1, MaxWait: 1, Mode: core.ForcedOpen}
	if faults, ok := errors.AsType[schema.Errors](bad.Validate()); !ok || len(faults) != 7 {
		t.Errorf("not every bad field is named: %v", bad.Validate())
	}
	b, err := New("b", Config{MaxItems: 2000}, Hooks[int, int]{Run: run})
	want := Config{MaxItems: 2000, MaxBytes: core.None, Delay: 5 * time.Millisecond, Concurrency: 4, Queue: 2000, MaxWait: core.None}
	if err != nil || b.Config() != want {
		t.Errorf("%v, defaults %+v", err, b.Config())
	}
	var machine core.Machine = b
	if got := machine.Status().Policy; got != (core.Policy{Kind: core.KindBatch, Name: "b", Limit: 2000}) {
		t.Errorf("%+v", got)
	}
}

// TestSizeMisbehaves: a negative size is an error of that caller, and a panic its own.
func TestSizeMisbehaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		h := Hooks[int, int]{Run: s.run, Size: func(r int) int {
			if r == 0 {
				panic("ouch")
			}
			return r
		}}
		b, err := New("test", Config{MaxItems: 2}, h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Do(bg, -5); err == nil || err.Error() != `batch "test": Hooks.Size returned -5; allowed: 0 or more` {
			t.Errorf("%v", err)
		}
		func() {
			defer func() {
				if r := recover(); r != "ouch" {
					t.Errorf("recovered %v", r)
				}
			}()
			_, _ = b.Do(bg, 0)
		}()
		const huge = math.MaxInt
		if err := b.Tune(Config{MaxItems: 3, Delay: time.Minute}); err != nil {
			t.Fatal(err)
		}
		x, y := do(bg, b, huge), do(bg, b, huge) // together more than an int64
		still(t, x)
		if err := b.Tune(Config{MaxItems: 3, Delay: time.Minute, MaxBytes: 100}); err != nil {
			t.Fatal(err)
		}
		if synctest.Wait(); len(x) != 1 || len(y) != 1 {
			t.Error("they measure less than nothing")
		}
		shut(t, b)
	})
}
