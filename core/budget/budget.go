package budget

import (
	"sync"
	"sync/atomic"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/live"
	"github.com/mw-go/mw/core/internal/stripe"
	"github.com/mw-go/mw/core/internal/window"
)

// kind is what errors call a budget. It is no machine, so package core does not know it.
const kind core.Kind = "budget"

// Budget decides on extra attempts to one backend. Make one with New and give it to every runner that makes some. Safe
// for concurrent use. Nothing in it waits or allocates, and a success writes nothing while the bucket is full.
type Budget struct {
	live  live.Live[Config, derived]
	count stripe.Tally

	_      [stripe.Line]byte // settings are read by every call, the bucket is written by some
	bucket atomic.Int64
	_      [stripe.Line - 8]byte

	mu    sync.Mutex // guards spent
	spent spending
}

// derived is the machine's part of a settings snapshot.
type derived struct {
	rates    rates
	deposits *window.Counter // nil until the rule is window for the first time
}

type settings = live.Settings[Config, derived]

// The lifetime counters.
const (
	countWithdrawn = iota
	countRefused
	countRefunded
)

// New returns a budget with a full bucket. Errors: a name that is not 1 to 64 of letters, digits and - _ . /, and every
// bad field of c.
func New(name string, c Config) (*Budget, error) {
	b := &Budget{count: stripe.NewTally()}
	b.spent.last = core.Now()
	err := b.live.Start(kind, name, c, core.Hooks{}, live.Rules[Config, derived]{
		Prepare: prepare, Describe: func(Config) (none core.Policy) { return }, Derive: derive, Changed: b.changed,
	})
	if err != nil {
		return nil, err
	}
	s := b.live.Load()
	b.spent.layout = window.NewLayout(b.spent.last, s.Config.TTL)
	b.bucket.Store(s.Derived.rates.size)
	return b, nil
}

// derive makes the window's deposits when they are first needed, and keeps them whatever the rule from then on.
func derive(old *settings, c Config, now core.Time) derived {
	d := derived{rates: c.rates()}
	if old != nil {
		d.deposits = old.Derived.deposits
	}
	switch {
	case d.deposits == nil && c.Rule == Window:
		d.deposits = window.NewCounter(window.NewLayout(now, c.TTL), stripe.Count())
	case d.deposits != nil && !d.deposits.Layout().Spans(c.TTL):
		d.deposits = d.deposits.Resize(window.NewLayout(now.Add(-c.TTL), c.TTL), now)
	}
	return d
}

// changed moves the state to new settings. The settings' lock is held.
func (b *Budget) changed(old, fresh *settings, now core.Time) {
	b.update(func(k bucket) bucket { return k.put(&fresh.Derived.rates, 0) })
	if old.Config.TTL == fresh.Config.TTL {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent.resize(window.NewLayout(now.Add(-fresh.Config.TTL), fresh.Config.TTL), now)
}

// update moves the bucket on. It writes nothing if nothing changes.
func (b *Budget) update(next func(bucket) bucket) {
	for {
		old := bucket(b.bucket.Load())
		k := next(old)
		if k == old || b.bucket.CompareAndSwap(int64(old), int64(k)) {
			return
		}
	}
}

// Begin tells that a call begins, by its first attempt. now is the clock's reading, 0 if the caller has none; only the
// rule window needs it.
func (b *Budget) Begin(now core.Time) {
	if s := b.live.Load(); s.Config.Rule == Window {
		s.Derived.deposits.Add(now.Or(), false)
	}
}

// End tells how an attempt ended, first or extra.
func (b *Budget) End(o core.Outcome) {
	r := &b.live.Load().Derived.rates
	if o == core.Success && b.bucket.Load() >= r.size { // the common case: a full bucket stays so
		return
	}
	b.end(r, o)
}

func (b *Budget) end(r *rates, o core.Outcome) {
	if r.rule == Success || r.rule == Throttle {
		b.update(func(k bucket) bucket { return k.end(r, o) })
	}
}

// Withdraw pays for an extra attempt and reports whether there was enough for it. now as in Begin; Refund wants the same.
func (b *Budget) Withdraw(now core.Time) bool {
	s := b.live.Load()
	ok := b.withdraw(s, now)
	if ok {
		b.count.Add(countWithdrawn, 1)
	} else {
		b.count.Add(countRefused, 1)
	}
	return ok
}

func (b *Budget) withdraw(s *settings, now core.Time) (ok bool) {
	r := &s.Derived.rates
	switch r.rule {
	case Unlimited:
		return true
	case Window:
		now = now.Or()
		deposits := s.Derived.deposits.Sum(now).Good
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.spent.withdraw(r, deposits, now)
	default:
		b.update(func(k bucket) bucket {
			k, ok = k.withdraw(r)
			return k
		})
		return ok
	}
}

// Refund gives back what a Withdraw of time at took, for an attempt that is not made after all. Call it at most once a
// Withdraw.
func (b *Budget) Refund(at core.Time) {
	b.count.Add(countRefunded, 1)
	r := &b.live.Load().Derived.rates
	switch r.rule {
	case Unlimited:
	case Window:
		b.mu.Lock()
		defer b.mu.Unlock()
		b.spent.refund(at.Or())
	default:
		b.update(func(k bucket) bucket { return k.refund(r) })
	}
}

// Peek reports whether Withdraw would allow an extra attempt, and takes nothing.
func (b *Budget) Peek(now core.Time) bool {
	s := b.live.Load()
	r := &s.Derived.rates
	switch r.rule {
	case Unlimited:
		return true
	case Window:
		return b.window(s, now.Or()) >= token
	default:
		_, ok := bucket(b.bucket.Load()).withdraw(r)
		return ok
	}
}

// window is the balance of the window rule.
func (b *Budget) window(s *settings, now core.Time) int64 {
	deposits := s.Derived.deposits.Sum(now).Good
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent.balance(&s.Derived.rates, deposits, now)
}

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail.
func (b *Budget) Prepare(c Config) (commit func(), err error) { return b.live.Prepare(c) }

// Tune puts c in force. The balance survives, held to the new Size. On error nothing changes.
func (b *Budget) Tune(c Config) error { return b.live.Tune(c) }

// Config returns the effective settings, defaults filled in.
func (b *Budget) Config() Config { return b.live.Load().Config }

// Snapshot is what a page, a metric or a test reads of a budget. Counts are lifetime counts.
type Snapshot struct {
	Name      string
	Config    Config
	Balance   float64 // tokens; what the rule says of them decides. 0 for unlimited
	Withdrawn uint64  // extra attempts allowed
	Refused   uint64  // and refused
	Refunded  uint64  // of those allowed, given back
}

// Snapshot returns the state as of now. It may take a lock; it is not for the path of a call.
func (b *Budget) Snapshot() Snapshot {
	s := b.live.Load()
	snap := Snapshot{
		Name: s.Policy.Name, Config: s.Config, Withdrawn: b.count.Load(countWithdrawn),
		Refused: b.count.Load(countRefused), Refunded: b.count.Load(countRefunded),
	}
	switch s.Config.Rule {
	case Unlimited:
	case Window:
		snap.Balance = float64(b.window(s, core.Now())) / token
	default:
		snap.Balance = float64(bucket(b.bucket.Load()).put(&s.Derived.rates, 0)) / token
	}
	return snap
}
