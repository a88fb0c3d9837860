package policy

import (
	"cmp"
	"errors"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/timeout"
)

// ClientPlan names the policies that calls to one dependency pass, in the recommended order, outermost first. An empty
// name leaves the policy out. Set.ClientPlan fills one in from the configuration.
type ClientPlan struct {
	Timeout        string // of the whole call, its delays included
	Retry          string
	Hedge          string
	Budget         string // that Retry and Hedge share; empty: the one named as Retry, or else as Hedge
	Throttle       string
	RateLimit      string
	Breaker        string
	Bulkhead       string
	AttemptTimeout string // a timeout, of each attempt

	// Hooks are for the machines that Client makes, and Classify for the stack as well. A machine that has been asked
	// for before, keyed or not, is used as it is: ask for it first where it needs hooks of its own, and then give a retry or
	// a hedge the Budget.
	Hooks core.Hooks
}

// ServerPlan names the policies that calls to a service of ours pass, in the recommended order, outermost first. An empty
// name leaves the policy out. Set.ServerPlan fills one in from the configuration.
type ServerPlan struct {
	Timeout       string // queues included
	RateLimit     string
	AdaptiveLimit string
	Bulkhead      string
	Breaker       string

	// Hooks are as those of a ClientPlan.
	Hooks core.Hooks
}

// AttemptSuffix is what Set.ClientPlan appends to a name to look for the timeout of an attempt.
const AttemptSuffix = "-attempt"

// ClientPlan returns the plan of all that the configuration in force has settings for under name, such as
// breakers.payments; the timeout of an attempt is timeouts.payments-attempt. What a later configuration adds is not in it.
func (s *Set) ClientPlan(name string) ClientPlan {
	c := s.Config()
	p := ClientPlan{
		Timeout: named(c.Timeouts, name), Retry: named(c.Retries, name), Hedge: named(c.Hedges, name),
		Throttle: named(c.Throttles, name), RateLimit: named(c.RateLimits, name), Breaker: named(c.Breakers, name),
		Bulkhead: named(c.Bulkheads, name), AttemptTimeout: named(c.Timeouts, name+AttemptSuffix),
	}
	if p.Retry != "" || p.Hedge != "" {
		p.Budget = name
	}
	return p
}

// ServerPlan returns the plan of all that the configuration in force has settings for under name. What a later
// configuration adds is not in it.
func (s *Set) ServerPlan(name string) ServerPlan {
	c := s.Config()
	return ServerPlan{
		Timeout: named(c.Timeouts, name), RateLimit: named(c.RateLimits, name), AdaptiveLimit: named(c.AdaptiveLimits, name),
		Bulkhead: named(c.Bulkheads, name), Breaker: named(c.Breakers, name),
	}
}

// named returns name if settings has it.
func named[C any](settings map[string]C, name string) string {
	if _, ok := settings[name]; ok {
		return name
	}
	return ""
}

// Client returns the policies of the plan as one stack, and makes those that nobody has asked for yet:
//
//	timeout > retry > hedge > throttle > rate limit > breaker > bulkhead > timeout of an attempt
//
// Retry and hedge share a budget. The errors are those of the machines, and of Stack.
func (s *Set) Client(p ClientPlan) (*Stack, error) {
	b := builder{set: s, hooks: p.Hooks}
	var shared *budget.Budget
	if p.Retry != "" || p.Hedge != "" {
		var err error
		if shared, err = s.Budget(cmp.Or(p.Budget, p.Retry, p.Hedge)); err != nil {
			return nil, err
		}
	}
	b.add(p.Timeout, func(n string) (core.Machine, error) { return s.Timeout(n, timeout.Hooks{Hooks: p.Hooks}) })
	b.add(p.Retry, func(n string) (core.Machine, error) {
		return s.Retry(n, retry.Hooks{Hooks: p.Hooks, Budget: shared})
	})
	b.add(p.Hedge, func(n string) (core.Machine, error) {
		return s.Hedge(n, hedge.Hooks{Hooks: p.Hooks, Budget: shared, Outermost: p.Retry == ""})
	})
	b.add(p.Throttle, func(n string) (core.Machine, error) { return s.Throttle(n, p.Hooks) })
	b.guard("rate_limits", p.RateLimit, func(n string) (core.Machine, error) { return s.RateLimit(n, p.Hooks) })
	b.guard("breakers", p.Breaker, func(n string) (core.Machine, error) { return s.Breaker(n, p.Hooks) })
	b.guard("bulkheads", p.Bulkhead, func(n string) (core.Machine, error) { return s.Bulkhead(n, p.Hooks) })
	b.add(p.AttemptTimeout, func(n string) (core.Machine, error) { return s.Timeout(n, timeout.Hooks{Hooks: p.Hooks}) })
	return b.stack()
}

// Server returns the policies of the plan as one stack, and makes those that nobody has asked for yet:
//
//	timeout > rate limit > adaptive limit > bulkhead > breaker
//
// The errors are those of the machines, and of Stack.
func (s *Set) Server(p ServerPlan) (*Stack, error) {
	b := builder{set: s, hooks: p.Hooks}
	b.add(p.Timeout, func(n string) (core.Machine, error) { return s.Timeout(n, timeout.Hooks{Hooks: p.Hooks}) })
	b.guard("rate_limits", p.RateLimit, func(n string) (core.Machine, error) { return s.RateLimit(n, p.Hooks) })
	b.add(p.AdaptiveLimit, func(n string) (core.Machine, error) { return s.AdaptiveLimit(n, p.Hooks) })
	b.guard("bulkheads", p.Bulkhead, func(n string) (core.Machine, error) { return s.Bulkhead(n, p.Hooks) })
	b.guard("breakers", p.Breaker, func(n string) (core.Machine, error) { return s.Breaker(n, p.Hooks) })
	return b.stack()
}

// builder collects the machines of a plan.
type builder struct {
	set      *Set
	hooks    core.Hooks
	machines []core.Machine
	err      error // the first
}

func (b *builder) add(name string, get func(string) (core.Machine, error)) {
	if name == "" || b.err != nil {
		return
	}
	m, err := get(name)
	b.machines, b.err = append(b.machines, m), err
}

// guard is add for kinds that may be keyed: one that exists is taken as it is.
func (b *builder) guard(section, name string, get func(string) (core.Machine, error)) {
	b.add(name, func(string) (core.Machine, error) {
		b.set.mu.Lock()
		old, ok := b.set.members[id{section, name}].is.(core.Machine)
		b.set.mu.Unlock()
		if ok {
			return old, nil
		}
		return get(name)
	})
}

func (b *builder) stack() (*Stack, error) {
	if b.err != nil {
		return nil, b.err
	}
	if len(b.machines) == 0 {
		return nil, errors.New("policy: the plan names no policy")
	}
	return b.set.Stack(b.hooks.Classify, b.machines...)
}
