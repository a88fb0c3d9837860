package cache

import (
	"time"

	"github.com/mw-go/mw/core"
)

// life is when an entry was made and how long it lasts. What can be tuned is left to the rules, so that a Tune holds
// for the entries that are there. Immutable.
type life struct {
	born core.Time
	own  time.Duration // above 0: a time to live of its own; else minus its share of the jitter, in units of 1/shares
	took uint32        // how long the load took in microseconds; 0 for a value that was set, isError for an error
}

const (
	shares  = 1 << 30
	isError = 1<<32 - 1
	maxTook = isError - 1 // 71 minutes
)

// lifeFor is the life of a value: its own time to live, if it is above 0, and its share of the jitter, from 0 to 1.
func lifeFor(r *rules, own time.Duration, share float64, took time.Duration) life {
	l := life{took: uint32(min(max(took.Microseconds(), 0), maxTook)), own: -time.Duration(share * shares)}
	if own > 0 {
		l.own = max(own-time.Duration(float64(own)*r.share*shares*share), 1)
	}
	return l
}

// lifeForError is the life of a remembered error.
func lifeForError(share float64) life {
	return life{took: isError, own: -time.Duration(share * shares)}
}

func (l life) negative() bool { return l.took == isError }

// span is how long the entry is fresh.
func (l life) span(r *rules) time.Duration {
	if l.own > 0 {
		return l.own
	}
	span := r.ttl
	if l.negative() {
		span = r.negative
	}
	return span + time.Duration(float64(span)*float64(l.own)*r.share)
}

// loading is how long the load took.
func (l life) loading() time.Duration {
	if l.negative() {
		return 0
	}
	return time.Duration(l.took) * time.Microsecond
}

// fate is what an entry is good for at some moment.
type fate uint8

const (
	dead  fate = iota // for nothing
	spare             // in place of the error of a load
	stale             // to be given out while a load refreshes it
	early             // fresh, and to be refreshed all the same
	fresh
)

// maxDraw is where draws are cut off, so that there is an age below which none has to be made. One in e^37 is higher.
const maxDraw = 37

// fate returns what the entry is good for; before its birth it is fresh, for the clock may be behind. draw is a number
// from the exponential distribution of mean 1: minus the logarithm of a uniform one. With it a value is refreshed early
// if now + loading*beta*draw reaches its end, which is XFetch: the chance rises as the end comes nearer, and the sooner
// the longer a load takes.
func (l life) fate(r *rules, now core.Time, draw float64) fate {
	left := l.born.Add(l.span(r)).Sub(now)
	switch {
	case left > 0 && (l.negative() || time.Duration(float64(l.loading())*r.beta*min(draw, maxDraw)) < left):
		return fresh
	case left > 0:
		return early
	case l.negative():
		return dead
	case -left < r.swr:
		return stale
	case -left < r.sie:
		return spare
	default:
		return dead
	}
}

// answers reports whether an entry of fate f answers a Get without waiting.
func (f fate) answers() bool { return f >= stale }

// refreshes reports whether it then starts a load in the background.
func (f fate) refreshes() bool { return f == stale || f == early }

// covers reports whether it is given out in place of an error. A value within StaleWhileRevalidate alone is not: it may
// be given out while its successor is on the way, not because there is none.
func (l life) covers(r *rules, now core.Time) bool {
	return !l.negative() && l.born.Add(l.span(r)).Add(r.sie) > now
}
