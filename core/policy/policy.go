package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/internal/feed"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/internal/suggest"
)

// Set is the named machines of a service: made by the code that asks for them, tuned together by one Config. Make one
// with New. Safe for concurrent use.
type Set struct {
	heard  bool // somebody listens
	events feed.Feed

	mu      sync.Mutex // guards what follows; held while machines are made and tuned, never by their hot paths
	config  Config
	tuned   uint64 // how many times
	members map[id]member
	asked   map[id]bool // names that code has asked for, also in vain
}

type id struct {
	section string
	name    string
}

// member is one machine, with the two operations that need its type.
type member struct {
	machine core.Machine
	prepare func(Config) (commit func(), err error)
}

// New returns a set with settings and no machines. onEvent, if not nil, hears the events of every machine, each after
// the machine's own listener and under the same rules (see core.Hooks): one at a time over all machines, those of one
// machine in their order, under no lock. EventFaults has its faults. The error reports every bad field of c.
func New(c Config, onEvent func(core.Event)) (*Set, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Set{heard: onEvent != nil, config: clone(c), members: make(map[id]member), asked: make(map[id]bool)}
	s.events.Listen(onEvent)
	return s, nil
}

// section knows how to make and tune the machines of one part of the Config.
type section[C comparable, M tunable[C]] struct {
	name string
	pick func(Config) map[string]C
	make func(name string, c C, h core.Hooks) (M, error)
}

type tunable[C any] interface {
	core.Machine
	Prepare(C) (commit func(), err error)
}

var (
	breakers        = section[breaker.Config, *breaker.Breaker]{"breakers", pickBreakers, breaker.New}
	keyedBreakers   = section[breaker.Config, *breaker.Keyed]{"breakers", pickBreakers, breaker.NewKeyed}
	rateLimits      = section[ratelimit.Config, *ratelimit.Limiter]{"rate_limits", pickRateLimits, ratelimit.New}
	keyedRateLimits = section[ratelimit.Config, *ratelimit.Keyed]{"rate_limits", pickRateLimits, ratelimit.NewKeyed}
	bulkheads       = section[bulkhead.Config, *bulkhead.Bulkhead]{"bulkheads", pickBulkheads, bulkhead.New}
	keyedBulkheads  = section[bulkhead.Config, *bulkhead.Keyed]{"bulkheads", pickBulkheads, bulkhead.NewKeyed}
)

func pickBreakers(c Config) map[string]breaker.Config     { return c.Breakers }
func pickRateLimits(c Config) map[string]ratelimit.Config { return c.RateLimits }
func pickBulkheads(c Config) map[string]bulkhead.Config   { return c.Bulkheads }

// Breaker returns the breaker of that name, made on the first call; later calls return the same one, and their hooks
// are ignored. Errors: a bad name, or a keyed breaker of that name.
func (s *Set) Breaker(name string, h breaker.Hooks) (*breaker.Breaker, error) {
	return get(s, breakers, name, h)
}

// KeyedBreaker is Breaker for a keyed one.
func (s *Set) KeyedBreaker(name string, h breaker.Hooks) (*breaker.Keyed, error) {
	return get(s, keyedBreakers, name, h)
}

// RateLimit returns the limiter of that name, made on the first call; later calls return the same one, and their hooks
// are ignored. Errors: a bad name, a keyed limiter of that name, or no limit in the configuration.
func (s *Set) RateLimit(name string, h ratelimit.Hooks) (*ratelimit.Limiter, error) {
	return get(s, rateLimits, name, h)
}

// KeyedRateLimit is RateLimit for a keyed one.
func (s *Set) KeyedRateLimit(name string, h ratelimit.Hooks) (*ratelimit.Keyed, error) {
	return get(s, keyedRateLimits, name, h)
}

// Bulkhead returns the bulkhead of that name, made on the first call; later calls return the same one, and their hooks
// are ignored. Errors: a bad name, a keyed bulkhead of that name, or no limit in the configuration.
func (s *Set) Bulkhead(name string, h bulkhead.Hooks) (*bulkhead.Bulkhead, error) {
	return get(s, bulkheads, name, h)
}

