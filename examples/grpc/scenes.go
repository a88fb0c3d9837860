package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/examples/grpc/shop"
	"github.com/mw-go/mw/hotconfig"
)

// place orders an apple.
func (st *story) place(ctx context.Context) error {
	_, err := st.client.Place(ctx, &shop.PlaceRequest{Product: "apple"})
	return err
}

// quote asks for the price of a plum.
func (st *story) quote(ctx context.Context) error {
	_, err := st.client.Quote(ctx, &shop.QuoteRequest{Product: "plum"})
	return err
}

// outage: the provider hangs and heals.
func (st *story) outage() {
	orders := &load{call: st.place}
	defer orders.start(st.ctx, 100)()
	start := time.Now()
	st.say("100 orders a second")
	st.pause(2 * time.Second)
	hung := time.Now()
	calm := orders.between(start, hung)
	st.expect(mostly(calm), "%d of %d orders went through (%s), half of them within %v",
		calm.count(codes.OK), len(calm), calm.kinds(), calm.median(codes.OK).Round(100*time.Microsecond))

	st.say("the payment provider hangs: from now on it answers nothing")
	st.upstream.set(hanging)
	calls := st.upstream.asked("")
	opened, ok := await(st.ctx, st.states, func(e core.Event) bool { return e.To == "open" })
	asked := st.upstream.asked("") - calls
	slow := orders.between(hung, opened.at).median(codes.DeadlineExceeded)
	st.expect(ok && asked > 0 && slow > 0, "after %v and %d calls to it the breaker opens (%s); until then an order took %v to fail",
		opened.at.Sub(hung).Round(10*time.Millisecond), asked, opened.event.Cause, slow.Round(time.Millisecond))

	st.pause(500 * time.Millisecond) // what was under way is over
	cut := time.Now()
	reason := why(st.place(st.ctx))
	st.pause(700 * time.Millisecond)
	quick := orders.between(cut, time.Now())
	median := quick.median(codes.Unavailable)
	st.expect(reason == "BREAKER_OPEN payments" && quick.count(codes.Unavailable) > 0 && median*10 < slow,
		"now %d orders were answered UNAVAILABLE (%s), half of them within %v instead of %v",
		quick.count(codes.Unavailable), reason, median.Round(time.Microsecond), slow.Round(time.Millisecond))

	st.upstream.set(healthy)
	healed := time.Now()
	st.say("the payment provider is healthy again")
	closed, ok := await(st.ctx, st.states, func(e core.Event) bool { return e.To == "closed" })
	st.expect(ok, "after %v its probes succeed and the breaker closes", closed.at.Sub(healed).Round(10*time.Millisecond))
	st.pause(time.Second)
	after := orders.between(closed.at.Add(100*time.Millisecond), time.Now())
	st.expect(mostly(after), "since then %d of %d orders went through", after.count(codes.OK), len(after))
}

// mostly reports that nearly all calls went through. Not all must: on a starved machine a healthy provider may answer too
// late as well.
func mostly(s samples) bool { return len(s) > 0 && s.count(codes.OK)*100 >= len(s)*95 }

// retries: the provider says when to come again, or not to.
func (st *story) retries() {
	defer st.upstream.set(healthy)
	st.say("the payment provider is busy: it answers UNAVAILABLE, and in a trailer that one may come again in %v", later)
	st.upstream.set(busy)
	before, start := st.upstream.asked(""), time.Now()
	err := st.place(st.ctx)
	took := time.Since(start)
	calls := st.upstream.asked("") - before
	st.expect(err == nil && calls == 2 && took >= later, "an order goes through after %v (%v): the provider was called %d times",
		took.Round(time.Millisecond), status.Code(err), calls)

	st.say("now it says not to come again")
	st.upstream.set(refusing)
	before = st.upstream.asked("")
	err = st.place(st.ctx)
	calls = st.upstream.asked("") - before
	st.expect(status.Code(err) == codes.Unavailable && calls == 1, "an order fails (%v): the provider was called %d times",
		status.Code(err), calls)
}

// hedges: the provider is slow now and then.
func (st *story) hedges() {
	defer st.upstream.set(healthy)
	const n = 5
	st.say("the payment provider takes %v to tell a fee the first time it is asked", late)
	st.upstream.set(straggling)
	won := st.fees.Snapshot().Won
	l := &load{call: st.quote}
	start := time.Now()
	for range n {
		l.keep(l.once())
	}
	all := l.between(start, time.Now())
	won = st.fees.Snapshot().Won - won
	st.expect(all.count(codes.OK) == n && won > 0 && all.median(codes.OK) < late,
		"%d of %d quotes are answered by a second attempt, half of them within %v", won, n, all.median(codes.OK).Round(time.Millisecond))
}

