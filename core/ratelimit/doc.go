// Package ratelimit admits calls at a rate, with a burst: so many tokens a Period, evenly, and a bucket that holds Burst
// of them for who has been quiet. One limiter has one bucket, or one for each key: a client, a tenant, a route.
//
//	tokens                    Limit a Period
//	                               |
//	                               v
//	                          |         |  Burst
//	 call ---- cost fits ---> |~~~~~~~~~| ----> admitted, the cost is gone for good
//	   |                      |_________|
//	   |
//	   +------ it does not: rejected with the exact time until it will,
//	           or waits for it in line, if that is at most MaxWait
//
// # State and transitions
//
// A bucket is kept as its debt: the tokens that are missing, from 0 (full, or idle) to Burst (empty).
//
//	state          event                              next                  effect
//	idle           call, cost <= Burst                debt = cost           admitted
//	owing          call, debt + cost <= Burst         debt + cost           admitted
//	owing          call, debt + cost > Burst          the same              rejected: ReasonLimited, RetryAfter, or it waits
//	any            call, cost > Burst                 the same              rejected: ReasonTooCostly, RetryAfter is Never
//	owing          time t passes                      debt - t*Limit/Period, 0 at least
//	any            time runs backwards                the debt as of then, held at the last Tune
//	owing          Tune of Limit or Period            the same, in tokens   it falls at the new rate from now on
//	any            Tune to a larger Burst             the same
//	owing          Tune to a smaller Burst            min(debt, Burst)
//
// This is the generic cell rate algorithm (ITU-T Recommendation I.371, annex A: the virtual scheduling form) on a clock
// that counts tokens instead of time:
//
//	debt       = max(0, TAT - virtual time)          virtual time advances by Limit a Period
//	admit if     debt + cost <= Burst                then TAT = max(TAT, virtual time) + cost
//	RetryAfter = (debt + cost - Burst) * Period/Limit, rounded up to a nanosecond
//	Remaining  = Burst - debt, rounded down
//
// so in every window of t at most Burst + t*Limit/Period + 1 tokens are granted, from any number of goroutines, and a
// caller that keeps the rate to the nanosecond is never rejected. Tokens are counted in millionths (2^-20). Whoever waits
// as long as RetryAfter says is admitted, unless others came first. Times are those of core.Now; a call that hands in an
// older reading than another's is decided as of its own, and so may be rejected by that difference too early.
//
// # Waiting
//
// With MaxWait set a call that lacks tokens stands in line: one line a key, in order of arrival, so a dear call at the head
// holds up cheap ones behind it. Who waits holds no reservation; only the head of the line charges, when its tokens are
// there. So a call that leaves leaves nothing behind. A call is refused at once (ReasonTooLong) if the predicted wait
// exceeds MaxWait or the deadline of its context. While it waits: ReasonLeft and ReasonExpired when its context ends,
// ReasonWaited when a Tune, or a call that was just ahead of it, makes the wait longer than MaxWait.
//
// # Keys
//
// A Keyed limiter has a bucket for each Call.Key, in about 50 bytes. A key that owes nothing carries no information: its
// cell gives way to another key without loss. A key that owes something is never pushed out, however many new keys come:
// once MaxKeys or so are active, further new keys share one overflow bucket, and Status.Overflowed counts such calls. A
// key that gets a cell of its own starts with the debt of the overflow bucket, where it may have been charged until then:
// a flood cannot be used to forget a debt, and the bound above holds for every key all the same. The zero Key has a
// bucket of its own for ever.
//
// # Tune
//
//	field               survives                                      takes effect
//	Limit, Period       the debt of every key, settled at the old     next decision; waiting calls are timed anew at once
//	                    rate
//	Burst               the debt of every key, clamped if smaller     next decision
//	MaxWait             the line; each call's time of arrival         at once: who would wait too long is told
//	MaxKeys             every key that has a cell                     next new key
//	Mode                debts                                         next call; shadow and disabled release who waits
//
// A Tune takes the same time whatever the number of keys. (Every 64th smaller Burst within the time that a full debt
// takes to fall visits them all, and so does the clock each time it has counted 2^41 tokens: 37 minutes at 1e9 a second,
// 25 days at a million.) A change of rate drops less than a millionth of a token.
//
// # When not to use it
//
// To bound calls at once, which is what a backend with finite capacity needs, use a bulkhead: a rate says nothing of how
// long calls take. To share one limit among processes use a shared store; this one counts for its own process. And a limit
// for every client does not bound their sum.
//
// Units: Limit, Burst, Cost and Remaining are tokens, Period, MaxWait and RetryAfter are time.Durations. Behaviour follows
// golang.org/x/time/rate where it can; it differs in that waiting calls hold no reservations, are served in order and
// notice a new rate, and in that time which runs backwards grants nothing.
package ratelimit
