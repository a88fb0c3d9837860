package policy

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/retry"
)

// The retry example of "Metastable Failures in Distributed Systems" (HotOS 2021): a server of 30 workers, 100 ms a call,
// served in order of arrival; clients that give up on an attempt after 1 s, of which the server learns nothing, so that
// it works on calls that nobody waits for any more; and a stall of 10 s.
const (
	workers  = 30
	service  = 100 * time.Millisecond
	capacity = float64(workers) * float64(time.Second) / float64(service) // calls a second
	patience = time.Second
	stallAt  = 10 * time.Second
	stall    = 10 * time.Second
	restored = stallAt + stall
	horizon  = restored + 65*time.Second // recovery takes five seconds to see
	seconds  = int(horizon / time.Second)
)

// outage is the server, in virtual time, and what comes of its stall.
type outage struct {
	start   time.Time
	limiter *adaptive.Limiter // nil: the server takes everything in
	cost    time.Duration     // of a rejection, of a worker's time
	bar     float64
	whole   bool

	mu       sync.Mutex             // guards what follows
	idle     [workers]time.Duration // from when on, in the server's time, which stands still in the stall
	asked    [seconds]int           // requests that came in each second
	answered [seconds]int           // requests answered in each second
	requests int
	attempts int
}

// busy is what comes over the wire for a rejection: a client sees no *core.Rejection, but an answer with Retry-After.
type busy struct{ after time.Duration }

func (busy) Error() string               { return "busy" }
func (b busy) RetryAfter() time.Duration { return b.after }

func classify(ctx context.Context, err error) core.Outcome {
	if _, ok := errors.AsType[busy](err); ok {
		return core.Overload
	}
	return core.Classify(ctx, err)
}

// attempt is an attempt of a client. The server knows as it takes a call in when the call will be done.
func (o *outage) attempt(ctx context.Context) (none struct{}, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, core.ErrTimeout)
	defer cancel()
	o.mu.Lock()
	o.attempts++
	o.mu.Unlock()
	var p core.Permit
	if o.limiter != nil {
		var d core.Decision
		p, d = o.limiter.Acquire(bg, core.Call{}) // not ctx: see above
		if !d.Admitted() {
			o.charge()
			return none, busy{d.RetryAfter}
		}
	}
	done := make(chan struct{})
	time.AfterFunc(o.work(service), func() {
		p.Done(0, core.Success)
		close(done)
	})
	select {
	case <-done:
		return none, nil
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// charge is the work of a rejection, for which the client does not wait. In the stall it costs nothing: the workers have
// nothing else to do. If what they reject in the stall were left for after it, ten thousand clients who ask three times
// would leave work for five seconds, and no limiter could help.
func (o *outage) charge() {
	if at := time.Since(o.start); o.cost > 0 && (at < stallAt || at >= restored) {
		o.work(o.cost)
	}
}

// work gives the next free worker something to do, and returns after how long it will be done.
func (o *outage) work(d time.Duration) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Since(o.start)
	own := now
	if now > stallAt {
		own = max(now-stall, stallAt)
	}
	next := &o.idle[0]
	for i := range o.idle {
		if o.idle[i] < *next {
			next = &o.idle[i]
		}
	}
	*next = max(own, *next) + d
	if *next > stallAt {
		return *next + stall - now
	}
	return *next - now
}

// crew is clients, each with a retry and a budget of its own, of one policy set.
type crew struct {
	set     *Set
	size    int
	retries map[int]*retry.Retry // of those who have called
}

// newCrew makes clients named 0, 1 and so on; each is made when it first calls.
func newCrew(t *testing.T, size int, c Config) *crew {
	t.Helper()
	return &crew{set(t, c, nil), size, map[int]*retry.Retry{}}
}

func (c *crew) client(t *testing.T, i int) *retry.Retry {
	r, ok := c.retries[i]
	if !ok {
		b := must[*budget.Budget](t)(c.set.Budget(strconv.Itoa(i)))
		r = must[*retry.Retry](t)(c.set.Retry(strconv.Itoa(i), retry.Hooks{Hooks: core.Hooks{Classify: classify}, Budget: b}))
		c.retries[i] = r
	}
	return r
}

// refill makes the buckets full, as those of new clients are; new clients take ten times as long to make as to run.
func (c *crew) refill() {
	for _, r := range c.retries {
		for range 10 * bucket { // a success is worth a tenth
			r.Budget().End(core.Success)
		}
	}
}

// arm is one trial of an experiment.
type arm struct {
	load  float64 // of the capacity
	cost  float64 // of a rejection, of a call's
	open  bool    // no limiter
	bar   float64 // the share of the requests answered at which the overload is over
	whole bool    // goes on for a minute after it
}

// run lets requests come at random times, each from one of the clients, until the overload is seen to be over. The seed
// is that of the requests; the retries and the limiter draw numbers of their own.
func (a arm) run(t *testing.T, seed uint64, c *crew) *outage {
	t.Helper()
	o := &outage{cost: time.Duration(a.cost * float64(service)), bar: a.bar, whole: a.whole}
	c.refill()
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 47))
		o.start = time.Now()
		if !a.open {
			o.limiter = must[*adaptive.Limiter](t)(adaptive.New("server", adaptive.Config{}, adaptive.Hooks{}))
		}
		ctx, cancel := context.WithCancel(bg)
		var calls sync.WaitGroup
		for o.comes() {
			r := c.client(t, rng.IntN(c.size))
			calls.Go(func() { o.request(ctx, r) })
			time.Sleep(time.Duration(rng.ExpFloat64() / (a.load * capacity) * float64(time.Second)))
		}
		cancel()
		calls.Wait()
	})
	return o
}

func (o *outage) second() int { return int(time.Since(o.start) / time.Second) }

// comes counts a request that comes now, unless the run is over.
func (o *outage) comes() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := o.second()
	if at >= seconds || !o.whole && o.asked[at] == 0 && o.recovery(at) != never {
		return false
	}
	o.requests++
	o.asked[at]++
	return true
}

func (o *outage) request(ctx context.Context, r *retry.Retry) {
	_, err := retry.Do(ctx, r, o.attempt)
	if at := o.second(); err == nil && at < seconds {
		o.mu.Lock()
		o.answered[at]++
		o.mu.Unlock()
	}
}

const never = 1 << 30

// recovery is the first second after the stall from which in five as many requests are answered as the bar's share of
// those that come, as of a second.
func (o *outage) recovery(now int) int {
	const first = int(restored / time.Second)
	for from := first; from+5 <= now; from++ {
		if o.share(from, from+5) >= o.bar {
			return from - first
		}
	}
	return never
}

// share is the requests answered in some seconds, as a share of those that came.
func (o *outage) share(from, to int) float64 {
	asked, answered := 0, 0
	for i := from; i < to; i++ {
		asked += o.asked[i]
		answered += o.answered[i]
	}
	return float64(answered) / float64(asked)
}

// amplification is attempts a request.
func (o *outage) amplification() float64 { return float64(o.attempts) / float64(o.requests) }
