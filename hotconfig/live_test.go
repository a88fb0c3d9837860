package hotconfig

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func put(t testing.TB, dir, name, data string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestGetDoesNotAllocate(t *testing.T) {
	l := mustLoad[config](t, files{"default.yaml": ""})
	var got *config
	if n := testing.AllocsPerRun(1000, func() { got = l.Get() }); n != 0 || got.Port != 8080 {
		t.Errorf("%v allocations", n)
	}
}

func TestReload(t *testing.T) {
	var events []Event
	var log bytes.Buffer
	dir := files{"default.yaml": "port: 1\n"}.write(t)
	l, err := Load[config](Options{Dir: dir, Environ: []string{}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		OnEvent: func(e Event) { events = append(events, e) }})
	if err != nil {
		t.Fatal(err)
	}
	var seen [][2]int
	l.OnChange(func(old, new *config) { seen = append(seen, [2]int{old.Port, new.Port}) })
	first := l.Version()

	if err := l.Reload(t.Context()); err != nil || l.Version().Number != 1 {
		t.Errorf("of the same: %v, version %d", err, l.Version().Number)
	}
	held := l.Get()
	put(t, dir, "default.yaml", "port: 0\n")
	err = l.Reload(t.Context())
	checkError(t, dir, err, "default.yaml:1:7: port: 0 is not allowed; allowed: 1..65535")
	if l.Get() != held || l.Version().Number != 1 || l.Version().Hash != first.Hash {
		t.Error("a rejected configuration left a trace")
	}
	if s := l.Stats(); s.LastError == nil || s.LastFailure.IsZero() {
		t.Errorf("stats after a rejection: %+v", s)
	}
	put(t, dir, "default.yaml", "port: 2\n")
	if err := l.Reload(t.Context()); err != nil || l.Get().Port != 2 || held.Port != 1 {
		t.Errorf("%v: %d, and the held one %d", err, l.Get().Port, held.Port)
	}
	if v := l.Version(); v.Number != 2 || v.Hash == first.Hash || v.Time.Before(first.Time) {
		t.Errorf("version %+v after %+v", v, first)
	}
	put(t, dir, "default.yaml", "port: 2 # the same, said otherwise\n")
	if err := l.Reload(t.Context()); err != nil || l.Version().Number != 3 {
		t.Errorf("other bytes are another version: %v %+v", err, l.Version())
	}

	var results []string
	for _, e := range events {
		results = append(results, string(e.Result))
		if (e.Err != nil) != (e.Result == Rejected) || e.At.IsZero() || e.Version.Number == 0 {
			t.Errorf("event %+v", e)
		}
	}
	if got := strings.Join(results, " "); got != "loaded unchanged rejected loaded loaded" {
		t.Errorf("events: %s", got)
	}
	if len(seen) != 2 || seen[0] != [2]int{1, 2} || seen[1] != [2]int{2, 2} {
		t.Errorf("changes: %v", seen)
	}
	s := l.Stats()
	if s.Loaded != 3 || s.Unchanged != 1 || s.Rejected != 1 || s.LastError != nil || s.LastSuccess.IsZero() || s.Panics != 0 {
		t.Errorf("stats: %+v", s)
	}
	if text := log.String(); strings.Count(text, "configuration loaded") != 3 || strings.Count(text, "configuration rejected") != 1 {
		t.Errorf("log: %s", text)
	}
}

// A file that said something and is now empty or gone is an accident, not a wish.
func TestAnEmptiedOrVanishedFileIsRejected(t *testing.T) {
	dir := files{"default.yaml": "port: 1\n", "x.yaml": "ratio: 0.7\n"}.write(t)
	l, err := Load[config](Options{Dir: dir, Environ: []string{"APP_ENV=x"}, AllowMissingEnvFile: true, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	reload := func(want string) {
		t.Helper()
		checkError(t, dir, l.Reload(t.Context()), want)
	}
	put(t, dir, "default.yaml", "")
	reload("default.yaml: was not empty before and is now; write {} if that is meant")
	put(t, dir, "default.yaml", "# port: 1\n")
	reload("default.yaml: was not empty before and is now; write {} if that is meant")
	put(t, dir, "default.yaml", "port: 1\n")
	put(t, dir, "x.yaml", "\n")
	reload("x.yaml: was not empty before and is now; write {} if that is meant")
	if err := os.Remove(filepath.Join(dir, "x.yaml")); err != nil {
		t.Fatal(err)
	}
	reload("x.yaml: was there before and is gone")
	if c := l.Get(); c.Port != 1 || c.Ratio != 0.7 {
		t.Errorf("the last good one is not in force: %+v", c)
	}
	put(t, dir, "x.yaml", "{}\n")
	reload("")
	if c := l.Get(); c.Ratio != 0.5 {
		t.Errorf("{} did not reset: %+v", c)
	}
	if err := os.Remove(filepath.Join(dir, "default.yaml")); err != nil {
		t.Fatal(err)
	}
	reload("default.yaml: there is no such file in DIR; the lowest layer must exist")
}

// Listeners may do as they like: use the Live, add others, panic.
func TestListenersRunOutsideLocksInOrder(t *testing.T) {
	dir := files{"default.yaml": "port: 1\n"}.write(t)
	var fromEvent []uint64
	var l *Live[config]
	l, err := Load[config](Options{Dir: dir, Environ: []string{}, Logger: silent, OnEvent: func(e Event) {
		if e.Result == Loaded {
			fromEvent = append(fromEvent, e.Version.Number)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	l.OnChange(func(_, new *config) {
		order = append(order, "first "+itoa(new.Port))
		if new.Port == 2 {
			put(t, dir, "default.yaml", "port: 3\n")
			if err := l.Reload(context.Background()); err != nil {
				t.Error(err)
			}
			if l.Get().Port != 3 || l.Stats().Loaded != 3 {
				t.Errorf("a reload in a listener did not take: %+v", l.Stats())
			}
			l.OnChange(func(_, new *config) { order = append(order, "late "+itoa(new.Port)) })
			order = append(order, "and done")
		}
	})
	l.OnChange(func(*config, *config) { panic("listener") })
	l.OnChange(func(_, new *config) { order = append(order, "last "+itoa(new.Port)) })
	put(t, dir, "default.yaml", "port: 2\n")
	if err := l.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "default.yaml", "port: 4\n")
	if err := l.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "first 2, and done, last 2, first 3, last 3, first 4, last 4, late 4"
	if got := strings.Join(order, ", "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if s := l.Stats(); s.Panics != 3 {
		t.Errorf("%d panics counted", s.Panics)
	}
	if len(fromEvent) != 4 || fromEvent[3] != 4 {
		t.Errorf("events %v", fromEvent)
	}
}

// Many reloads by hand at once: every version is announced once, in order, and readers never see a mixture.
func TestConcurrentReloads(t *testing.T) {
	type twins struct{ A, B int }
	dir := files{"default.yaml": "a: 1\nb: 1\n"}.write(t)
	l, err := Load[twins](Options{Dir: dir, Environ: []string{}, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	last := 1
	l.OnChange(func(old, new *twins) {
		if old.A != last || new.A != new.B {
			t.Errorf("after %d came %+v -> %+v", last, old, new)
		}
		last = new.A
	})
	stop := make(chan struct{})
	var readers, reloaders sync.WaitGroup
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if c := l.Get(); c.A != c.B {
				t.Errorf("mixed: %+v", c)
				return
			}
		}
	})
	for range 4 {
		reloaders.Go(func() {
			for range 50 {
				if err := l.Reload(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := 2; i < 30; i++ {
		next := filepath.Join(dir, "next")
		put(t, dir, "next", "a: "+itoa(i)+"\nb: "+itoa(i)+"\n")
		if err := os.Rename(next, filepath.Join(dir, "default.yaml")); err != nil {
			t.Fatal(err)
		}
	}
	reloaders.Wait()
	close(stop)
	readers.Wait()
	if err := l.Reload(t.Context()); err != nil || l.Get().A != 29 || last != 29 {
		t.Errorf("%v: in force %d, announced %d", err, l.Get().A, last)
	}
}

func TestReloadGivesUpWithItsContext(t *testing.T) {
	l := mustLoad[config](t, files{"default.yaml": ""})
	before := l.Stats()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Reload(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled before: %v", err)
	}
	l.turn <- struct{}{} // another reload is running
	done := make(chan error)
	ctx, cancel = context.WithCancel(t.Context())
	go func() { done <- l.Reload(ctx) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("canceled while waiting: %v", err)
	}
	<-l.turn
	if s := l.Stats(); s.Rejected != before.Rejected || s.LastError != nil {
		t.Errorf("giving up counts as a rejection: %+v", s)
	}
}
