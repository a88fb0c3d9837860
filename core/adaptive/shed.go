package adaptive

import (
	"time"

	"github.com/mw-go/mw/core"
)

// Under overload the calls that cannot be served should be the same ones throughout: the least critical, and among
// equals those of the same users, who then fail, where otherwise every user's every tenth call would fail, and every
// page made of ten calls. So each call has a level, by its class and then by a hash of its key, and all calls above
// the cut-off are shed. After WeChat's DAGOR.
const (
	ranks  = 4  // classes that differ
	places = 64 // levels in a class
	levels = ranks * places
)

// rank orders the classes, the most critical first.
func rank(c core.Class) int {
	switch {
	case c == core.Unclassified:
		return 1
	case c <= core.Sheddable:
		return int(c) - 1
	default: // nobody promised anything to a class that does not exist
		return ranks - 1
	}
}

// level returns the level of a call. Keys change their places with every turn. Calls without a key have nothing that
// tells them apart, so they get a place at random.
func level(rank int, k core.Key, turn, random uint64) int {
	h := random
	if !k.IsZero() {
		hi, lo := k.Words()
		h = (hi ^ lo*0x9e3779b97f4a7c15 ^ turn*0xd1342543de82ef95) * 0xff51afd7ed558ccd
		h ^= h >> 32
		h *= 0x9e3779b97f4a7c15
	}
	return rank*places + int(h>>58)
}

// turnOf returns the turn that a time belongs to: so that nobody is shed for good, places are dealt anew every hour.
func turnOf(now core.Time) uint64 { return uint64(now / core.Time(time.Hour)) }

// shedder finds the cut-off. It keeps state of some kilobytes, so it changes in place; otherwise it is as pure as the
// rest.
type shedder struct {
	cut    int             // the highest level that passes
	rates  [levels]float64 // calls a second that came on each level, smoothed
	target float64         // calls a second that are let pass
	edge   int             // the class in which the cut-off lies: less critical ones are shed, more critical ones served
	calm   int             // steps since a call was last held back
}

const (
	surplus  = 1.1  // of the capacity is let pass, so that slots never stand empty; the queue sorts out the rest
	relief   = 1.25 // factor on what passes, for every step in which nobody was held back
	calmed   = 10   // steps in which nobody was held back end the shedding
	forgets  = 0.5  // weight of a step in the smoothed rates
	trace    = 0.01 // of what passes: a class with fewer calls than that is no load
	everyone = levels - 1
)

// begin starts with nobody shed.
func (s *shedder) begin() { *s = shedder{cut: everyone} }

// step takes in the calls that came within span, and the calls a second that the slots can carry.
func (s *shedder) step(arrived *[levels]uint32, span time.Duration, capacity float64, refused bool) {
	weight := forgets
	if s.target == 0 {
		weight = 1
	}
	for i := range s.rates {
		s.rates[i] += weight * (float64(arrived[i])/span.Seconds() - s.rates[i])
	}
	s.calm++
	if refused {
		s.calm = 0
		s.target = surplus * capacity
	} else {
		s.target = max(relief*s.target, surplus*capacity)
	}
	s.cut = 0
	for passed := s.rates[0]; passed < s.target && s.cut < everyone; passed += s.rates[s.cut] {
		s.cut++
	}
	s.edge = s.cut / places
	for s.edge > 0 && s.load(s.edge) < trace*s.target {
		s.edge--
	}
}

// rest is a long step with too few calls to cut any off: slots and queue sort them out.
func (s *shedder) rest(refused bool) {
	calm := s.calm + stale
	if refused {
		calm = 0
	}
	s.begin()
	s.calm = calm
}

// load is how many calls a second came of a class.
func (s *shedder) load(rank int) (sum float64) {
	for _, rate := range s.rates[rank*places : (rank+1)*places] {
		sum += rate
	}
	return sum
}

// over reports whether the overload has passed.
func (s *shedder) over() bool { return s.cut == everyone && s.calm >= calmed }
