package hotconfig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// bubble runs a watcher in virtual time, with signals of the test's own. It returns when the watcher reloaded, in
// milliseconds.
func bubble(t *testing.T, script func(signal func(), set func(differs bool))) string {
	t.Helper()
	var reloads []string
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		events := make(chan fsnotify.Event)
		var differs atomic.Bool
		w := &watcher{
			debounce: debounce{quiet: 100 * time.Millisecond, most: time.Second}, poll: 30 * time.Second, log: silent, events: events,
			differs: func(context.Context) bool { return differs.Load() },
			reload: func(context.Context) {
				reloads = append(reloads, fmt.Sprint(time.Since(start).Milliseconds()))
				time.Sleep(10 * time.Millisecond) // a reload takes its time, and signals must wait for it
			},
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.run(ctx); close(done) }()
		synctest.Wait()
		script(func() { events <- fsnotify.Event{} }, differs.Store)
		stop()
		<-done
	})
	return strings.Join(reloads, " ")
}

func TestDebounce(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		name, want string
		script     func(signal func(), set func(bool))
	}{
		{"one signal", "100", func(signal func(), _ func(bool)) { signal(); time.Sleep(time.Second) }},
		{"nothing", "", func(func(), func(bool)) { time.Sleep(20 * time.Second) }},
		{"a second signal in time begins anew", "150", func(signal func(), _ func(bool)) {
			signal()
			time.Sleep(50 * ms)
			signal()
			time.Sleep(time.Second)
		}},
		{"never quiet", "1000 2020 2440", func(signal func(), _ func(bool)) {
			for range 40 {
				signal()
				time.Sleep(60 * ms)
			}
			time.Sleep(time.Second)
		}},
		{"a signal during the reload leads to one more", "100 210", func(signal func(), _ func(bool)) {
			signal()
			time.Sleep(105 * ms)
			signal()
			time.Sleep(time.Second)
		}},
		{"the end while waiting", "", func(signal func(), _ func(bool)) { signal() }},
	} {
		if got := bubble(t, c.script); got != c.want {
			t.Errorf("%s: reloads at %q, want %q", c.name, got, c.want)
		}
	}
}

// Without any signal the poll finds the change, and waits for the file to be quiet as after a signal.
func TestPoll(t *testing.T) {
	got := bubble(t, func(_ func(), set func(bool)) {
		time.Sleep(time.Second)
		set(true)
		time.Sleep(32200 * time.Millisecond)
		set(false)
		time.Sleep(5 * time.Minute)
	})
	var at int
	if _, err := fmt.Sscan(got, &at); err != nil || strings.Contains(got, " ") || at < 27000+100 || at > 33000+100 {
		t.Errorf("reloads at %q, want one between 27.1s and 33.1s", got)
	}
}

// waiter collects what a Live tells and lets a test wait for it.
type waiter struct {
	events chan Event
}

func watched[T any](t *testing.T, o Options) (*Live[T], *waiter) {
	t.Helper()
	w := &waiter{events: make(chan Event, 1000)}
	o.OnEvent = func(e Event) { w.events <- e }
	o.Logger = silent
	if o.Environ == nil {
		o.Environ = []string{}
	}
	l, err := Load[T](o)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Watch(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	w.until(t, Loaded)
	return l, w
}

// patience is much longer than anything waited for takes.
const patience = 10 * time.Second

// until waits for an event with the given result and returns it.
func (w *waiter) until(t *testing.T, want Result) Event {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case e := <-w.events:
			if e.Result == want {
				return e
			}
		case <-limit:
			t.Fatalf("no event %q within %v", want, patience)
		}
	}
}

func TestADeletedFileIsToldAndComesBack(t *testing.T) {
	dir := files{"default.yaml": "port: 1\n"}.write(t)
	l, w := watched[config](t, Options{Dir: dir})
	if err := os.Remove(filepath.Join(dir, "default.yaml")); err != nil {
		t.Fatal(err)
	}
	e := w.until(t, Rejected)
	checkError(t, dir, e.Err, "default.yaml: there is no such file in DIR; the lowest layer must exist")
	if l.Get().Port != 1 || e.Version.Number != 1 {
		t.Error("the last good one is not in force")
	}
	put(t, dir, "default.yaml", "port: 2\n")
	if w.until(t, Loaded); l.Get().Port != 2 {
		t.Errorf("port %d", l.Get().Port)
	}
	// Back to what was there: that is no new version, but the trouble is over, which must be told too.
	put(t, dir, "default.yaml", "port: 0\n")
	w.until(t, Rejected)
	put(t, dir, "default.yaml", "port: 2\n")
	w.until(t, Unchanged)
	if s := l.Stats(); s.LastError != nil || s.Rejected != 2 {
		t.Errorf("%+v", s)
	}
}

