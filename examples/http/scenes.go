package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/hotconfig"
)

// order sends 100 orders a second until the function it returns is called.
func (st *story) order() (stop func()) {
	ctx, cancel := context.WithCancel(st.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { st.orders.run(ctx, 100, "POST", st.url+"/orders") })
	return func() {
		cancel()
		wg.Wait()
	}
}

// slowness: the provider answers as it should, only much later, and recovers.
func (st *story) slowness() {
	defer st.order()()
	st.say("100 orders a second")
	st.pause(4 * time.Second)
	usual := st.payments.Snapshot().Latency
	st.expect(usual.Baseline > 0, "of its durations the breaker has learned that 90%% are usually below %v",
		usual.Baseline.Round(100*time.Microsecond))

	st.say("the payment provider becomes slow: every answer is right, and takes 150 ms")
	st.upstream.set("slow")
	slowed := time.Now()
	opened, ok := await(st.ctx, st.states, func(e core.Event) bool { return e.To == "open" })
	answers := st.orders.between(slowed, opened.at)
	st.expect(ok && opened.event.Cause == "slowdown" && answers.count(503) == 0,
		"after %v, without a single failure among %d orders, the breaker opens (%s)",
		opened.at.Sub(slowed).Round(10*time.Millisecond), len(answers), opened.event.Cause)
	st.expect(usual.Kernels.Samples > 0 && usual.Kernels.Looks > 0,
		"until then %d durations and %d readings of them had gone through the %s kernels",
		usual.Kernels.Samples, usual.Kernels.Looks, usual.Kernels.Kernel)
	st.heal()
}

// heal makes the provider healthy and waits for the breaker to find out.
func (st *story) heal() (closed observed[core.Event]) {
	st.upstream.set("healthy")
	healed := time.Now()
	st.say("the payment provider is healthy again")
	closed, ok := await(st.ctx, st.states, func(e core.Event) bool { return e.To == "closed" })
	st.expect(ok, "after %v its probes succeed and the breaker closes", closed.at.Sub(healed).Round(10*time.Millisecond))
	return closed
}

// outage: the provider hangs and heals.
func (st *story) outage() {
	defer st.order()()
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

	closed := st.heal()
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
