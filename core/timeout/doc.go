// Package timeout bounds how long a call may take, so that a dependency that hangs costs its callers a known time and no
// more, and turns away calls whose callers would be gone before the answer.
//
//	              the caller's time left, less Margin            the limit
//	                             |                                  |
//	                             v                                  v
//	call --> [ enough left? ] --------> [ fn runs, for the shorter of the two ] --> result, or *Error
//	              | no                            |
//	              v                               | DoAbandoning: the time is over and fn is not
//	         *core.Rejection                      v
//	                                    left behind, at most MaxAbandoned
//
// # Transitions
//
// A call of Do; and of DoAbandoning, where it says so. The letters name the rows for the tests.
//
//	row  event                                                 effect
//	A1   the caller's context is done                          fn does not run: ctx.Err(); counted nowhere
//	A2   the caller's deadline has passed                      rejected: ReasonExpired
//	A3   the caller's time left, less Margin, is below the     rejected: ReasonTooLong
//	     floor, or nothing
//	A4   the same is at most the limit                         fn runs until then; without a Margin in the caller's own
//	                                                           context: no timer
//	A5   the same is more, or the caller has no deadline       fn runs for the limit: a timer
//	E1   fn succeeds within its time                           its result; sample: the time it took
//	E2   fn fails within its time                              its error, as it is; no sample
//	E3   fn fails after the limit                              *Error round its error; sample: the limit
//	E4   fn succeeds after the limit                           its result, counted as late; sample: the time it took
//	E5   fn ends after its caller's time, or it was canceled   what it returns, as it is; a sample only if it succeeds
//	E6   fn panics or calls runtime.Goexit                     that, untouched; no sample
//	B1   DoAbandoning: the time is over, a place is free       *Error or ctx.Err(); fn is left behind; sample as in E3
//	B2   DoAbandoning: the time is over, no place is free      it waits for fn (then as E3 to E5) or for a place (B1)
//	B3   DoAbandoning: fn panics or calls Goexit before that   *core.PanicError as a panic, or Goexit, in the caller's goroutine
//	B4   a function left behind ends, in whatever way          OnAbandoned; then its place is free; panics are counted
//
// Whose time it was that ended a call tells context.Cause of the context that fn had: an *Error that matches
// core.ErrTimeout if it was the limit, and what the caller's context says if it was the caller's, so that
// core.ClassifyDone answers Timeout, or Expired or Canceled. Outside fn the caller's context is the one to ask, and
// the error.
//
// In shadow mode nothing is rejected or cut short; Status.Shadowed counts the calls that would have been. In disabled
// mode fn just runs. Both run fn in the caller's goroutine, with the caller's context, done or not.
//
// # The adaptive limit
//
//	limit = Factor * quantile(successful calls of the last Window), from Min to Limit
//
// and Limit until the window holds n samples with n*(1-Quantile) >= 5: five hundred for 0.99. (It is also Limit when the
// quantile is beyond 64s, where core/latency cannot tell durations apart.) It is renewed ten times a
// second, when a call comes. A limit that is fed by what it lets through must not close in on itself: a call
// that it ended counts with the limit as its time, so that the limit grows by Factor each time that more than 1-Quantile
// of the samples stand at it; and Min, which is never 0, holds it up. A high Quantile therefore grows quickly.
//
// The floor of the time that a caller must have left is the larger of MinRest and the RestQuantile of the same samples.
// If all callers have less, none is let in, no sample is taken, and after a Window the quantile is unknown: calls are
// let in again and show how things are.
//
// # Tune
//
//	field                                       survives                             takes effect
//	Limit, Margin, MinRest, Mode                calls under way keep their time      next call
//	Adaptive, Quantile, Factor, Min             samples, while Adaptive or           next call
//	                                            RestQuantile asks for them
//	RestQuantile                                the same                             next call
//	Window                                      samples, those that are not older    now
//	MaxAbandoned                                functions left: below their number   now; growth releases calls that wait
//	                                            none is taken back
//
// # What it costs
//
// A call in its caller's context (row A4) allocates nothing, and neither does one in shadow or disabled mode. One with a
// timer pays for context.WithTimeoutCause and its cancel: 4 allocations of 272 bytes, and some 400 ns where the rest of Do
// takes 50. So let the outermost bound of a request carry the timer, and give the inner ones the longer limits. DoAbandoning
// adds a goroutine and a channel. An adaptive limit costs two readings of the clock and a sample.
//
// # When not to use it
//
// A response that is read after the call, such as the body of an HTTP response, needs its context longer than Do keeps
// it: an adapter uses Admit, and cancels when the body is closed. A deadline is no cure for a dependency that is down:
// every call still costs the whole limit; put a core/breaker inside. And a limit shorter than
// what the dependency needs when it is busy turns a slow minute into an outage; begin with mode shadow.
//
// # Sources
//
// The clamp that keeps an adaptive limit from collapsing answers erpc's issue 1112. Turning away at the door what
// cannot be answered in time is the deadline check of gRPC servers and of Google's SRE book, chapter 22; asking the observed
// median is ours. net/http's TimeoutHandler and Hystrix leave functions behind without bound and without word of it.
package timeout
