package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

// patience bounds every wait of the story, so that it ends on a slow machine too.
const patience = 15 * time.Second

// tell runs the demo on a copy of the configuration; the error says how many expectations were not met.
func tell(ctx context.Context, dir, _ string) error {
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
		dir: copied, listen: "127.0.0.1:0", log: slog.New(slog.DiscardHandler),
		onEvent: func(e core.Event) { st.states <- observed[core.Event]{e, time.Now()} },
		onLoad:  func(e hotconfig.Event) { st.loads <- observed[hotconfig.Event]{e, time.Now()} },
	})
	if err != nil {
		return err
	}
	st.say("the shop is open at %s, its payment provider answers in 3 ms; real HTTP over loopback from here on", st.url)
	st.outage()
	st.newLimit()
	st.brokenFile()
	if err := st.stop(); err != nil {
		return err
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

// outage: the provider hangs and heals.
func (st *story) outage() {
	ctx, cancel := context.WithCancel(st.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { st.orders.run(ctx, 100, "POST", st.url+"/orders") })
	defer wg.Wait()
	defer cancel()

	st.say("100 orders a second")
	start := time.Now()
	st.pause(3 * time.Second)
	hung := time.Now()
	calm := st.orders.between(start, hung)
	st.expect(mostly(calm), "%d of %d orders went through (%s), half of them within %v",
		calm.count(201), len(calm), calm.kinds(), calm.median(201).Round(100*time.Microsecond))

	st.say("the payment provider hangs: from now on it answers nothing")
	st.upstream.set("hanging")
	calls := st.upstream.calls.Load()
	opened, ok := await(st.ctx, st.states, func(e core.Event) bool { return e.To == "open" })
	asked := st.upstream.calls.Load() - calls
	slow := st.orders.between(hung, opened.at)
	st.expect(ok && asked > 0, "after %v and %d calls to it the breaker opens (%s); until then an order took %v to fail",
		opened.at.Sub(hung).Round(10*time.Millisecond), asked, opened.event.Cause, slow.median(503).Round(time.Millisecond))

	st.pause(1200 * time.Millisecond)
	quick := st.orders.between(opened.at.Add(500*time.Millisecond), time.Now())
	st.expect(quick.count(503) > 0 && quick.median(503)*5 < slow.median(503),
		"now %d orders were answered 503 with Retry-After, half of them within %v instead of %v", quick.count(503),
		quick.median(503).Round(time.Microsecond), slow.median(503).Round(time.Millisecond))

	st.upstream.set("healthy")
	healed := time.Now()
	st.say("the payment provider is healthy again")
	closed, ok := await(st.ctx, st.states, func(e core.Event) bool { return e.To == "closed" })
	st.expect(ok, "after %v its probes succeed and the breaker closes", closed.at.Sub(healed).Round(10*time.Millisecond))
	st.pause(time.Second)
	after := st.orders.between(closed.at.Add(100*time.Millisecond), time.Now())
	st.expect(mostly(after), "since then %d of %d orders went through",
		after.count(201), len(after))
}

// mostly reports that nearly all orders went through. Not all must: on a starved machine a healthy provider may answer
// too late as well.
func mostly(s samples) bool { return len(s) > 0 && s.count(201)*100 >= len(s)*95 }

// newLimit: the file is edited under load.
func (st *story) newLimit() {
	l := newLoad()
	ctx, cancel := context.WithCancel(st.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { l.run(ctx, 200, "GET", st.url+"/products") })
	start := time.Now()
	st.say("200 product requests a second, with a limit of 1000 a second for one client")
	st.pause(2 * time.Second)
	edited := time.Now()
	before := l.between(start, edited)
	st.expect(len(before) > 0 && before.count(200) == len(before), "%d of %d were answered 200", before.count(200), len(before))

	err := errors.Join(st.edit("limit: 1000\n", "limit: 40\n"), st.edit("burst: 100\n", "burst: 40\n"))
	st.say("the file is edited: 40 a second")
	loaded, ok := await(st.ctx, st.loads, func(e hotconfig.Event) bool { return e.Result == hotconfig.Loaded && e.Version.Number > 1 })
	st.expect(ok && err == nil, "version %d is live %v later", loaded.event.Version.Number, loaded.at.Sub(edited).Round(time.Millisecond))
	settled := loaded.at.Add(time.Second)
	st.pause(time.Until(settled) + 2*time.Second)
	end := time.Now()
	cancel()
	wg.Wait()
	limited := l.between(settled, end)
	rate := float64(limited.count(200)) / end.Sub(settled).Seconds()
	st.expect(rate > 30 && rate < 50 && limited.count(429) > 0, "%.1f a second are admitted, the rest is answered 429", rate)
	all := l.between(start, time.Now())
	st.expect(all.count(200, 429) == len(all), "of %d requests around the change, %d failed", len(all), len(all)-all.count(200, 429))
}

// brokenFile: a mistake is refused, and the last good settings stay.
func (st *story) brokenFile() {
	version := st.live.Version().Number
	err := st.edit("limit: 40\n", "limit: minus ten\n")
	st.say("somebody writes \"limit: minus ten\" into the file")
	refused, ok := await(st.ctx, st.loads, func(e hotconfig.Event) bool { return e.Result == hotconfig.Rejected })
	text := ""
	if refused.event.Err != nil {
		text = refused.event.Err.Error()
	}
	st.expect(ok && err == nil && strings.Contains(text, fmt.Sprintf("default.yaml:%d:", st.lineOf("minus ten"))),
		"refused: %s", text)
	limit := st.live.Get().Policies.RateLimits["clients"].Limit
	st.expect(limit == 40 && st.live.Version().Number == version, "version %d with its %d a second is still in force", version, limit)
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
