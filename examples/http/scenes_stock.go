package main

import (
	"context"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/retry"
)

// flakyStock: the stock refuses calls and is late with others all the time, and nobody notices.
func (st *story) flakyStock() {
	again := mw.Must(st.set.Retry("stock", retry.Hooks{}))
	twice := mw.Must(st.set.Hedge("stock", hedge.Hooks{}))
	busy, late, blind := st.upstream.busy.Load(), st.upstream.late.Load(), st.shop.blind.Load()
	retries, hedges := again.Snapshot(), twice.Snapshot()

	st.say("150 product requests a second; each looks into the stock, which refuses one call in %d and takes %v for one in %d",
		busyEvery, lateBy, lateEvery)
	l := newLoad()
	ctx, cancel := context.WithTimeout(st.ctx, 3*time.Second)
	defer cancel()
	start := time.Now()
	l.run(ctx, 150, "GET", st.url+"/products", "")
	all := l.between(start, time.Now())
	blind = st.shop.blind.Load() - blind
	busy, late = st.upstream.busy.Load()-busy, st.upstream.late.Load()-late
	st.expect(len(all) > 0 && all.count(200) == len(all) && blind*20 <= int64(len(all)),
		"all %d were answered (%s), %d of them without what is left", len(all), all.kinds(), blind)

	r, h := again.Snapshot(), twice.Snapshot()
	st.expect(busy > 0 && r.Rescued > retries.Rescued, "%d calls were refused: %d retries, with which %d calls succeeded after all",
		busy, r.Retries-retries.Retries, r.Rescued-retries.Rescued)
	st.expect(late > 0 && h.Won > hedges.Won,
		"%d calls were late: %d were sent once more after some %v, and in %d cases that was the first answer; 97%% of the products took at most %v",
		late, h.Extra-hedges.Extra, h.Delay.Round(time.Millisecond), h.Won-hedges.Won, all.quantile(200, 0.97).Round(time.Millisecond))
}
