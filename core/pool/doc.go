// Package pool lends what is dear to make. Pool keeps resources that must be bounded and closed, such as connections;
// Objects and Buffers keep memory, on a sync.Pool.
//
//	            idle stack, the last to come back on top
//	            +---+---+---+
//	Acquire --> | r | r | r | --> validated if it was idle for long --> Lease --> Release: to the first who waits, or
//	   |        +---+---+---+                                             |                 onto the stack
//	   | none idle                                                        +-----> Discard: closed
//	   v
//	   +--> queue, in order of arrival, each for at most MaxWait <-- what comes back, or is created meanwhile
//	   |
//	   +--> all Max out and Queue waiting: ReasonFull
//
// # Transitions
//
// A place is idle, out, being created or being closed; there are Max. What happens, and what each row is called in the
// tests:
//
//	row  event                                             next            effect
//	A1   Acquire, something idle, nobody waits             out             a lease of what came back last: no lock
//	A2   Acquire, it is past MaxLifetime                   being closed    as if it had not been idle
//	A3   Acquire, it was idle for ValidateAfter, is sound  out             a lease
//	A4   Acquire, the same, is not sound                   being closed    as if it had not been idle
//	A5   Acquire, nothing idle, a place free               queued          one is created, for whoever waits first by then
//	A6   Acquire, no place free, room in the queue         queued
//	A7   Acquire, no place free, the queue full                            rejected: ReasonFull
//	W1   MaxWait over                                                      rejected: ReasonWaited
//	W2   the caller's context ends                                         rejected: ReasonLeft or ReasonExpired
//	W3   granted in the same instant, MaxWait over         out             a lease
//	W4   granted in the same instant, the context ends     idle or out     rejected; the resource goes to the next
//	C1   Create succeeds                                   idle or out     to the head of the queue
//	C2   Create fails, panics or calls runtime.Goexit      free            the head of the queue gets a *CreateError
//	C3   Create hangs for a second past CreateTimeout      free            the same; what it returns later is closed
//	R1   Release, somebody waits                           out             to the head of the queue
//	R2   Release, nobody waits                             idle            on top of the stack
//	R3   Release, past MaxLifetime, or more than Max open  being closed
//	R4   Discard                                           being closed
//	D1   Close returns, fails or panics                    free            one is created if somebody waits, or below Min
//	D2   Close has not returned after CloseTimeout         free            the same
//	U1   upkeep: idle for IdleTimeout, more than Min open  being closed
//	U2   upkeep: idle and past MaxLifetime                 being closed
//	U3   upkeep, a loss, or a larger Min: below Min        being created
//	X1   Close of the pool                                 being closed    what is idle; what is out, as it comes back
//	X2   Close of the pool                                                 those who wait and who come later: ErrClosed
//
// A creation belongs to nobody. Its caller may have left, or have been served by a Release; then the next in the queue
// has it, or it lies idle. So a caller in a hurry does not undo the work, and a fleet of them does not make it start
// anew for ever. A failure answers one caller, the one who has waited longest; the others get tries of their own.
//
// A lease ends once. Release and Discard of an ended one do nothing, and Value returns the zero value, though the
// resource may have another holder by then: each lease has a number.
//
// # Min, idle resources and time
//
// No goroutine stands by. A timer runs only while something is idle (it looks after an eighth of IdleTimeout or
// MaxLifetime, whichever is shorter), or after a failure to fill up to Min (it tries again after 5s); Close stops it.
// So an idle service shrinks to Min without a call. Create and Close run in goroutines of their own, which Close waits
// for. New creates nothing: the first Acquire or Tune does, and begins to fill up to Min. Who wants to know at the start
// whether the other side is there acquires once and releases.
//
// # Mode
//
// There is none. A pool does not judge calls, it hands out things that exist: in shadow mode it would have to open more
// than Max connections, which is the very harm that Max is for, and a disabled one had nothing to hand out.
//
// # Tune
//
//	field                       survives                                  takes effect
//	Max                         resources out: it is reached as they      now; what is idle beyond it is closed, growth
//	                            come back                                 creates for those who wait
//	Min                         everything                                now
//	Queue, MaxWait              callers that wait, as they joined         next Acquire
//	IdleTimeout, MaxLifetime    every resource, its age and its share     next Acquire, Release or upkeep
//	                            of the jitter
//	ValidateAfter, LeakAfter    everything                                next Acquire
//	Jitter                      the shares drawn so far                   next resource created
//	CreateTimeout, CloseTimeout what is being created or closed           next one
//
// # When not to use it
//
// database/sql, pgx, go-redis and net/http have pools that know their protocol: use those. Where nothing but
// concurrency is to be bounded, use core/bulkhead. For memory use Objects and Buffers, which the garbage collector may
// empty; a Pool for memory is slower and holds it for ever. And neither pays for what is made in less than some 50 ns.
//
// # Sources
//
// LIFO, jitter and validation after idleness are HikariCP's and pgxpool's; the creation that outlives its caller is
// jackc/puddle's, but here its result, or its error, goes to the one who has waited longest, as in database/sql. Leases
// with numbers and places that come back from hooks that hang are our own.
package pool
