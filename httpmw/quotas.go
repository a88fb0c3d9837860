package httpmw

import (
	"math"
	"strings"
	"time"

	"github.com/mw-go/mw/core"
)

// quotas is what one server has said of how much more it will take, and what it has been sent since. A plain value: time is
// an argument, and who calls holds the lock.
//
//	row  event                                    then
//	T1   a request, before held                   it waits until then
//	T2   a request, a policy is used up           it waits until its reset
//	T3   a request otherwise                      it passes; each policy has one less
//	L1   Retry-After                              held until then; the policies are forgotten: it wins
//	L2   r and t of a policy                      r less what was sent after that request; reset in t
//	L3   the same, older than what is known       nothing
//	L4   r without t, or t of 0                   the policy is forgotten
//	R1   the reset of a policy with q and w       it has q again until the next reset, w later
//	R2   the reset of another                     it is forgotten
type quotas struct {
	sent     uint64
	blocked  bool
	held     core.Time // while blocked
	policies []quota
}

// quota is one policy of the server.
type quota struct {
	name   string
	left   int64
	reset  core.Time
	sent   uint64        // the number of the request that it was learnt from
	amount int64         // q of the RateLimit-Policy; 0 unknown
	window time.Duration // w; 0 unknown
}

// maxPolicies bounds what one server can make us remember.
const maxPolicies = 8

// take lets a request pass and returns its number, or says how long it has to wait.
func (s *quotas) take(now core.Time) (number uint64, wait time.Duration) {
	s.expire(now)
	if s.blocked {
		wait = s.held.Sub(now)
	}
	for i := range s.policies {
		if p := &s.policies[i]; p.left < 1 {
			wait = max(wait, p.reset.Sub(now))
		}
	}
	if wait > 0 {
		return 0, wait
	}
	return s.pass(), 0
}

// pass counts a request that is sent, whatever there is left.
func (s *quotas) pass() uint64 {
	for i := range s.policies {
		s.policies[i].left--
	}
	s.sent++
	return s.sent
}

// expire forgets what is over, and begins the next window of policies that are known to have one.
func (s *quotas) expire(now core.Time) {
	if s.blocked && now >= s.held {
		s.blocked = false
	}
	kept := s.policies[:0]
	for _, p := range s.policies {
		if now >= p.reset {
			if p.amount <= 0 || p.window <= 0 || p.left >= p.amount { // the last: nothing was sent for a window
				continue
			}
			p.left, p.reset = p.amount, p.reset.Add((now.Sub(p.reset)/p.window+1)*p.window)
		}
		kept = append(kept, p)
	}
	clear(s.policies[len(kept):])
	s.policies = kept
}

// idle reports whether nothing is known.
func (s *quotas) idle(now core.Time) bool {
	s.expire(now)
	return !s.blocked && len(s.policies) == 0
}

// hold keeps all requests back for d.
func (s *quotas) hold(now core.Time, d time.Duration) {
	clear(s.policies)
	s.policies = s.policies[:0]
	if until := now.Add(d); !s.blocked || until > s.held {
		s.blocked, s.held = true, until
	}
}

// learn takes in what the response to a request says of a policy. said.sent is the request's number; a reset that is not
// after now stands for none.
func (s *quotas) learn(now core.Time, said quota) {
	i := 0
	for i < len(s.policies) && s.policies[i].name != said.name {
		i++
	}
	known := i < len(s.policies)
	switch {
	case known && s.policies[i].sent > said.sent:
		return
	case said.reset <= now:
		if known {
			s.policies = append(s.policies[:i], s.policies[i+1:]...)
		}
		return
	case !known && len(s.policies) == maxPolicies:
		return
	case !known:
		said.name = strings.Clone(said.name) // not the whole field
		s.policies = append(s.policies, quota{name: said.name})
	}
	p := &s.policies[i]
	said.name = p.name
	if said.amount == 0 {
		said.amount, said.window = p.amount, p.window
	}
	said.left -= int64(min(s.sent-min(said.sent, s.sent), math.MaxInt64))
	*p = said
}
