// Package hedge makes another attempt at a call that takes long, and takes whichever answers first: where one call in
// twenty is slow, a request that needs a hundred of them is slow nearly always, and with a few calls more it is not.
//
//	call --> attempt 1 ------------------------------- answers ------> the first answer
//	             |                                        ^               |
//	             | the delay is over: a token             |               v
//	             +------------> attempt 2 ----------------+          the other loses: its context
//	             |                                                   ends, and OnLoser hears how it did
//	             | attempt 1 fails: a token
//	             +------------> attempt 2, at once
//
// # Transitions
//
// The letters name the rows for the tests. A further attempt is possible if the delay is known, the caller waits for
// longer than that, the call is neither marked by Once nor part of another hedge's further attempt, Hooks.May allows it,
// and there are a place among MaxStragglers and a token of the Budget.
//
//	row  event                                                    effect
//	A1   the caller's context is done                             fn does not run: ctx.Err(); counted nowhere
//	A2   no further attempt is possible                           fn runs in the caller's goroutine, with its context
//	A3   one is possible                                          attempt 1 in a goroutine of its own; a timer for the delay
//	T1   the delay is over, MaxExtra are not made, and (a)        another attempt; if there may be more, after another delay
//	T2   the same, but not (a)                                    asked again after the same time, at last a quarter of what has passed
//	E1   an attempt succeeds                                      its result; the others have lost
//	E2   it fails, and its failure is fatal (b)                   its error; the others have lost
//	E3   it panics or calls runtime.Goexit                        that, in the caller's goroutine; the others have lost
//	E4   it fails otherwise, MaxExtra are not made, and (a)       another attempt at once
//	E5   the same, with a RetryAfter() up to Max, while others    another attempt after that time
//	     are under way
//	E6   it fails with RetryAfter() below 0 or above Max, or with  no further attempts; those under way may still answer
//	     none by Overload, or by Ignored (a guard's rejection)
//	E7   it was the last under way, and none follows               the errors
//	L1   an attempt ends that has lost                            OnLoser; then its place is free; panics are counted
//
// (a) There are a place, if another attempt is under way, a token of Ratio and Burst, and one of the Budget. (b) The
// caller is gone, or Hooks.Fatal says so; by default if an error has a method Permanent() bool that returns true, or the
// outcome is Canceled or Expired. An error whose outcome is Success is an answer, as in E1.
//
// A rejection that a further attempt meets is not fatal: it must not cost the first attempt its answer. A panic in
// one is. An attempt that fails cleans up what it has brought: its value is dropped, unless it is the only attempt.
//
// # The delay
//
// It is the Quantile of how long the successful first attempts of the last Window took, from Min to Max, and unknown,
// so that nothing is hedged, until n samples have n*(1-Quantile) >= 5: a hundred for 0.95. It is the far end of the bucket in
// which core/latency finds the quantile, so up to 6 % more and never less: no more than 1-Quantile of the calls outlast it. It is
// taken anew ten times a second.
//
// A first attempt that has lost gives a sample too: the time that it had taken when the call was decided. It would have
// taken longer, but this is beyond the delay already, and where a value beyond a quantile lies does not move the quantile
// (Kaplan and Meier 1958: it is censored). Left out, it would: the delay would be the quantile of the calls that the
// last delay had let through, and shrink to nothing. Further attempts give no samples, nor do failures.
//
// # What bounds the extra attempts
//
// Between any two moments there are at most Burst of them, plus Ratio of the calls begun in between, whatever happens. Each
// call brings Ratio of a token, each extra attempt takes one, at the decision to make it; Burst are saved up. As many
// calls wish for one as Ratio pays for, so a wish may find no token. Then it is uttered again (T2): tokens come with
// other calls, and go to those that have waited, which need them most.
//
// For that reason a call that begins when there is no token has its own goroutine all the same.
//
// A fan-out of n calls brings n*Ratio tokens at once and wishes for as many; what is beyond Burst of them is lost. Of 1200
// fan-outs, 10ms apart, whose calls take 4ms or so and one in sixty-six up to 2s, the p99.9 is 2s without hedging. With
// it, the worst of five runs; in brackets if each wish were uttered once:
//
//	calls  Burst 10                   Burst 50
//	100    68ms, 3.6 % more    (2s)   52ms, 4.6 % more    (52ms)
//	200    100ms, 2.6 % more   (2s)   67ms, 4.5 % more    (434ms)
//	400    131ms, 1.5 % more   (2s)   98ms, 4.0 % more    (2s)
//
// So give Burst the size of n*Ratio where calls come in large fan-outs, or where few calls follow them that would bring tokens.
//
// The Budget, if there is one, bounds retries and extra attempts together, and asks for successes (see core/budget); its
// Size then bounds a burst as well. In the recommended order a retry is outside and tells the Budget of the calls; a hedge
// that nothing surrounds does so itself, if Hooks.Outermost says so.
//
// # Losers
//
// Do returns without waiting for those that have lost. Their contexts have ended, with the cause ErrLost, so one that heeds
// it ends within moments, and counts as Canceled in guards that it passes. One that does not is a straggler, and holds
// a place: at most MaxStragglers attempts have lost or are bound to at once, then there are no further ones. If the caller
// is gone, Do waits until one attempt heeds it, so that no more are left behind than have places.
//
// # Modes
//
// shadow runs fn once, in the caller's goroutine, takes samples, and counts in Status.Shadowed the calls that would have had
// another attempt: they took longer than the delay, or failed as in E4, and there was a token, which is then
// taken, for the next to be counted as they would be. The Budget is asked and not charged. disabled runs fn and
// nothing else.
//
// # Tune
//
//	field             survives                                             takes effect
//	Ratio, Burst      tokens, held to the new Burst; growth comes empty    next call; Burst now
//	Window            samples, those that are not older                    now
//	Delay             samples, until a fixed one makes them needless       next call
//	all others        calls in progress keep what they began with          next call
//
// # What it costs
//
// A call in the caller's goroutine allocates nothing and costs two readings of the clock and a sample, or with a
// fixed delay some 20 ns. One that may be hedged costs 5 allocations of 456 bytes, and about a microsecond: a goroutine, a
// context, a timer. A closure made for the call is one allocation more, since fn may outlive it.
//
// # When not to use it
//
// Not for calls that must not happen twice. Not where attempts share what they write to: decoding two replies into one message
// is a data race. Not against an overload: then every attempt is slow, and the tokens are spent for nothing; it is for
// servers of which one at a time is slow. Inside a retry and outside of what each attempt must pay for: rate
// limit, breaker, bulkhead. A timeout around it must be longer than the delay.
//
// # Sources
//
// Dean and Barroso, "The Tail at Scale" (CACM 2013), for the idea and the 0.95; Finagle's BackupRequestFilter for the
// quantile, the share and the least delay; gRPC's proposal A6 for what follows from a failure. There a fatal status is
// whatever is not listed; here rejections and overload are in between.
package hedge
