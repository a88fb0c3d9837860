// Package core is the vocabulary that every machine of mw speaks, and nothing else: time, keys, calls, decisions,
// permits, outcomes, rejections, modes and events. It knows no transport and no metric system.
//
// # The words
//
// A machine is a state machine in core/<name>. A guard is a machine that admits calls (breaker, ratelimit, bulkhead);
// a runner is a machine that runs the call (retry, hedge, timeout). A policy is a named machine in a policy.Set. An
// adapter puts a machine in front of a transport.
//
//	             Call                              Permit
//	caller ----> Guard.Acquire ---- admitted ----> the call runs ----> Permit.Done(Outcome)
//	                  |                                  |
//	                  | Decision: who, why, when again   | Permit.Progress: a stream's first response
//	                  v
//	             rejected: Decision.Err() is a *Rejection
//
// # How an adapter uses a guard
//
// It reads the clock once, calls Acquire on each guard from the outside in, and if one waited (Decision.Now is later
// than the time handed in) calls Restart on the permits it already holds, so that queueing is not billed to the
// backend. After the call it reads the clock once more and calls Done on every permit in reverse. Done stands in a
// defer, so that panic and runtime.Goexit give the permit back as well; nothing recovers.
//
// # What each outcome does
//
// Adapters classify (a status, an error, a cause) into an Outcome; guards never look at errors.
//
//	outcome   breaker window  latency window  breaker probe       bulkhead   lifetime count
//	Success   success         its duration    success (3)         slot back  yes
//	Failure   failure         none            failure             slot back  yes
//	Timeout   failure         its duration    failure             slot back  yes
//	Overload  none (1)        none            slot back, neutral  slot back  yes
//	Expired   none (2)        none (2)        slot back, neutral  slot back  yes
//	Canceled  none            none (2)        slot back, neutral  slot back  yes
//	Ignored   none            none            slot back, neutral  slot back  yes
//
// (1) a failure when the breaker's Config says OverloadTrips. After many probes answered by Overload or Ignored alone, a
// breaker takes further ones for successes; see its H10. (2) With a rule on slow calls, if the call had run for longer
// than its threshold: then its duration counts, Expired is a failure too, and both fail a probe. (3) A failure if it took
// longer than that.
//
// A rate limit charges at admission and takes nothing back, whatever the outcome. A permit of an earlier era (the breaker
// has changed its state since) gives its slot back and is counted in the lifetime counters; its verdict is dropped.
//
// # Modes
//
//	mode           decides  rejects  waits  charges           in flight (bulkhead)
//	enforce        yes      yes      yes    yes               counted
//	shadow         yes      never    never  admitted calls    counted
//	disabled       no       never    never  nothing           counted
//	forced-open    -        always   -      -                 -      breaker only
//	forced-closed  -        never    -      window kept       -      breaker only
//
// In shadow mode a call that would have been rejected is admitted with Decision.Reason.Shadow() true; it charges nothing.
package core
