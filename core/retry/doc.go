// Package retry repeats calls that fail for a reason that may have passed by the next attempt, after a growing delay, and
// only as long as that does no harm: a budget bounds what all retries together add to the load.
//
//	call --> attempt 1 ---- succeeds, or fails for good -----------> the answer
//	              |                                           ^
//	              v fails                                     |
//	         another one?  ---- no: *Error, the last failure -+
//	              |                                           |
//	              v a token from the budget                   |
//	            delay  -------- the caller leaves: refund ----+
//	              |                                           |
//	              v                                           |
//	          attempt 2 ... ----------------------------------+
//
// # Transitions
//
// A call is between two attempts: it has made some and drawn a delay. The first row that fits decides after a failed
// attempt. The letters name the rows for the tests.
//
//	row  an attempt fails, and                                   then
//	G1   the caller was cancelled                                ReasonLeft
//	G2   the caller's deadline has passed                        ReasonExpired
//	P1   its error says Permanent() or RetryAfter() below 0      ReasonPermanent
//	R1   a guard rejected it, without RetryRejections            ReasonRejected
//	N1   its outcome is not retried (a)                          ReasonNotRetryable
//	A1   MaxAttempts are made                                    ReasonAttempts
//	A2   a retry further out is repeating the call               ReasonNested
//	H1   it asks to wait longer than MaxHint                     ReasonHint
//	P2   Hooks.Backoff returns less than 0                       ReasonPermanent
//	D1   delay + MinAttempt reach the caller's deadline          ReasonDeadline
//	B1   the budget has no token                                 ReasonBudget
//	W1   the caller leaves during the delay                      token back; ReasonLeft or ReasonExpired
//	W2   the delay is over                                       another attempt
//
// (a) Failure, Timeout and Overload are, and with RetryRejections rejections, unless Hooks.Retryable says otherwise.
//
// Every Reason ends the call with an *Error that has the number of attempts, the reason and the last real error, to
// which it unwraps: a deadline or a budget never hides what went wrong. A panic or runtime.Goexit of the call is no
// failed attempt: it goes on, and counts as a failure for the budget.
//
// # Delays
//
// n is the number of the retry from 0, U a random number; the settings are Base, Factor, MaxDelay and Spread.
//
//	exponential    E = min(MaxDelay, Base * Factor^n)            full          U(0, E)
//	linear         E = min(MaxDelay, Base * (n+1))               equal         E/2 + U(0, E/2)
//	decorrelated   min(MaxDelay, U(Base, 3*last)), last = Base   proportional  E * U(1-Spread, 1+Spread)
//	               at first; no other jitter                     none          E
//
// All are held to MaxDelay after the jitter too (gRPC's A6, whose jitter proportional is, lets it exceed the maximum).
// exponential, full and decorrelated are those of the AWS Architecture Blog. A delay that does not grow is exponential
// with Factor 1.
//
// An error with a method RetryAfter() time.Duration carries the server's hint: 0 is none, below 0 not to retry. It is a
// lower bound: the delay is at least the hint, spread upwards by up to Spread (but for Jitter none) and no further than
// MaxHint. A *core.Rejection is one too, when rejections are retried.
//
// # Budget
//
// See core/budget. Retries and hedges to one backend share one through Hooks.Budget; without it a retry has its own, of
// ten tokens, funded by successes. So calls*1.1 + 10 attempts are the most that a client makes, whatever happens. A token
// is taken when a retry is decided, before its delay.
//
// # Nested retries
//
// Three tiers with three attempts each are 27 attempts at the bottom. From the second attempt on the context carries a
// mark (Attempt), and a retry that finds it makes one attempt only. Adapters send the mark over the wire (WithAttempt).
// The first attempt carries none, so that it costs nothing: of the tiers the innermost does retry.
//
// # Modes
//
// shadow runs fn once, without AttemptTimeout, and returns its error untouched; Status.Shadowed counts the calls that
// would have been retried. The budget hears of these attempts but gives no tokens. disabled runs fn and nothing else.
//
// # Tune
//
//	field      survives                                           takes effect
//	all        calls in progress keep what they began with        next call
//	the budget is tuned by itself, and keeps its balance
//
// # When not to use it
//
// Not for calls that must not happen twice: mark their errors Permanent, or do not come here. Not at every tier: once,
// as far out as the call can be repeated cheaply, or as near to the failure as it can be told to have passed. Inside it
// belong what each attempt must pay for: rate limit, breaker, bulkhead. A result that is read later, such as the body of a
// response, needs DoKeeping: with Do its context ends, and its AttemptTimeout with it, when fn returns.
//
// Units: MaxAttempts is a count, delays and times are a time.Duration, Factor and Spread are shares of a delay.
package retry
