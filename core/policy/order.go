package policy

import (
	"errors"
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/core/timeout"
)

// OrderError is two policies of a stack that make no sense together. Immutable.
type OrderError struct {
	Outer string // such as `breaker "payments"`
	Inner string // the one inside it
	Why   string // a sentence
}

// Error returns such as `policy: breaker "payments" outside retry "payments": it would hear of ...`.
func (e *OrderError) Error() string {
	return "policy: " + e.Outer + " outside " + e.Inner + ": " + e.Why
}

// place is what the rules need to know of a machine in a stack.
type place struct {
	machine core.Machine
	kind    core.Kind
	title   string
	off     bool // disabled: its settings do no harm

	limit   time.Duration  // timeout: Limit; retry: AttemptTimeout, 0 if it has none
	delay   time.Duration  // hedge: the shortest time before the next attempt
	budget  *budget.Budget // retry, hedge
	reports bool           // hedge: it tells the budget of the calls
}

// faults judges the stack as it would be with settings c. s.mu is held.
func (st *Stack) faults(s *Set, c Config) error {
	places := make([]place, len(st.machines))
	for i, m := range st.machines {
		places[i] = placeOf(m, s.settings(m, c))
	}
	var faults []error
	for i := range places {
		if why := alone(places, i); why != "" {
			faults = append(faults, fmt.Errorf("policy: %s: %s", places[i].title, why))
		}
		for j := i + 1; j < len(places); j++ {
			if why := together(&places[i], &places[j]); why != "" {
				faults = append(faults, &OrderError{places[i].title, places[j].title, why})
			}
		}
	}
	return errors.Join(faults...)
}

// settings returns what c says of m: its own settings if it is none of s. mu is held.
func (s *Set) settings(m core.Machine, c Config) any {
	for _, member := range s.members {
		if member.is == any(m) {
			return member.settings(c)
		}
	}
	switch m := m.(type) {
	case *retry.Retry:
		return m.Config()
	case *hedge.Hedge:
		return m.Config()
	case *timeout.Timeout:
		return m.Config()
	default:
		return nil
	}
}

func placeOf(m core.Machine, settings any) place {
	p := place{machine: m, kind: m.Status().Policy.Kind, title: title(m)}
	switch c := settings.(type) {
	case retry.Config:
		c = schema.Fill(c)
		p.off, p.limit, p.budget = c.Mode == core.Disabled, max(c.AttemptTimeout, 0), m.(*retry.Retry).Budget()
	case hedge.Config:
		c = schema.Fill(c)
		p.off, p.delay = c.Mode == core.Disabled, c.Delay
		if c.Delay <= 0 {
			p.delay = min(c.Min, c.Max)
		}
		p.budget, p.reports = m.(*hedge.Hedge).Budget(), m.(*hedge.Hedge).Outermost()
	case timeout.Config:
		c = schema.Fill(c)
		p.off, p.limit = c.Mode == core.Disabled, c.Limit
	}
	return p
}

// alone judges what a hedge needs of the rest of the stack.
func alone(places []place, i int) string {
	h := &places[i]
	if h.kind != core.KindHedge {
		return ""
	}
	if h.budget == nil {
		return "it has no Budget; retries and extra attempts to one backend have to share one, or each adds its own to an overload"
	}
	for j := range places {
		if places[j].kind == core.KindRetry {
			return ""
		}
	}
	if !h.reports {
		return "no retry is in the stack, so it has to tell the Budget of the calls itself (Hooks.Outermost), or nothing funds it"
	}
	return ""
}

// together judges two machines of a stack.
func together(outer, inner *place) string {
	switch {
	case outer.machine == inner.machine:
		return "it is the same one twice"
	case outer.kind == core.KindRetry && inner.kind == core.KindRetry:
		return "their attempts multiply; retry once, where the call can be repeated most cheaply"
	case outer.kind == core.KindHedge && inner.kind == core.KindHedge:
		return "their attempts multiply; hedge once"
	case outer.kind == core.KindHedge && inner.kind == core.KindRetry:
		return "every extra attempt would have retries of its own; the retry belongs outside"
	case inner.kind == core.KindRetry || inner.kind == core.KindHedge:
		if why := attempts[outer.kind]; why != "" {
			return why
		}
	}
	switch {
	case outer.kind == core.KindRetry && inner.kind == core.KindHedge && inner.budget != nil:
		if outer.budget != inner.budget {
			return "they have two Budgets; one backend needs one, or each adds its own attempts to an overload"
		}
		if inner.reports {
			return "both would tell the Budget of each call, which funds it twice; the hedge is not Outermost"
		}
	}
	if outer.off || inner.off {
		return ""
	}
	return timing(outer, inner)
}

// attempts says why a guard does not belong outside of what makes attempts.
var attempts = map[core.Kind]string{
	core.KindBreaker:   "it would hear of one call where the backend sees several attempts, and could not stop those that follow; it belongs inside",
	core.KindRateLimit: "it would count one call where the backend sees several attempts; it belongs inside",
	core.KindBulkhead:  "a slot would be held during delays, and extra attempts would take none; it belongs inside",
	core.KindAdaptive:  "it would take delays and several attempts for the latency of the backend; it belongs inside",
	core.KindThrottle:  "it would hear of one call where the backend refuses several attempts; it belongs inside",
}

// timing judges times that can never come.
func timing(outer, inner *place) string {
	switch {
	case inner.limit > 0 && outer.limit > 0 && inner.limit >= outer.limit && inner.kind == core.KindTimeout:
		return fmt.Sprintf("the inner %v can never be over before the outer %v; the bound of an attempt has to be shorter than that of the whole",
			inner.limit, outer.limit)
	case inner.limit > 0 && outer.limit > 0 && inner.limit >= outer.limit:
		return fmt.Sprintf("an attempt of %v leaves no time for another within %v", inner.limit, outer.limit)
	case inner.kind == core.KindHedge && outer.limit > 0 && outer.limit <= inner.delay:
		return fmt.Sprintf("the time of %v is over before the hedge's delay of %v is: it would never make an extra attempt", outer.limit, inner.delay)
	case outer.kind == core.KindHedge && inner.limit > 0 && inner.limit <= outer.delay:
		return fmt.Sprintf("an attempt ends after %v, before the hedge's delay of %v is over: no two would ever run side by side", inner.limit, outer.delay)
	default:
		return ""
	}
}
