package throttle

import (
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/window"
)

// odds is the probability with which a call is rejected, by what the window holds.
func odds(c *Config, sum window.Sum) float64 {
	requests, accepts := float64(sum.Total()), float64(sum.Good)
	return max(0, (requests-float64(max(c.MinCalls, 0))-c.K*accepts)/(requests+1))
}

// verdict is what comes of a call.
type verdict uint8

const (
	spared verdict = iota // admitted, by the odds
	forced                // admitted, because none has been for long
	shed
)

// decide decides on a call; random is in [0,1), idle the time since a call of the class was last admitted.
func decide(c *Config, p, random float64, idle time.Duration) verdict {
	switch {
	case random >= p:
		return spared
	case c.ForcePass > 0 && idle >= c.ForcePass:
		return forced
	default:
		return shed
	}
}

// effect is what an outcome does to the window.
type effect uint8

const (
	none effect = iota
	good
	bad
)

func effectOf(c *Config, o core.Outcome) effect {
	switch o {
	case core.Success:
		return good
	case core.Overload, core.Timeout:
		return bad
	case core.Failure:
		if c.FailureRejects {
			return bad
		}
		return good
	default:
		return none
	}
}

// ranks is how many classes differ.
const ranks = 4

// rank gives each class its place; one that does not exist is as good as the least critical.
func rank(c core.Class) int {
	switch {
	case c == core.Unclassified:
		return int(core.Critical) - 1
	case c <= core.Sheddable:
		return int(c) - 1
	default:
		return ranks - 1
	}
}

// classOf is the inverse of rank.
func classOf(rank int) core.Class { return core.CriticalPlus + core.Class(rank) }

var causes = [ranks]string{"critical-plus calls", "critical calls", "sheddable-plus calls", "sheddable calls"}
