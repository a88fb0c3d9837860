// Package batch makes one call of many: items that callers hand in one by one are collected for a few milliseconds and
// sent together, and each caller gets the answer to its own. For backends whose cost is the round trip or the
// statement, and not the item: inserts, lookups by id, messages to a broker.
//
//	            collected: until MaxItems, MaxBytes or Delay
//	            +---+---+---+---+             at most Concurrency at once
//	Do -------> | a | b | c |   | --> ready --> Run([a b c]) --> [A B C] --> each caller its own
//	   |        +---+---+---+---+
//	   | Queue items held
//	   v
//	   +--> waits for a place, for at most MaxWait
//	   |
//	   +--> or is rejected: ReasonFull
//
// # Transitions
//
// The letters name the rows for the tests.
//
//	row  event                                            next        effect
//	P1   Do, nothing collected                            collecting  a batch begins, and its Delay
//	P2   Do, it fits                                      collecting  joins the batch
//	P3   Do, MaxBytes would be exceeded                   collecting  what is collected goes; a new batch begins
//	P4   Do, larger than MaxBytes by itself                           rejected: ReasonTooCostly, for ever
//	P5   the batch has MaxItems or MaxBytes               ready
//	P6   its Delay is over, fewer than Concurrency run    ready
//	P7   its Delay is over, Concurrency run               collecting  it goes when one of them ends, the larger for it
//	P8   ready, fewer than Concurrency run                running     Run is called with the items of those still here
//	Q1   Do, Queue items held, MaxWait none                           rejected: ReasonFull
//	Q2   Do, Queue items held                             waiting     in order of arrival
//	Q3   waiting, a place                                 collecting
//	Q4   waiting, MaxWait over                                        rejected: ReasonWaited
//	Q5   waiting, the caller's context ends                           rejected: ReasonLeft or ReasonExpired
//	L1   a caller leaves before its batch runs                        ctx.Err(); its item is not run
//	L2   a caller leaves while its batch runs                         ctx.Err(); the batch runs on
//	L3   the last caller of a running batch leaves                    ctx.Err(); the call's context is cancelled
//	R1   Run returns a response for each item                         each caller its own
//	R2   Run returns Errors                                           each caller its own response and error
//	R3   Run returns another error                                    every caller that error
//	R4   Run returns another number of either                         every caller a *CountError
//	R5   Run panics or calls runtime.Goexit                           every caller a *core.PanicError or core.ErrGoexit, wrapped
//	X1   Close                                            ready       what is collected; it returns when all have run
//	X2   Close                                                        those who wait and who come later: ErrClosed
//
// The context of a call has the latest of its callers' deadlines, if each of them has one, and no values. A caller that
// leaves costs the others nothing, and nobody cancels work that somebody still waits for.
//
// # Modes
//
// In disabled mode each item runs by itself at once, in its caller's goroutine and with its context; a panic there goes
// on untouched. Shadow mode does the same, and besides puts the items into batches on paper: Snapshot.Paper says how
// many they would have made, and Status.Shadowed how many items would have been too large. Close does not wait for such
// calls.
//
// # Tune
//
//	field                       survives                                  takes effect
//	MaxItems, MaxBytes, Delay   what is collected                         now: it goes if it is enough or old enough
//	Concurrency                 batches that run: below their number      now; growth starts those that are ready
//	                            it is reached as they end
//	Queue                       items that are held                       now; growth gives places to those who wait
//	MaxWait                     the wait that a caller began with         next Do
//	Mode                        batches that run                          now: what is collected goes, and those who
//	                                                                      wait run by themselves
//
// # When not to use it
//
// Where items are rare each waits for its Delay and finds nobody. Where a failure of one item fails the call for all, a
// bad item of one caller is everybody's. And where callers ask for the same thing again and again, a cache saves the
// call, not only the trip. A batch mixes callers: do not put those of different tenants into one batcher if Run cannot
// tell them apart.
//
// No goroutine stands by. A timer runs while something is collected, and each call runs in a goroutine of its own;
// Close waits for both.
package batch
