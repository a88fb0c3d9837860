package main

import (
	"context"
	"sync"
	"time"

	"github.com/mw-go/mw/core/lifecycle"
)

// leaving: the shop is told to end, as by SIGTERM.
func (st *story) leaving() {
	wait := st.live.Get().Lifecycle.Wait
	l := newLoad()
	ctx, cancel := context.WithCancel(st.ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { l.run(ctx, 20, "POST", st.url+"/orders", pears) })
	st.pause(300 * time.Millisecond)
	ready := l.send("GET", st.url+"/readyz", "")

	st.say("20 orders a second, and the shop is told to leave")
	left := time.Now()
	ended := make(chan error, 1)
	go func() { ended <- st.stop() }()
	st.awaitLeaving()
	unready := l.send("GET", st.url+"/readyz", "")
	closing := left.Add(wait) // the door cannot be closed before
	st.pause(time.Until(closing))
	cancel()
	wg.Wait()
	last := l.between(left, closing)
	st.expect(ready.status == 200 && unready.status == 503, "its answer to load balancers changes from %d to %d", ready.status, unready.status)
	st.expect(last.count(201) > 0 && last.count(0) == 0, "for %v it goes on: of %d orders %d went through, %d found the door closed",
		wait, len(last), last.count(201), last.count(0))
	err := <-ended
	refused := l.send("GET", st.url+"/readyz", "")
	st.expect(err == nil && refused.status == 0, "then it ends, %v after it was told (error: %v)", time.Since(left).Round(10*time.Millisecond), err)
}

func (st *story) awaitLeaving() {
	states, cancel := st.life.Watch()
	defer cancel()
	for state := range states {
		if state > lifecycle.Ready {
			return
		}
	}
}
