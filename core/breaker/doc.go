// Package breaker is a circuit breaker: it stops calling a dependency that fails, so that callers get an answer at once
// and the dependency gets room to recover, and finds out by a few probes when to call again.
//
//	              a rule fires
//	┌────────┐ ───────────────────> ┌────────┐ <─────────────────────────┐
//	│ closed │                      │  open  │                           │
//	└────────┘ <─┐                  └────────┘                           │
//	 all calls   │ enough probes     no calls │ the open time is over,    │ too many probes
//	 go through  │ succeeded                  v and a call comes          │ failed, or one was lost
//	             │                  ┌───────────┐                        │
//	             └───────────────── │ half-open │ ───────────────────────┘
//	                                └───────────┘
//	                                 a few calls, as probes
//
// # Transitions
//
// What a call, a result or an operator does in each state. The letters name the rows for the tests.
//
//	row  state      event                                       next       effect
//	C1   closed     call                                        closed     admitted: no lock, no clock
//	C2   closed     success                                     closed     into the window; failures in a row: 0
//	C3   closed     failure, no rule fires                      closed     into the window; failures in a row: one more
//	C4   closed     failure, FailureRate of MinCalls reached    open       for the open time
//	C5   closed     failure, ConsecutiveFailures reached        open       for the open time
//	C6   closed     result without a verdict                    closed     none
//	O1   open       call, open time not over                    open       rejected: ReasonOpen, RetryAfter is the rest
//	O2   open       call, open time over                        half-open  admitted as the first probe
//	H1   half-open  call, a place is free                       half-open  admitted as a probe
//	H2   half-open  call, ProbesAtOnce running                  half-open  rejected: ReasonProbing
//	H3   half-open  call, Probes running or voted               half-open  rejected: ReasonProbing
//	H4   half-open  call, all taken and the oldest lease over   open       rejected: ReasonOpen; "probe lost"
//	H5   half-open  probe succeeds, fewer than ProbeSuccesses   half-open  place back, vote counted
//	H6   half-open  probe succeeds, ProbeSuccesses reached      closed     with an empty window
//	H7   half-open  probe fails, ProbeSuccesses within reach    half-open  place back, vote counted
//	H8   half-open  probe fails, ProbeSuccesses out of reach    open       for the open time, as a reopening
//	H9   half-open  probe ends without a verdict                half-open  place back, for another probe
//	H10  half-open  the same after 10*Probes such answers       as H5, H6  the dependency is up, though it says little
//	L1   closed     judgement of latencies, no rule confirmed   closed     none
//	L2   closed     judgement, Confirm of ConfirmOf complain    open       for the open time
//	L3   closed     judgement, no rule complains                closed     the baseline follows the quantile
//	L4   closed     caller leaves a call that was slow already  closed     a slow call; Expired is a failure too
//	L5   half-open  probe succeeds slowly, or is left slow      as H7, H8  the dependency is not back yet (see Latency)
//	E1   any        result of a call of an earlier era          the same   lifetime counters only
//	T1   any        Trip(d)                                     open       for d, held to 1ms..MaxOpenFor, no jitter
//	T2   open       Trip(d)                                     open       the same era; it ends d from now
//	R1   any        Reset                                       closed     with an empty window, as if never opened
//
// Every change of state begins a new era. A failure is the outcome Failure or Timeout, and Overload if OverloadTrips. An
// answer without a verdict is Overload otherwise, or Ignored; Canceled and Expired are no answer, and do not count for
// H10. A call's outcome counts when it ends, in the era in which it began.
//
// The open time of opening k (0 is the first since the breaker was closed for a whole Window) is
//
//	min(OpenFor * 2^max(k-FlatReopenings, 0), MaxOpenFor) * (1 ± Jitter)
//
// so by default 5s six times, then 10s, 20s, 40s, 80s, 160s and 5m for good, each ±20 %. A stream's first response
// (Permit.Progress) is the success of its probe; how the stream ends goes into the window of the closed state. A wait in
// a later guard (Permit.Restart) begins the probe's lease anew.
//
// # Keys
//
// A Keyed breaker has such a state for each Call.Key. A key whose cell is closed for a window, with nothing in its window
// and no call running, is as good as new: its cell gives way to another key. (A run of failures in a row, if that rule is
// on, is kept for ten windows after the last.) A cell that is open or half-open, or has calls running or counts, is never
// pushed out, however many new keys come; once MaxKeys or so are active, further new keys share one overflow cell, and
// Status.Overflowed counts such calls. The zero Key has a cell of its own for ever. Events carry the key; the era of a
// key that was forgotten begins at 0 again.
//
// # Tune
//
//	field                                            survives                          takes effect
//	Window                                           counts, put where they belong     next result
//	MinCalls, FailureRate, ConsecutiveFailures       counts                            next failure
//	OpenFor, MaxOpenFor                              the moment of opening, jitter     now: the end moves
//	Probes, ProbesAtOnce, ProbeSuccesses             probes running, votes             next call or probe's end
//	ProbeTimeout                                     when probes began                 now: leases move
//	OverloadTrips, FlatReopenings, Jitter            everything                        next result, next opening
//	Mode                                             state, era, counts, permits out   next call
//	Latency                                          durations, calls in flight,       next judgement, at most a
//	                                                 baseline                          tenth of its Window away
//	MaxKeys                                          every key that has a cell         next new key
//
// The state, the era and the permits out survive every Tune. A Trip's duration is not moved.
//
// # Latency
//
// A dependency that answers well but ten times slower, or not at all, is as down as one that fails. Latency.Watch lets the
// breaker see it: it then keeps the durations of Latency.Window and counts the calls in flight by their age (core/latency),
// and judges both once a tenth of the window, when a call comes or ends. Three rules, all of one form, complain if too large a
// share of the calls has taken longer than a threshold:
//
//	rule        threshold                share           cause
//	Slowdown    times the baseline       1 - Quantile    "slowdown"
//	Max         itself                   1 - Quantile    "latency"
//	SlowCall    itself                   SlowRate        "slow calls"
//
// For "the 90th percentile exceeds 300ms" says no more and no less than "more than a tenth took longer than 300ms". The
// share is of the calls that ended in the window and of those overdue: in flight for longer than the threshold. So calls that
// hang count before they end, and once only, as what they are at that moment. A share must be exceeded by two standard deviations
// of chance, and a quantile needs five calls beyond it to speak (p90 50 calls, p99 500); with fewer, five slow calls speak
// if they are half of all. Calls that were slow count no more once the latest, of the last two slices, are well. A rule that
// complains in Confirm of the last ConfirmOf judgements opens the breaker, or in one if five calls or more have been overdue for
// a Window in which nobody came to judge: that is how callers look who all wait. A complaint is good for ten Windows.
//
// The baseline is learned: the average of the first ten judgements, and then a slow average of the quantile over BaselineOver,
// ten times as fast downwards, so that what was learned while a dependency warmed up does not last. It stands still while a
// rule complains and while the breaker is not closed, so that an outage does not become the new normal; a slow drift does, as
// far as MaxBaseline. It outlives openings, a Tune (but of Quantile), and ten Windows without a call of its key. It is forgotten
// by Reset, and when the breaker has reopened for slowness FlatReopenings and seven times in a row, after some six minutes by
// default: a dependency that is slow for so long is called all the same, and Max is for what must not be.
//
// What counts as a duration: that of a Success, to the first response if Permit.Progress tells it; that of a Timeout, which
// would have been longer; and that of a Canceled or Expired call that had already taken longer than the least threshold
// (impatient users must not hide an outage). A Failure is for the failure rate, fast or slow: a refused connection takes no
// time and would make the rest look good. Max and SlowCall are compared exactly, the threshold of Slowdown to a
// bucket's width, 12.5 %.
//
// A slow probe is a bad one by the rules that let pass half of the calls or fewer. One judgement takes a microsecond or two on two
// cores, ten times in a Window, and nobody judges where nobody calls; a call takes 20 ns more than without Watch, and no allocation.
// Memory: about 40 KB a breaker on two cores and 200 KB from sixteen on, 16 KB a key. Where traffic is thin (below 25 calls a
// second for p90) a Window of two seconds sees only what is overwhelming: lengthen it.
//
// # Defaults
//
// Window 10s of ten slices, MinCalls 20 and FailureRate 0.5 are Hystrix's, whose rates are compared with >= as here;
// resilience4j has the same rate. OpenFor 5s growing to MaxOpenFor 5m is Finagle's failure accrual, with a jitter of our
// own. FlatReopenings 5, Probes 5, ProbesAtOnce 2 and the growing lease of probes are judgement. Eras are sony/gobreaker's
// generations. Unlike it, a run of consecutive failures is not windowed, and a probe that never returns is given up.
// SlowRate 0.5 and the rule are resilience4j's slow calls, which there must end to count and are 100 % by default. That
// p90 in two seconds is enough is simulated: days of 10, 26, 30, 100 and 1000 calls a second of which one in a hundred takes thirty times
// as long open nothing, and calls that take five times as long open it within two seconds at 100 a second.
//
// # When not to use it
//
// Not for load: a dependency that says 429 is helped by core/bulkhead, core/ratelimit or adaptive limits. Not round a set
// of replicas behind one name when only one is bad: key it by replica. Not in front of code that cannot fail on its own.
// Not with Latency.Watch on calls whose durations differ by nature, such as a report and a look-up behind one name: give
// each a breaker, or set SlowCall. Where a wrong rejection costs more than a failing call, begin with mode shadow.
package breaker