// KeyedBulkhead is Bulkhead for a keyed one.
func (s *Set) KeyedBulkhead(name string, h bulkhead.Hooks) (*bulkhead.Keyed, error) {
	return get(s, keyedBulkheads, name, h)
}

func get[C comparable, M tunable[C]](s *Set, sec section[C, M], name string, h core.Hooks) (M, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := id{sec.name, name}
	s.asked[key] = true
	if old, ok := s.members[key]; ok {
		if m, ok := old.machine.(M); ok {
			return m, nil
		}
		var none M
		return none, fmt.Errorf("policy: %s.%s is a %T already and cannot be a %T as well", sec.name, name, old.machine, none)
	}
	m, err := sec.make(name, sec.pick(s.config)[name], s.both(h))
	if err != nil {
		var none M
		return none, at(sec.name, name, err)
	}
	s.members[key] = member{m, func(c Config) (func(), error) {
		commit, err := m.Prepare(sec.pick(c)[name])
		return commit, at(sec.name, name, err)
	}}
	return m, nil
}

// at puts the path of a machine before the paths of its faults, which is where the file has them.
func at(section, name string, err error) error {
	if err == nil {
		return nil
	}
	var faults schema.Errors
	if !errors.As(err, &faults) {
		return fmt.Errorf("policy: %w", err)
	}
	return schema.Errors(schema.Flatten(section+"."+name, faults))
}

// both returns hooks that tell the machine's own listener and then the set's, through the one feed that all machines
// share.
func (s *Set) both(h core.Hooks) core.Hooks {
	if !s.heard {
		return h
	}
	own := h.OnEvent
	h.OnEvent = func(e core.Event) {
		defer func() { // also if the machine's own listener panics
			s.events.Push(e)
			s.events.Deliver()
		}()
		if own != nil {
			own(e)
		}
	}
	return h
}

// EventFaults returns how many events were lost because the set's listener hung, and how many times it panicked.
func (s *Set) EventFaults() (dropped, panics uint64) { return s.events.Faults() }

// All returns every machine that has been asked for, by kind and name.
func (s *Set) All() []core.Machine {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]core.Machine, 0, len(s.members))
	for _, key := range s.names() {
		all = append(all, s.members[key].machine)
	}
	return all
}

// names returns the members' ids in order. mu is held.
func (s *Set) names() []id { return slices.SortedFunc(maps.Keys(s.members), byName) }

func byName(a, b id) int {
	return cmp.Or(cmp.Compare(a.section, b.section), cmp.Compare(a.name, b.name))
}

// Check reports, after the wiring is done, the names in the configuration that no code has asked for: probably
// misspelt, here or there. Settings that tune nothing are not an error of the configuration's own, so Tune accepts them.
func (s *Set) Check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var unused []error
	look := func(section string, configured []string) {
		slices.Sort(configured)
		for _, name := range configured {
			if !s.asked[id{section, name}] {
				unused = append(unused, s.unused(section, name))
			}
		}
	}
	look("breakers", slices.Collect(maps.Keys(s.config.Breakers)))
	look("bulkheads", slices.Collect(maps.Keys(s.config.Bulkheads)))
	look("rate_limits", slices.Collect(maps.Keys(s.config.RateLimits)))
	return errors.Join(unused...)
}

func (s *Set) unused(section, name string) error {
	var same []string
	for _, key := range slices.SortedFunc(maps.Keys(s.asked), byName) {
		if key.name == name {
			return fmt.Errorf("policy: %s.%s: no code asks for it; did you mean %s.%s?", section, name, key.section, name)
		}
		if key.section == section {
			same = append(same, key.name)
		}
	}
	if near := suggest.Nearest(name, same); near != "" {
		return fmt.Errorf("policy: %s.%s: no code asks for it; did you mean %s?", section, name, near)
	}
	return fmt.Errorf("policy: %s.%s: no code asks for it", section, name)
}
