package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/feed"
	"github.com/mw-go/mw/core/schema"
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
	stacks  []*Stack    // whose orders every tuning has to respect
}

type id struct {
	section string
	name    string
}

// member is one machine or budget, with the operation that needs its type.
type member struct {
	is       any
	prepare  func(Config) (commit func(), err error)
	settings func(Config) any
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

// get returns the member of that name, made on the first call.
func get[C comparable, H any, M tunable[C]](s *Set, sec section[C, H, M], name string, h H) (M, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := id{sec.name, name}
	s.asked[key] = true
	if old, ok := s.members[key]; ok {
		if m, ok := old.is.(M); ok {
			return m, nil
		}
		var none M
		return none, fmt.Errorf("policy: %s.%s is a %T already and cannot be a %T as well", sec.name, name, old.is, none)
	}
	if sec.hooks != nil && s.heard {
		s.join(sec.hooks(&h))
	}
	m, err := sec.make(name, sec.pick(s.config)[name], h)
	if err != nil {
		var none M
		return none, at(sec.name, name, err)
	}
	s.members[key] = member{
		is: m,
		prepare: func(c Config) (func(), error) {
			commit, err := m.Prepare(sec.pick(c)[name])
			return commit, at(sec.name, name, err)
		},
		settings: func(c Config) any { return sec.pick(c)[name] },
	}
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

// join makes hooks tell the machine's own listener and then the set's, through the one feed that all machines share.
func (s *Set) join(h *core.Hooks) {
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
}

// EventFaults returns how many events were lost because the set's listener hung, and how many times it panicked.
func (s *Set) EventFaults() (dropped, panics uint64) { return s.events.Faults() }

// All returns every machine that has been asked for, by kind and name.
func (s *Set) All() []core.Machine {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []core.Machine
	for _, key := range s.names() {
		if m, ok := s.members[key].is.(core.Machine); ok { // a budget is none
			all = append(all, m)
		}
	}
	return all
}

// names returns the members' ids in order. mu is held.
func (s *Set) names() []id { return slices.SortedFunc(maps.Keys(s.members), byName) }

func byName(a, b id) int {
	return cmp.Or(cmp.Compare(a.section, b.section), cmp.Compare(a.name, b.name))
}
