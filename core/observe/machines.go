package observe

import (
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/batch"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/cache"
	"github.com/mw-go/mw/core/fallback"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/pool"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/throttle"
	"github.com/mw-go/mw/core/timeout"
)

// known emits a machine of this module by its Snapshot, which is taken once; false for any other. It asks for the method
// and not for the type, since caches, pools and batchers have parameters.
func (r *reader) known(m core.Machine) bool {
	return r.guard(m) || r.runner(m) || r.keeper(m)
}

// guard emits what admits calls.
func (r *reader) guard(m core.Machine) bool {
	switch m := m.(type) {
	case interface{ Snapshot() breaker.Snapshot }:
		r.breaker(m.Snapshot())
	case interface{ Snapshot() ratelimit.Snapshot }:
		s := m.Snapshot()
		r.status(s.Status)
		r.put(remaining, "", float64(s.Remaining))
		r.put(waiting, "", float64(s.Waiting))
	case interface{ Snapshot() bulkhead.Snapshot }:
		s := m.Snapshot()
		r.status(s.Status)
		r.put(inFlight, "", float64(s.Running))
		r.put(waiting, "", float64(s.Waiting))
	case interface{ Snapshot() adaptive.Snapshot }:
		r.adaptive(m.Snapshot())
	case interface{ Snapshot() throttle.Snapshot }:
		s := m.Snapshot()
		r.status(s.Status)
		r.outcomes(s.Outcomes)
	default:
		return false
	}
	return true
}

func (r *reader) breaker(s breaker.Snapshot) {
	r.status(s.Status)
	for _, st := range [...]breaker.State{breaker.Closed, breaker.Open, breaker.HalfOpen} {
		r.flag(state, st.String(), st == s.State)
	}
	r.outcomes(s.Outcomes)
	r.put(entries, "open_keys", float64(s.OpenKeys))
	if s.Config.Latency.Watch {
		r.put(inFlight, "", float64(s.Latency.InFlight))
		r.seconds("baseline", s.Latency.Baseline)
		r.seconds("limit", s.Latency.Limit)
	}
}

func (r *reader) adaptive(s adaptive.Snapshot) {
	s.Policy.Limit = int64(s.Limit) // as of now
	r.status(s.Status)
	r.put(inFlight, "", float64(s.Running))
	r.put(waiting, "", float64(s.Waiting))
	r.seconds("baseline", s.Baseline)
	r.seconds("recent", s.Latency)
}

// runner emits what runs calls.
func (r *reader) runner(m core.Machine) bool {
	switch m := m.(type) {
	case interface{ Snapshot() retry.Snapshot }:
		s := m.Snapshot()
		r.status(s.Status)
		r.put(remaining, "", s.Budget.Balance)
		r.counts(counted{"retry", s.Retries}, counted{"rescued", s.Rescued})
		for why := 1; why < retry.Reasons; why++ {
			r.count(gaveUp, retry.Reason(why).String(), s.GaveUp[why])
		}
	case interface{ Snapshot() hedge.Snapshot }:
		s := m.Snapshot()
		r.status(s.Status)
		r.put(remaining, "", s.Tokens)
		r.put(inFlight, "", float64(s.Stragglers))
		r.seconds("delay", s.Delay)
		r.counts(counted{"extra", s.Extra}, counted{"won", s.Won}, counted{"lost", s.Lost}, counted{"panic", s.Panics})
	case interface{ Snapshot() timeout.Snapshot }:
		s := m.Snapshot()
		r.status(s.Status)
		r.put(inFlight, "", float64(s.Running))
		r.seconds("limit", s.Limit)
		r.counts(counted{"timed_out", s.TimedOut}, counted{"late", s.Late},
			counted{"abandoned", s.Abandoned}, counted{"panic", s.Panics})
	case interface{ Snapshot() fallback.Snapshot }:
		s := m.Snapshot()
		r.status(s.Status)
		r.put(inFlight, "", float64(s.Running))
		r.counts(counted{"answered", s.Answered}, counted{"timed_out", s.TimedOut})
	default:
		return false
	}
	return true
}

// keeper emits what holds values, resources or items.
func (r *reader) keeper(m core.Machine) bool {
	switch m := m.(type) {
	case interface{ Snapshot() cache.Snapshot }:
		r.cache(m.Snapshot())
	case interface{ Snapshot() pool.Snapshot }:
		s := m.Snapshot()
		r.status(s.Status)
		r.put(inFlight, "", float64(s.Out))
		r.put(waiting, "", float64(s.Waiting))
		r.put(entries, "idle", float64(s.Idle))
		r.put(entries, "creating", float64(s.Creating))
		r.counts(counted{"created", s.Created}, counted{"create_failure", s.CreateFailures}, counted{"closed", s.Closed},
			counted{"close_failure", s.CloseFailures}, counted{"expired", s.Expired}, counted{"invalid", s.Invalid},
			counted{"discarded", s.Discarded})
	case interface{ Snapshot() batch.Snapshot }:
		s := m.Snapshot()
		r.status(s.Status)
		r.put(inFlight, "", float64(s.Running))
		r.put(waiting, "", float64(s.Waiting))
		r.put(entries, "held", float64(s.Held))
		r.counts(counted{"batch", s.Batches}, counted{"item", s.Items}, counted{"full", s.Full}, counted{"heavy", s.Heavy},
			counted{"due", s.Due}, counted{"drained", s.Drained})
	default:
		return false
	}
	return true
}

func (r *reader) cache(s cache.Snapshot) {
	r.status(s.Status)
	r.put(inFlight, "", float64(s.Loading))
	r.put(entries, "cached", float64(s.Entries))
	r.counts(counted{"hit", s.Hits}, counted{"negative_hit", s.Negatives}, counted{"stale_hit", s.Stales},
		counted{"miss", s.Misses}, counted{"passed", s.Passed}, counted{"joined", s.Joined}, counted{"load", s.Loads},
		counted{"refresh", s.Refreshes}, counted{"load_failure", s.Failures}, counted{"panic", s.Panics},
		counted{"rescued", s.Rescued}, counted{"abandoned", s.Abandoned}, counted{"superseded", s.Superseded},
		counted{"evicted", s.Evicted}, counted{"store_hit", s.StoreHits}, counted{"store_miss", s.StoreMisses},
		counted{"store_error", s.StoreErrors})
}

// counted is one lifetime count of a machine.
type counted struct {
	event string
	n     uint64
}

func (r *reader) counts(all ...counted) {
	for _, c := range all {
		r.count(events, c.event, c.n)
	}
}