// newLimit: the file is edited under load.
func (st *story) newLimit() {
	l := &load{call: st.quote}
	stop := l.start(st.ctx, 200)
	start := time.Now()
	st.say("200 quotes a second, with a limit of 1000 a second for one client")
	st.pause(1500 * time.Millisecond)
	edited := time.Now()
	before := l.between(start, edited)
	st.expect(len(before) > 0 && before.count(codes.OK) == len(before), "%d of %d were answered OK", before.count(codes.OK), len(before))

	st.say("the file is edited: 40 a second")
	loaded, ok := st.reload("limit: 1000\n", "limit: 40\n", "burst: 100\n", "burst: 40\n")
	st.expect(ok, "version %d is live %v later", loaded.event.Version.Number, loaded.at.Sub(edited).Round(time.Millisecond))
	settled := loaded.at.Add(time.Second)
	st.pause(time.Until(settled) + 2*time.Second)
	end := time.Now()
	stop()
	limited := l.between(settled, end)
	rate := float64(limited.count(codes.OK)) / end.Sub(settled).Seconds()
	st.expect(rate > 30 && rate < 50 && limited.count(codes.ResourceExhausted) > 0,
		"%.1f a second are admitted, the rest is answered RESOURCE_EXHAUSTED", rate)
	all := l.between(start, time.Now())
	fine := all.count(codes.OK, codes.ResourceExhausted)
	st.expect(fine == len(all), "of %d quotes around the change, %d failed", len(all), len(all)-fine)
}

// brokenFile: a mistake is refused, and the last good settings stay.
func (st *story) brokenFile() {
	version, limit := st.live.Version().Number, st.limit()
	good := fmt.Sprintf("limit: %d\n", limit)
	err := st.edit(good, "limit: minus ten\n")
	st.say("somebody writes \"limit: minus ten\" into the file")
	refused, ok := await(st.ctx, st.loads, func(e hotconfig.Event) bool { return e.Result == hotconfig.Rejected })
	text := ""
	if refused.event.Err != nil {
		text = refused.event.Err.Error()
	}
	line, column := st.positionOf("minus ten")
	st.expect(ok && err == nil && strings.Contains(text, fmt.Sprintf("default.yaml:%d:%d:", line, column)), "refused: %s", text)
	st.expect(st.limit() == limit && st.live.Version().Number == version, "version %d with its %d a second is still in force",
		version, limit)
	if err := st.edit("limit: minus ten\n", good); err != nil {
		st.expect(false, "%v", err)
	}
}

func (st *story) limit() int64 { return int64(st.live.Get().Policies.RateLimits[quotes].Limit) }

// places is how many calls the shop takes at once in bothPorts.
const places = 4

// bothPorts: one bulkhead for gRPC and HTTP.
func (st *story) bothPorts() {
	defer st.upstream.set(healthy)
	_, ok := st.reload("limit: 256\n", "limit: 4\n", "limit: 1s\n", "limit: 2600ms\n", "limit: 250ms\n", "limit: 2500ms\n")
	st.expect(ok && st.room.Config().Limit == places,
		"the file is edited: %d calls at once over both ports, and patience with the provider", places)
	web := &http.Client{Timeout: patience}
	defer web.CloseIdleConnections()
	st.say("the payment provider hangs")
	st.fullByGRPC(web)
	st.fullByHTTP(web)
}

// full fills every place of the shop by calls that wait for the provider. heal lets them go, and returns how many went
// through.
func (st *story) full(call func() bool) (ok bool, heal func() int) {
	st.upstream.set(hanging)
	through := make(chan bool, places)
	for range places {
		go func() { through <- call() }()
	}
	ok = st.until(func() bool { return st.room.Snapshot().Running == places })
	return ok, func() (good int) {
		st.upstream.set(healthy)
		for range places {
			if <-through {
				good++
			}
		}
		return good
	}
}

func (st *story) fullByGRPC(web *http.Client) {
	full, heal := st.full(func() bool { return st.place(st.ctx) == nil })
	code := get(st.ctx, web, "GET", st.url+"/stock")
	st.expect(full && code == http.StatusServiceUnavailable, "%d orders over gRPC wait for it: a request over HTTP is answered %d",
		places, code)
	good := heal()
	code = get(st.ctx, web, "GET", st.url+"/stock")
	st.expect(good == places && code == http.StatusOK, "it answers again: %d of the %d go through, and a request over HTTP is answered %d",
		good, places, code)
}

func (st *story) fullByHTTP(web *http.Client) {
	full, heal := st.full(func() bool { return get(st.ctx, web, "POST", st.url+"/orders") == http.StatusCreated })
	err := st.quote(st.ctx)
	st.expect(full && status.Code(err) == codes.ResourceExhausted && why(err) == "CONCURRENCY_LIMIT shop",
		"%d orders over HTTP wait: a quote over gRPC is answered %v (%s)", places, status.Code(err), why(err))
	items, err := st.fill(st.ctx, 3)
	st.expect(err == nil && items == 3, "a stream has a place of its own: there are %d things in a basket (%v)", items, status.Code(err))
	good := heal()
	st.expect(good == places, "it answers again: %d of the %d go through", good, places)
}

// get sends a request and returns the status of the answer; 0 if there was none.
func get(ctx context.Context, c *http.Client, method, url string) int {
	r, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return 0
	}
	resp, err := c.Do(r)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