// The directory goes away, deleted or renamed, or a file takes its place; all of it comes back.
func TestAVanishedDirectory(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "conf")
	make1 := func(port int) {
		t.Helper()
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, dir, "default.yaml", fmt.Sprintf("port: %d\n", port))
	}
	make1(1)
	l, w := watched[config](t, Options{Dir: dir})
	for i, away := range []func() error{
		func() error { return os.RemoveAll(dir) },
		func() error { return os.Rename(dir, filepath.Join(root, "old")) },
		func() error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, []byte("x"), 0o600)) },
	} {
		if err := away(); err != nil {
			t.Fatal(err)
		}
		if e := w.until(t, Rejected); l.Get().Port != i+1 {
			t.Errorf("%d: port %d after %v", i, l.Get().Port, e.Err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		make1(i + 2)
		if w.until(t, Loaded); l.Get().Port != i+2 {
			t.Errorf("%d: port %d after its return", i, l.Get().Port)
		}
	}
}

// A change that no directory watch can see, here of a directory above: the poll finds it.
func TestPollFindsWhatSignalsMiss(t *testing.T) {
	root := t.TempDir()
	for _, n := range []string{"1", "2"} {
		dir := filepath.Join(root, "v"+n, "sub", "conf")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, dir, "default.yaml", "port: "+n+"\n")
	}
	l, w := watched[config](t, Options{Dir: filepath.Join(root, "v1", "sub", "conf"), Poll: 50 * time.Millisecond})
	if err := errors.Join(os.Rename(filepath.Join(root, "v1"), filepath.Join(root, "v0")),
		os.Rename(filepath.Join(root, "v2"), filepath.Join(root, "v1"))); err != nil {
		t.Fatal(err)
	}
	if w.until(t, Loaded); l.Get().Port != 2 {
		t.Errorf("port %d", l.Get().Port)
	}
}

// The file of a _FILE variable is a source like the others.
func TestASecretFileIsWatched(t *testing.T) {
	secrets := files{"token": "one\n"}.write(t)
	l, w := watched[config](t, Options{Dir: files{"default.yaml": ""}.write(t), Environ: []string{"APP_TOKEN_FILE=" + filepath.Join(secrets, "token")}})
	put(t, secrets, "token", "two\n")
	if w.until(t, Loaded); l.Get().Token != "two" {
		t.Errorf("token %q", l.Get().Token)
	}
}

// What is wrong is told once, however often the watcher tries again, and a target that refused gets its chance.
func TestTheSameRejectionIsToldOnce(t *testing.T) {
	dir := files{"default.yaml": "port: 1\n"}.write(t)
	l, w := watched[config](t, Options{Dir: dir, Debounce: 5 * time.Millisecond, Poll: 5 * time.Millisecond})
	tries := make(chan int, 1000)
	count := 0
	err := Bind(l, func(c *config) int { return c.Port }, prepareFunc(func(port int) (func(), error) {
		if port == 2 {
			count++
			tries <- count
			if count < 5 {
				return nil, errors.New("busy")
			}
		}
		return nil, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "default.yaml", "port: 2\n")
	if w.until(t, Loaded); l.Get().Port != 2 || <-tries != 1 {
		t.Errorf("port %d", l.Get().Port)
	}
	if s := l.Stats(); s.Rejected > 2 { // "was not empty" may come before, if the look fell between truncation and write
		t.Errorf("%d rejections told of one", s.Rejected)
	}
}

func TestWatchAndClose(t *testing.T) {
	l := mustLoad[config](t, files{"default.yaml": ""})
	for range 2 {
		if err := l.Watch(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Watch(); !errors.Is(err, ErrClosed) {
		t.Errorf("Watch after Close: %v", err)
	}
	if err := l.Reload(t.Context()); err != nil || l.Get().Port != 8080 {
		t.Errorf("after Close: %v", err)
	}
	never := mustLoad[config](t, files{"default.yaml": ""})
	if err := never.Close(); err != nil {
		t.Error(err)
	}
}

func TestCloseWaitsForTheListenerThatIsRunning(t *testing.T) {
	dir := files{"default.yaml": "port: 1\n"}.write(t)
	l, _ := watched[config](t, Options{Dir: dir})
	started, release := make(chan struct{}), make(chan struct{})
	var ended atomic.Bool
	l.OnChange(func(*config, *config) {
		close(started)
		<-release
		ended.Store(true)
	})
	put(t, dir, "default.yaml", "port: 2\n")
	select {
	case <-started:
	case <-time.After(patience):
		t.Fatal("the change was not announced")
	}
	closed := make(chan bool)
	go func() {
		err := l.Close()
		closed <- err == nil && ended.Load()
	}()
	select {
	case <-closed:
		t.Error("Close did not wait")
		close(release)
	case <-time.After(50 * time.Millisecond):
		close(release)
		if !<-closed {
			t.Error("Close came back too early")
		}
	}
}
