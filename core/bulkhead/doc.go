// Package bulkhead bounds the calls in flight, so that one slow dependency, route or tenant cannot take every goroutine,
// connection and byte of memory there is; what does not fit waits in a short queue or is told so at once.
//
//	                 Limit slots
//	                 +---+---+---+---+
//	call ---------> | x | x | x |   |  ----> running ----> Done: the slot is free
//	   |             +---+---+---+---+                        |
//	   | none free                     <-- head of the queue -+
//	   v
//	   +--> queue of at most Queue calls, each for at most MaxWait
//	   |
//	   +--> no place in it: ReasonFull
//
// # Transitions
//
// The state is the number of slots taken and the queue. A call takes as many slots as it costs.
//
//	state                           event                         next            effect
//	slots free, nobody waits        call, it fits                 slots taken     admitted: no lock
//	any                             call, cost > Limit            the same        rejected: ReasonTooCostly, for ever
//	it does not fit, or some wait   call, a place in the queue    queued
//	it does not fit, or some wait   call, no place in the queue   the same        rejected: ReasonFull
//	queued                          the head fits                 slots taken     admitted, in order of arrival
//	queued                          the head does not fit         the same        all behind it wait, cheap or not
//	queued                          MaxWait over                  left            rejected: ReasonWaited
//	queued                          its context ends              left            rejected: ReasonLeft or ReasonExpired
//	granted in the same instant     MaxWait over                  slots taken     admitted
//	granted in the same instant     its context ends              slots passed on rejected: ReasonLeft or ReasonExpired
//	running                         Done, once                    slots free      the head of the queue is asked
//
// The outcome of a call means nothing here: Done gives the slots back whatever it was. It belongs in a defer, as in Do,
// so that panic and runtime.Goexit cost no slot.
//
// In shadow mode calls that fit take slots, calls that do not run beside the limit and take none (Decision.Reason says
// what would have kept them out; a call that would have had to queue counts as ReasonFull). In disabled mode all run
// beside. Snapshot.Running counts both kinds.
//
// # Keys
//
// A Keyed bulkhead has Limit slots and a queue for each Call.Key. A key with nothing in flight and nobody in its queue
// carries no information: its cell gives way to another key without loss. Others are never pushed out, however many new keys come:
// once MaxKeys or so are active, further new keys share one overflow cell, with one set of slots, and Status.Overflowed
// counts such calls. When such a key gets a cell of its own, its calls still running are those of the overflow cell: until
// they end it may have up to Limit more. The zero Key has a cell of its own for ever.
//
// # Tune
//
//	field      survives                                              takes effect
//	Limit      permits out: below their number nothing is cancelled, now; growth wakes waiting calls, and one that costs
//	           it drains                                             more than the new Limit is rejected
//	Queue      calls in the queue                                    next call
//	MaxWait    the wait that a queued call began with                next call
//	MaxKeys    every key that has a cell                             next new key
//	Mode       permits out, each settled as it was issued            now; shadow and disabled let waiting calls run
//
// # When not to use it
//
// To hold clients to a quota use a rate limit: slots say nothing of how many calls there are, if they are quick. Where the
// right limit is not known or changes, as it does with a backend that scales, use an adaptive limit. And a long queue is no
// capacity: calls that wait longer than their callers do are work for nobody. By Little's law the slots needed are
//
//	Limit = calls a second * seconds a call           (at the load and the slowness that must still pass)
//	Queue <= Limit * MaxWait / seconds a call         (more could not be served in time)
//
// Units: Limit, Queue and Cost are counts, MaxWait is a time.Duration.
package bulkhead
