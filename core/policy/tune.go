package policy

import (
	"errors"
	"maps"
	"slices"
)

// Prepare checks c as a whole, the settings of machines that do not exist (yet) and the orders of all stacks included, and
// returns the function
// that puts it in force. It holds nothing, and commit cannot fail. A machine that is made between the two follows too,
// unless c has not the fields it requires: then it keeps the settings it was made with.
func (s *Set) Prepare(c Config) (commit func(), err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = clone(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	commits := make(map[id]func(), len(s.members))
	var faults []error
	for _, key := range s.names() {
		commit, err := s.members[key].prepare(c)
		commits[key] = commit
		faults = append(faults, err)
	}
	for _, st := range s.stacks {
		faults = append(faults, st.faults(s, c))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return func() { s.commit(c, commits) }, nil
}

// commit applies c to every machine outside the lock, because listeners run then. Two commits at once may reach the
// machines in different orders; so whoever finds at the end that c is no longer the latest applies the latest again.
func (s *Set) commit(c Config, commits map[id]func()) {
	s.mu.Lock()
	s.config = c
	s.tuned++
	mine := s.tuned
	for key, m := range s.members {
		if _, ok := commits[key]; !ok { // made since
			commits[key], _ = m.prepare(c)
		}
	}
	s.mu.Unlock()
	for commits != nil {
		commits, mine = s.apply(commits, mine)
	}
}

// apply runs the commits, and returns what is left to do: everything, if another commit has come after tuning number
// mine.
func (s *Set) apply(commits map[id]func(), mine uint64) (left map[id]func(), latest uint64) {
	for _, key := range slices.SortedFunc(maps.Keys(commits), byName) {
		if put := commits[key]; put != nil {
			put()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tuned == mine {
		return nil, mine
	}
	left = make(map[id]func())
	for _, key := range s.names() {
		left[key], _ = s.members[key].prepare(s.config) // checked when it was committed
	}
	return left, s.tuned
}

// Tune puts c in force in every machine, or in none: an error leaves everything as it was. A name that c no longer has
// goes back to the defaults of its kind; if the kind has required fields, that is an error.
func (s *Set) Tune(c Config) error {
	commit, err := s.Prepare(c)
	if err != nil {
		return err
	}
	commit()
	return nil
}

// Config returns the settings in force, as they were given.
func (s *Set) Config() Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return clone(s.config)
}
