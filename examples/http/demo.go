package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/hotconfig"
)

// story is the demo: the shop under load, things that go wrong, and what was observed.
type story struct {
	*service
	ctx    context.Context
	file   string // the configuration that the demo edits
	began  time.Time
	orders *load

	states chan observed[core.Event]
	loads  chan observed[hotconfig.Event]

	wrong int // expectations that were not met
}

// observed is an event with the time at which it was seen.
type observed[E any] struct {
	event E
	at    time.Time
}

// pears is what every order of the story is for.
const pears = `{"product":"pear","quantity":2}`

// patience bounds every wait of the story, so that it ends on a slow machine too.
const patience = 15 * time.Second

// tell runs the demo on a copy of the configuration; the error says how many expectations were not met.
func tell(ctx context.Context, dir string) error {
	st := &story{
		ctx: ctx, began: time.Now(), orders: newLoad(),
		states: make(chan observed[core.Event], 64), loads: make(chan observed[hotconfig.Event], 64),
	}
	copied, err := st.copyConfig(dir)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(copied) }() // a temporary folder; the system clears it too
	st.service, err = start(options{
		dir: copied, listen: "127.0.0.1:0", admin: "127.0.0.1:0", log: slog.New(slog.DiscardHandler),
		onEvent: func(e core.Event) {
			if e.Type == core.StateChanged && e.By.Name == "payments" {
				st.states <- observed[core.Event]{e, time.Now()}
			}
		},
		onLoad: func(e hotconfig.Event) { st.loads <- observed[hotconfig.Event]{e, time.Now()} },
	})
	if err != nil {
		return err
	}
	st.say("the shop is open at %s, its payment provider answers in 3 ms; real HTTP over loopback from here on", st.url)
	for _, scene := range []func(){st.slowness, st.outage, st.flakyStock, st.newLimit, st.brokenFile, st.contradiction, st.leaving} {
		scene()
	}
	if st.wrong > 0 {
		return fmt.Errorf("%d of the things above did not happen as they should", st.wrong)
	}
	st.say("all of it was observed")
	return nil
}

// copyConfig makes a configuration that the demo may edit, with a shorter window so that the story stays short.
func (st *story) copyConfig(dir string) (copied string, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "default.yaml"))
	if err != nil {
		return "", err
	}
	if copied, err = os.MkdirTemp("", "mw-shop-"); err != nil {
		return "", err
	}
	st.file = filepath.Join(copied, "default.yaml")
	if err = os.WriteFile(st.file, text, 0o600); err != nil {
		return copied, err
	}
	return copied, errors.Join(st.edit("window: 10s", "window: 2s"), st.edit("limit: 50\n", "limit: 1000\n"))
}

// edit replaces text in the file, in place.
func (st *story) edit(old, fresh string) error {
	text, err := os.ReadFile(st.file)
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), old) {
		return fmt.Errorf("%s does not contain %q", st.file, old)
	}
	return os.WriteFile(st.file, []byte(strings.Replace(string(text), old, fresh, 1)), 0o600)
}

func (st *story) say(format string, args ...any) {
	fmt.Printf("%6.2fs  %s\n", time.Since(st.began).Seconds(), fmt.Sprintf(format, args...))
}

// expect tells what was observed and whether it is what should be.
func (st *story) expect(ok bool, format string, args ...any) {
	mark := "ok   "
	if !ok {
		mark = "WRONG"
		st.wrong++
	}
	st.say(mark+" "+format, args...)
}

func (st *story) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-st.ctx.Done():
	}
}

// await returns the first event that fits, or false after the patience.
func await[E any](ctx context.Context, events <-chan observed[E], fits func(E) bool) (o observed[E], ok bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		select {
		case o = <-events:
			if fits(o.event) {
				return o, true
			}
		case <-ctx.Done():
			return o, false
		}
	}
}

// lineOf returns the number of the first line of the file that contains text.
func (st *story) lineOf(text string) int {
	content, err := os.ReadFile(st.file)
	if err != nil {
		return -1
	}
	before, _, _ := strings.Cut(string(content), text)
	return strings.Count(before, "\n") + 1
}
