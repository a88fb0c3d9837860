package hedge

import "github.com/mw-go/mw/core"

// pay pays for an extra attempt: a place among the losers, if the call already has an attempt under way, a token of our own
// and one of the Budget. It reports whether there was enough of each; if not, nothing is taken.
func (h *Hedge) pay(s *settings, places int64, now core.Time) bool {
	if !h.enter(places, int64(s.Config.MaxStragglers)) {
		return false
	}
	if !h.take(s.Derived.rates) {
		h.losers.Add(-places)
		return false
	}
	if b := h.hooks.Budget; b != nil && !b.Withdraw(now) {
		h.losers.Add(-places)
		h.put(s.Derived.rates, token)
		return false
	}
	return true
}

// refund gives back the tokens of an attempt that was paid for at time now and not made.
func (h *Hedge) refund(s *settings, now core.Time) {
	h.put(s.Derived.rates, token)
	if b := h.hooks.Budget; b != nil {
		b.Refund(now)
	}
}

// enter takes places among the losers.
func (h *Hedge) enter(places, limit int64) bool {
	for places > 0 {
		n := h.losers.Load()
		if n+places > limit {
			return false
		}
		if h.losers.CompareAndSwap(n, n+places) {
			break
		}
	}
	return true
}

// put adds parts of a token. A full bucket is not written to.
func (h *Hedge) put(r rates, parts int64) {
	for {
		old := bucket(h.tokens.Load())
		b := old.put(r, parts)
		if b == old || h.tokens.CompareAndSwap(int64(old), int64(b)) {
			return
		}
	}
}

// take takes a token.
func (h *Hedge) take(r rates) bool {
	for {
		old := bucket(h.tokens.Load())
		b, ok := old.take(r)
		if !ok || h.tokens.CompareAndSwap(int64(old), int64(b)) {
			return ok
		}
	}
}
