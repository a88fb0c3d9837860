package retry

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
)

// The retry example of "Metastable Failures in Distributed Systems" (HotOS 2021): a server of 30 workers, 100 ms a call,
// with an unbounded queue; clients that give up on an attempt after 1 s, of which the server learns nothing; and a stall
// of 10 s.
const (
	workers  = 30
	service  = 100 * ms
	patience = sec
	load     = 0.8 // of the capacity
	stallAt  = 10 * sec
	stall    = 10 * sec
	horizon  = 75 * sec
)

// server knows when each call will be done as it comes: calls take equally long and are served in order, so call k
// follows call k-30. It works on calls that nobody waits for any more.
type server struct {
	start time.Time
	mu    sync.Mutex
	done  [workers]time.Duration // of the last calls, in the server's time, which stands still in the stall
	calls int
}

// call takes a call in and returns how long it will take.
func (s *server) call() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Since(s.start)
	own := now
	if now > stallAt {
		own = max(now-stall, stallAt)
	}
	last := &s.done[s.calls%workers]
	s.calls++
	*last = max(own, *last) + service
	if *last > stallAt {
		return *last + stall - now
	}
	return *last - now
}

// outage is what came of a run: the calls answered in each second, and what was asked.
type outage struct {
	good     [horizon / sec]int
	requests int
	attempts int
	retried  [horizon / sec]uint64 // retries so far, at the end of each second
}

// rehearse sends requests at random times, and lets one client with these settings retry them.
func rehearse(t *testing.T, seed uint64, c Config, rule budget.Rule) (o outage) {
	rng := rand.New(rand.NewPCG(seed, 43))
	r := mustNew(t, c, Hooks{Budget: mustBudget(t, budget.Config{Rule: rule})})
	s := &server{start: time.Now()}
	ctx, cancel := context.WithTimeout(bg, horizon-time.Nanosecond)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	all.Go(func() {
		for i := range o.retried {
			time.Sleep(time.Until(s.start.Add(time.Duration(i+1)*sec - ms)))
			o.retried[i] = r.Snapshot().Retries
		}
	})
	for ctx.Err() == nil {
		o.requests++
		all.Go(func() {
			if run(hidden{ctx}, r, s.serve) == nil && ctx.Err() == nil {
				mu.Lock()
				defer mu.Unlock()
				o.good[int(time.Since(s.start)/sec)]++
			}
		})
		time.Sleep(time.Duration(rng.ExpFloat64() / (load * workers / service.Seconds()) * float64(sec)))
	}
	all.Wait()
	o.attempts = s.calls
	return o
}

// serve is an attempt of a client.
func (s *server) serve(context.Context) error {
	takes := s.call()
	time.Sleep(min(takes, patience))
	if takes > patience {
		return core.ErrTimeout
	}
	return nil
}

// recovery is the first second after the stall from which five have 95 % of the requests answered; -1 if none.
func (o *outage) recovery() int {
	offered := load * workers / service.Seconds()
	for from := int((stallAt + stall) / sec); from+5 <= len(o.good); from++ {
		sum := 0
		for _, n := range o.good[from : from+5] {
			sum += n
		}
		if float64(sum) >= 0.95*5*offered {
			return from - int((stallAt+stall)/sec)
		}
	}
	return -1
}

// Clients alone cannot end the overload sooner than by not retrying, but with the default budget they do not prolong it
// either. With jittered backoff and no budget it never ends.
func TestDefaultBudgetDoesNotProlongAnOverload(t *testing.T) {
	for range 5 {
		seed := rand.Uint64()
		var none, budgeted, control outage
		synctest.Test(t, func(t *testing.T) { none = rehearse(t, seed, Config{MaxAttempts: 1}, budget.Success) })
		synctest.Test(t, func(t *testing.T) { budgeted = rehearse(t, seed, Config{MaxAttempts: 4}, budget.Success) })
		synctest.Test(t, func(t *testing.T) { control = rehearse(t, seed, Config{MaxAttempts: 4}, budget.Unlimited) })
		base, got := none.recovery(), budgeted.recovery()
		t.Logf("seed %d: recovered after %d s without retries, %d s with the default budget, %d s without a budget", seed, base, got, control.recovery())
		if base < 10 || control.recovery() != -1 {
			t.Errorf("the experiment is void: %d s without retries, %d s without a budget", base, control.recovery())
		}
		if got < 0 || float64(got) > 1.1*float64(base) {
			t.Errorf("recovered after %d s, without retries after %d s", got, base)
		}
		if most := 1.1*float64(budgeted.requests) + 10; float64(budgeted.attempts) > most {
			t.Errorf("%d attempts for %d requests, want at most %v", budgeted.attempts, budgeted.requests, most)
		}
		// Nothing succeeds in the stall; once the tokens are spent, and the retries in their delays made, there are no more.
		if mid, end := budgeted.retried[(stallAt+3*sec)/sec], budgeted.retried[(stallAt+stall-sec)/sec]; mid != end {
			t.Errorf("%d retries while nothing succeeded and no token was left", end-mid)
		}
	}
}
