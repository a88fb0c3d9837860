package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mw-go/mw/hotconfig"
)

// newLimit: the file is edited under load.
func (st *story) newLimit() {
	l := newLoad()
	ctx, cancel := context.WithCancel(st.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { l.run(ctx, 200, "GET", st.url+"/products", "") })
	start := time.Now()
	st.say("200 product requests a second, with a limit of 1000 a second for one client")
	st.pause(1500 * time.Millisecond)
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
	text := st.refusal(fmt.Sprintf("default.yaml:%d:", st.lineOf("minus ten")))
	st.expect(err == nil && text != "", "refused: %s", text)
	limit := st.live.Get().Policies.RateLimits["shop"].Limit
	st.expect(limit == 40 && st.live.Version().Number == version, "version %d with its %d a second is still in force", version, limit)
}

// contradiction: every value is right by itself, and together they make no sense.
func (st *story) contradiction() {
	version := st.live.Version().Number
	err := errors.Join(st.edit("limit: minus ten\n", "limit: 40\n"), st.edit("stock:\n      limit: 1s\n", "stock:\n      limit: 300ms\n"))
	st.say("the mistake is mended, and somebody gives the stock 300ms in all, with 400ms for one attempt")
	text := st.refusal("the inner 400ms can never be over before the outer 300ms")
	st.expect(err == nil && text != "", "refused: %s", text)
	limit := st.live.Get().Policies.Timeouts["stock"].Limit
	st.expect(limit == time.Second && st.live.Version().Number == version, "version %d with its %v in all is still in force", version, limit)
}

// refusal waits until the file is refused for a reason, and returns all of it; empty if that does not come.
func (st *story) refusal(reason string) (text string) {
	refused, ok := await(st.ctx, st.loads, func(e hotconfig.Event) bool {
		return e.Result == hotconfig.Rejected && strings.Contains(e.Err.Error(), reason)
	})
	if !ok {
		return ""
	}
	return refused.event.Err.Error()
}
