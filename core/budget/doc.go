// Package budget bounds the extra attempts, retries and hedges together, that a client sends to one backend, so that they
// stay a small share of its calls however many of these fail. Without it three attempts a call are three times the load at
// the very moment when the backend can bear it least, and the overload that a short stall has caused never ends.
//
//	  Success: +Ratio
//	        |
//	        v        at most Size
//	+-----------------+
//	| o o o o o o o . | ----> Withdraw: -1, one extra attempt
//	+-----------------+ <---- Refund: +1, the caller left before it was made
//
// A Budget belongs to a backend, not to a policy: every runner that sends it extra attempts shares one. It is no machine
// and has no mode; whoever asks it has.
//
// # Rules
//
// The state of the rules success and throttle is a bucket of tokens, which begins full; that of window is the deposits
// and withdrawals of the last TTL. One token is one extra attempt.
//
//	rule       event                            next                       effect
//	success    End(Success)                     +Ratio, at most Size
//	success    Withdraw, 1 token or more        -1                         allowed
//	success    Withdraw, less than 1 token      the same                   refused
//	success    Refund                           +1, at most Size
//	window     Begin                            +Ratio, for TTL
//	window     Withdraw, 1 token or more (a)    -1, for TTL                allowed
//	window     Withdraw, less than 1 token (a)  the same                   refused
//	window     Refund within TTL                the withdrawal never was
//	window     Refund later                     the same
//	throttle   End(Success)                     +Ratio, at most Size
//	throttle   End(Failure, Timeout, Overload)  -1, at least 0
//	throttle   Withdraw, more than Size/2       the same                   allowed
//	throttle   Withdraw, Size/2 or less         the same                   refused
//	unlimited  Withdraw                         the same                   allowed
//
// (a) of Reserve*TTL + deposits - withdrawals. What is not in the table changes nothing. Canceled, Expired and Ignored say
// nothing of the backend and move no token.
//
// # Which rule
//
// success is the default. While nothing succeeds it stops extra attempts altogether once the bucket is empty, which is
// what lets an overloaded backend recover; in the long run extra attempts are at most Ratio of the successful ones, and
// at most Size more at any moment. window is Finagle's and tower's budget. It is funded by calls whether or not they
// succeed, so that rare traffic always has its reserve, but a backend loaded to 1/(1+Ratio) of its capacity or more stays
// overloaded for ever when it once is: the extra Ratio is part of what keeps it there. throttle is that of gRPC (proposal
// A6): extra attempts are free until half of the bucket is lost to failures, and then there are none.
//
// A bound on attempts follows from each: with the rule success, calls*(1+Ratio) + Size for each client. Sizes of many clients
// add up, so ten thousand clients need protection on the server as well.
//
// # Who calls what
//
// Begin once a call, End once an attempt, both by the outermost runner of a chain alone: two that report the same call
// fund it twice. Withdraw at the decision to make an extra attempt, before its backoff, so that attempts that wait are
// counted; Refund if the caller leaves in the meantime.
//
// # Tune
//
//	field        survives                                            takes effect
//	Rule         the bucket, deposits and withdrawals                next call
//	Ratio        tokens                                              next deposit; for window all deposits of the last TTL
//	Size         tokens, held to the new Size; growth comes empty    now
//	TTL          deposits and withdrawals, put where they belong     now
//	Reserve      deposits and withdrawals                            now
//
// # When not to use it
//
// Not for a quota: it bounds extra attempts and never a call's first. Not one for several backends: the healthy ones would
// pay for the retries of the sick one.
//
// Units: tokens, an extra attempt each; kept to a millionth. The window counts in ten slices, so that a deposit lasts
// between 90 % and 100 % of TTL.
package budget
