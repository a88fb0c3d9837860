package main

import (
	"context"
	"sync"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
)

// order sends 100 orders a second until the function it returns is called.
func (st *story) order() (stop func()) {
	ctx, cancel := context.WithCancel(st.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { st.orders.run(ctx, 100, "POST", st.url+"/orders", pears) })
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
	usual := mw.Must(st.set.Breaker("payments", core.Hooks{})).Snapshot().Latency
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
	st.pause(2 * time.Second)
	hung := time.Now()
	calm := st.orders.between(start, hung)
	st.expect(mostly(calm), "%d of %d orders went through (%s), half of them within %v",
		calm.count(201), len(calm), calm.kinds(), calm.median(201).Round(100*time.Microsecond))

	st.say("the payment provider hangs: from now on it answers nothing")
	st.upstream.set("hanging")
	calls := st.upstream.payments.Load()
	opened, ok := await(st.ctx, st.states, func(e core.Event) bool { return e.To == "open" })
	asked := st.upstream.payments.Load() - calls
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
