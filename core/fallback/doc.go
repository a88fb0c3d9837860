// Package fallback answers a call from somewhere else when the first place to ask has failed: from a cache that may be old,
// a replica, a default; in a fixed order, each step bounded so that it does not become the next thing to fail.
//
//	fn ---- error ----> step 1 ---- error, or full ----> step 2 ---- ... ----> step n ----> all errors, joined
//	 |                    |                                 |                     |
//	 | answer             | answer                          | answer              | answer
//	 v                    v                                 v                     v
//	the first answer, and DoFrom says whose it is
//
// A step is two things. Its policy, a Fallback, has the name, the settings, the condition and the counts; it is a machine like
// every other, tuned while it runs. Its function is wiring: a Chain pairs policies with functions, in order. A chain made
// once costs a call nothing. One made for the call, of closures that know its arguments, costs an allocation a
// closure, for the compiler does not see that they stay; the closure of fn is free.
//
// # Transitions
//
// What happens to a call at each step. The letters name the rows for the tests.
//
//	row  event                                             effect
//	P1   fn answers                                        its answer; no step is looked at
//	P2   fn panics or calls runtime.Goexit                 that, untouched: a panic is no answer to be replaced
//	S1   the caller's context is done                      the chain ends: the errors so far
//	S2   the step is disabled                              passed over, counted nowhere
//	S3   its condition does not hold                       passed over, counted nowhere
//	S4   the step is in shadow mode                        passed over; Status.Shadowed counts that it would have run
//	S5   Limit calls are in the step                       rejected: ReasonFull, which joins the errors; on to the next
//	S6   none of these                                     the step runs, for Timeout at most
//	R1   it answers, in time or late                       its answer
//	R2   it fails                                          an *Error round its error joins the errors; on to the next
//	R3   it fails after its Timeout                        the same, and the *Error matches core.ErrTimeout
//	R4   it panics or calls runtime.Goexit                 its place is free again; that, untouched: the errors are lost
//	N1   no step is left                                   the errors, joined in order; fn's alone as it is
//
// The condition looks at the last error there is: that of fn, or of the last step that ran or was full. By default
// (Hooks.When nil) a step answers every outcome but
//
//	Success     an error that Hooks.Classify calls a success is an answer ("not found" may be)
//	Canceled    somebody gave up, and nobody waits for another answer
//	Expired     the caller's deadline has passed
//	Ignored     if the error says that the call was canceled; any other rejection by one of our guards (a breaker
//	            is open, a bulkhead full) is what fallbacks are for
//
// Whatever the conditions say, nothing more is tried once the caller's own context is done.
//
// # Errors
//
// If fn's error is the only one it comes back as it is, with fn's value. Several are joined (errors.Join) in the order of the
// steps: errors.Is and errors.As find each. Steps' errors name their step. A joined error with a *core.Rejection in it is
// Ignored by a guard outside, as every rejection is; the place of a fallback is outside all guards.
//
// # Tune
//
//	field     survives                                                 takes effect
//	Timeout   steps under way keep their time                          next call
//	Limit     steps under way: below their number none is cancelled    now
//	Mode      steps under way                                          next call
//
// # Defaults
//
// Limit 10 is that of Hystrix and cep21/circuit, who bound fallbacks for the same reason. Timeout 1s is judgement: a
// fallback that is slow too should give way to the next step while somebody still waits.
//
// # When not to use it
//
// Not where a wrong answer is worse than none. Not for a second copy of the same dependency: what broke the first breaks the second,
// under twice the load. A step is seldom run and so seldom tested: run it in your tests, and look at
// Snapshot.Answered. The Timeout is cooperative: a function that does not look at its context is waited for.
package fallback
