package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/mw-go/mw/internal/suggest"
)

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
	for section, names := range s.config.sections() {
		look(section, names)
	}
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
