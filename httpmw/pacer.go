package httpmw

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// PacerConfig tunes a Pacer. The zero PacerConfig is valid; an absent field means its default. Comparable, data only.
type PacerConfig struct {
	// MaxWait is how long a request waits for its turn; one that would have to wait longer is rejected at once. Default
	// 5s. Range 1ms to 1h, or none: every request that is not to be sent now is rejected.
	MaxWait time.Duration `default:"5s" range:"1ms..1h|none"`
	// MaxHold is how long a server can keep us from sending by one response; what asks for more counts as this much.
	// Default 5m. Range 1s to 24h.
	MaxHold time.Duration `default:"5m" range:"1s..24h"`
	// Spread is how much longer than it has to a request waits at most, as a share of the wait, so that not all clients come
	// back at once. Default 0.2. Range 0.01 to 1.
	Spread core.Ratio `default:"0.2" range:"0.01..1"`
	// MaxHosts is how many servers are remembered that have said something which still holds; others beyond are sent to as
	// if they had said nothing. Default 1000. Range 1 to 1e6.
	MaxHosts int `default:"1000" range:"1..1000000"`
	// Mode is enforce, shadow or disabled. Default enforce. In shadow nothing waits and nothing is rejected, but counted.
	Mode core.Mode `range:"enforce|shadow|disabled"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c PacerConfig) Validate() error { return schema.Validate(c) }

// Pacer knows what servers have said of how much more they will take. Make one with NewPacer; ClientPace puts it in front
// of a RoundTripper. Safe for concurrent use; a request to a server that has said nothing takes a read lock and allocates
// nothing.
type Pacer struct {
	policy atomic.Pointer[pacing]
	random func() float64 // in [0,1)

	waited, rejected, shadowed, malformed, overflowed atomic.Uint64

	mu    sync.RWMutex // guards what follows, not what the hosts hold
	hosts map[core.Key]*host
	swept core.Time // when all were looked at for idle ones
}

// pacing is the immutable snapshot of the settings.
type pacing struct {
	core.Policy
	PacerConfig
}

// host is one server.
type host struct {
	mu sync.Mutex
	quotas
	dropped bool // it is not in the map any more
	said    said
}

// NewPacer returns a pacer that knows nothing. name is the policy's in its rejections. It fails unless the name is 1 to
// 64 bytes long and the Config validates.
func NewPacer(name string, c PacerConfig) (*Pacer, error) {
	if len(name) == 0 || len(name) > 64 {
		return nil, fmt.Errorf("httpmw: pacer: name of %d bytes is not allowed; allowed: 1 to 64", len(name))
	}
	p := &Pacer{random: rand.Float64, hosts: map[core.Key]*host{}}
	p.policy.Store(&pacing{Policy: core.Policy{Kind: core.KindRateLimit, Name: name}})
	return p, p.Tune(c)
}

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail.
func (p *Pacer) Prepare(c PacerConfig) (commit func(), err error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("pacer %q: %w", p.policy.Load().Name, err)
	}
	s := &pacing{Policy: p.policy.Load().Policy, PacerConfig: schema.Fill(c)}
	s.Policy.Mode = c.Mode
	return func() { p.policy.Store(s) }, nil
}

// Tune puts c in force for requests that come from now on; what servers have said is kept. On error nothing changes.
func (p *Pacer) Tune(c PacerConfig) error {
	commit, err := p.Prepare(c)
	if err != nil {
		return err
	}
	commit()
	return nil
}

// Config returns the effective settings, defaults filled in.
func (p *Pacer) Config() PacerConfig { return p.policy.Load().PacerConfig }

// PacerSnapshot is what a page, a metric or a test reads of a Pacer. Counts are lifetime counts.
type PacerSnapshot struct {
	Config     PacerConfig
	Hosts      int    // servers that have said something
	Waited     uint64 // requests that waited for their turn, and then were sent
	Rejected   uint64 // and that were not sent
	Shadowed   uint64 // requests that shadow mode sent although they would have waited or been rejected
	Malformed  uint64 // responses whose RateLimit or RateLimit-Policy was ignored
	Overflowed uint64 // responses that were ignored because MaxHosts servers are remembered
}

// Snapshot returns the state as of now.
func (p *Pacer) Snapshot() PacerSnapshot {
	p.mu.RLock()
	n := len(p.hosts)
	p.mu.RUnlock()
	return PacerSnapshot{
		Config: p.Config(), Hosts: n, Waited: p.waited.Load(), Rejected: p.rejected.Load(), Shadowed: p.shadowed.Load(),
		Malformed: p.malformed.Load(), Overflowed: p.overflowed.Load(),
	}
}

func (p *Pacer) find(key core.Key) *host {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.hosts[key]
}

// acquire waits for the turn of a request and returns its number, 0 if nothing is known of the server. The error is a
// *core.Rejection.
func (p *Pacer) acquire(ctx context.Context, key core.Key) (number uint64, err error) {
	s := p.policy.Load()
	if s.Policy.Mode == core.Disabled {
		return 0, nil
	}
	start := core.Time(0)
	for {
		h := p.find(key)
		if h == nil {
			return 0, nil
		}
		now := core.Now()
		if start == 0 {
			start = now
		}
		h.mu.Lock()
		number, wait := h.take(now)
		if wait > 0 && s.Policy.Mode == core.Shadow {
			number = h.pass()
		}
		h.mu.Unlock()
		switch {
		case wait == 0:
			if start != now {
				p.waited.Add(1)
			}
			return number, nil
		case s.Policy.Mode == core.Shadow:
			p.shadowed.Add(1)
			return number, nil
		}
		if why := s.wait(ctx, wait, p.random(), s.MaxWait-now.Sub(start)); why != 0 {
			p.rejected.Add(1)
			return 0, core.Decision{By: &s.Policy, RetryAfter: wait, Verdict: core.Verdict{Reason: why}}.Err()
		}
	}
}

// wait waits for d and a little more, or says why not; left is what is left of MaxWait.
func (s *pacing) wait(ctx context.Context, d time.Duration, u float64, left time.Duration) core.Reason {
	if s.MaxWait == core.None {
		return core.ReasonLimited
	}
	if d > left {
		return core.ReasonTooLong
	}
	more := float64(s.Spread) * float64(d)
	if deadline, ok := ctx.Deadline(); ok {
		spare := time.Until(deadline) - d
		if spare <= 0 {
			return core.ReasonTooLong
		}
		more = min(more, float64(spare)/2)
	}
	t := time.NewTimer(d + time.Duration(u*more))
	defer t.Stop()
	select {
	case <-t.C:
		return 0
	case <-ctx.Done():
		if ctx.Err() == context.DeadlineExceeded {
			return core.ReasonExpired
		}
		return core.ReasonLeft
	}
}

// update runs f on what is known of a server, which is remembered if f leaves anything to remember.
func (p *Pacer) update(key core.Key, now core.Time, f func(*host)) {
	for {
		h := p.find(key)
		if h == nil {
			if h = p.add(key, now); h == nil {
				p.overflowed.Add(1)
				return
			}
		}
		h.mu.Lock()
		gone := h.dropped
		if !gone {
			f(h)
		}
		h.mu.Unlock()
		if !gone {
			return
		}
	}
}

// add makes a place for a server, nil if there is none.
func (p *Pacer) add(key core.Key, now core.Time) *host {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.hosts[key]; h != nil {
		return h
	}
	limit := p.Config().MaxHosts
	if len(p.hosts) >= limit && (p.swept == 0 || now.Sub(p.swept) >= time.Second) {
		p.swept = now
		p.sweep(now)
	}
	if len(p.hosts) >= limit {
		return nil
	}
	h := &host{}
	p.hosts[key] = h
	return h
}

// sweep forgets the servers that have nothing left to say. mu is held.
func (p *Pacer) sweep(now core.Time) {
	for key, h := range p.hosts {
		h.mu.Lock()
		if h.idle(now) {
			h.dropped = true
			delete(p.hosts, key)
		}
		h.mu.Unlock()
	}
}
