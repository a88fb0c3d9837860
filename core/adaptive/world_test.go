package adaptive

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// A world is a backend behind a Limiter, in virtual time and one goroutine: open-loop arrivals, so that no call waits for
// another to end, and workers who serve in order of arrival. It drives the Limiter itself; only the blocking in
// Acquire is replaced, by events.
type world struct {
	rate       func(t float64) float64 // arrivals a second
	workers    func(t float64) int
	service    func(t float64, rng *rand.Rand) time.Duration
	call       func(rng *rand.Rand) core.Call // its class and key; nil: the zero Call
	rejectCost time.Duration                  // of a worker's time
	config     Config
	open       bool // no limiter: the control arm
	patience   time.Duration

	rng     *rand.Rand
	l       *Limiter
	now     core.Time
	began   core.Time
	events  []event // a heap by time
	backlog []job
	free    int
	waiting []*held
	seconds []second
}

// second is what has happened in one second.
type second struct {
	arrived, good, rejected int
	spent                   time.Duration // on rejections
	classes                 [ranks]struct{ arrived, good int }
	latencies               []time.Duration // of admitted calls, the queue in front included
	limit                   float64         // the mean, by arrivals
	highest                 int
}

type event struct {
	at   core.Time
	kind kind
	job  job
	held *held
}

type kind uint8

const (
	arrival kind = iota
	served
	timeout // in the limiter's queue
)

// job is a call at the backend; one without a permit is the work of a rejection.
type job struct {
	permit *core.Permit
	since  core.Time // arrival
	rank   int
	cost   time.Duration
}

// held is a call in the limiter's queue.
type held struct {
	w     *waiter
	call  core.Call
	since core.Time
	d     core.Decision
}

func steady(x float64) func(float64) float64 { return func(float64) float64 { return x } }
func crew(n int) func(float64) int           { return func(float64) int { return n } }

const serviceTime = 100 * time.Millisecond

func constant(float64, *rand.Rand) time.Duration { return serviceTime }

// spread is log-normal with a mean of serviceTime.
func spread(_ float64, rng *rand.Rand) time.Duration {
	const sigma = 0.6
	return time.Duration(float64(serviceTime) * math.Exp(sigma*rng.NormFloat64()-sigma*sigma/2))
}

// run lets n seconds pass.
func (w *world) run(t testing.TB, seed uint64, n int) []second {
	t.Helper()
	w.rng = rand.New(rand.NewPCG(seed, 1))
	var err error
	if w.l, err = New("world", w.config, Hooks{}); err != nil {
		t.Fatal(err)
	}
	w.l.random = w.rng.Uint64
	w.seconds = make([]second, n)
	w.now = -core.Time(time.Hour) // any time will do
	w.began = w.now
	w.free = w.workers(0)
	w.push(event{at: w.now, kind: arrival})
	crewed := w.free
	for {
		e := w.pop()
		w.now = e.at
		at := time.Duration(w.now - w.began).Seconds()
		if int(at) >= n {
			break
		}
		if c := w.workers(at); c != crewed {
			w.free += c - crewed
			crewed = c
		}
		s := &w.seconds[int(at)]
		switch e.kind {
		case arrival:
			w.push(event{at: w.now.Add(time.Duration(w.rng.ExpFloat64()/w.rate(at)*1e9) + 1), kind: arrival})
			w.arrive(s)
		case served:
			w.free++
			w.end(s, e.job)
		case timeout:
			w.giveUp(s, e.held)
		}
		w.begin(s)
		w.work(at)
	}
	return w.seconds
}

func (w *world) arrive(s *second) {
	c := core.Call{}
	if w.call != nil {
		c = w.call(w.rng)
	}
	c.Now = w.now
	s.arrived++
	s.classes[rank(c.Class)].arrived++
	if w.open {
		w.backlog = append(w.backlog, job{permit: new(core.Permit), since: w.now, rank: rank(c.Class)})
		return
	}
	limit := w.l.m.effective(&w.config)
	s.limit += (limit - s.limit) / float64(s.arrived)
	s.highest = max(s.highest, int(limit))
	h := &held{call: c, since: w.now}
	set := w.l.live.Load()
	cost, queue := w.l.try(set, c, &h.d)
	if !queue {
		w.conclude(s, h, cost)
		return
	}
	var most time.Duration
	if h.w, most = w.l.join(set, c, w.now); h.w == nil {
		h.d.Reason = core.ReasonFull
		w.conclude(s, h, 0)
		return
	}
	w.waiting = append(w.waiting, h)
	w.push(event{at: w.now.Add(most), kind: timeout, held: h})
}

// begin concludes the calls that the limiter has woken.
func (w *world) begin(s *second) {
	for i := 0; i < len(w.waiting); i++ {
		h := w.waiting[i]
		if h.w.place != nil {
			continue
		}
		w.waiting = slices.Delete(w.waiting, i, i+1)
		i--
		h.d.Reason = h.w.reason
		w.conclude(s, h, h.w.cost)
	}
}

func (w *world) giveUp(s *second, h *held) {
	i := slices.Index(w.waiting, h)
	if i < 0 {
		return
	}
	w.waiting = slices.Delete(w.waiting, i, i+1)
	h.d.Reason = w.l.leave(h.w, core.ReasonWaited)
	w.conclude(s, h, h.w.cost)
}

func (w *world) conclude(s *second, h *held, cost int64) {
	h.d.Now = w.now
	p := new(core.Permit)
	*p = w.l.conclude(w.l.live.Load(), h.call, cost, &h.d)
	if h.d.Admitted() {
		w.backlog = append(w.backlog, job{permit: p, since: h.since, rank: rank(h.call.Class)})
		return
	}
	s.rejected++
	if w.rejectCost > 0 {
		s.spent += w.rejectCost
		w.backlog = append(w.backlog, job{cost: w.rejectCost})
	}
}

func (w *world) end(s *second, j job) {
	if j.permit == nil {
		return
	}
	latency := w.now.Sub(j.since)
	s.latencies = append(s.latencies, latency)
	if latency <= w.patience {
		s.good++
		s.classes[j.rank].good++
	}
	j.permit.Done(w.now, core.Success)
}

// work lets free workers take jobs.
func (w *world) work(at float64) {
	for w.free > 0 && len(w.backlog) > 0 {
		j := w.backlog[0]
		w.backlog = w.backlog[1:]
		w.free--
		d := j.cost
		if j.permit != nil {
			d = w.service(at, w.rng)
		}
		w.push(event{at: w.now.Add(d), kind: served, job: j})
	}
}

func (w *world) push(e event) {
	h := append(w.events, e)
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if h[up].at <= h[i].at {
			break
		}
		h[up], h[i] = h[i], h[up]
		i = up
	}
	w.events = h
}

func (w *world) pop() event {
	h := w.events
	e := h[0]
	last := len(h) - 1
	h[0] = h[last]
	h[last] = event{}
	h = h[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && h[down+1].at < h[down].at {
			down++
		}
		if h[i].at <= h[down].at {
			break
		}
		h[i], h[down] = h[down], h[i]
		i = down
	}
	w.events = h
	return e
}
