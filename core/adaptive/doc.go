// Package adaptive bounds the calls in flight by a limit that it finds itself: from how long calls take, it tells
// whether they run or queue in the backend. Beyond the limit calls wait a moment or are shed, the least critical
// first, so that the backend goes on doing useful work however much is asked of it.
//
//	                        +------------------------- the limit <---------------------------+
//	                        v                                                                |
//	call --> cut-off --> slots free? --yes--> running ----> Done: latency, drops --> window of 100ms
//	   |    (overload       | no                 ^             the slot is free          |
//	   |     only)          v                    |                   |                   v
//	   |                 queue, a line for each class <--------------+        baseline, algorithm
//	   v                    |
//	ReasonShed              +--> no place: ReasonFull; waited as long as CoDel allows: ReasonWaited
//
// # Transitions
//
// The state is the limit, the baseline, the calls in flight and in the queue, and whether calls are being held back. The
// letters name the rows for the tests.
//
//	row  state       event                                       effect
//	A1   admitting   call, slots free                            admitted: no lock
//	A2   admitting   call, no slot free                          shedding begins, nobody is cut off yet; then as S3, S4
//	S1   shedding    call above the cut-off                      rejected: ReasonShed
//	S2   shedding    call, slots free and nobody waits           admitted
//	S3   shedding    call, a place in the queue                  queued: for QueueInterval, or QueueTarget if the line is old
//	S4   shedding    call, no place                              a less critical call is pushed out, or rejected: ReasonFull
//	S5   shedding    a slot gets free                            the most critical waits no more; in an old line the newest
//	S6   shedding    the wait is over                            rejected: ReasonWaited; one just granted keeps its slot
//	S7   shedding    its context ends                            rejected: ReasonLeft, ReasonExpired; a slot is passed on
//	S8   shedding    ten steps without a call held back          admitting
//	W1   any         window full, MinSamples                     limit and baseline move
//	W2   any         ten times its length, fewer samples         the window is dropped
//	P1   shedding    Probe is over                               0.6 of the limit for a moment
//	P2   shedding    the moment is over                          the limit as before, but with what was learned
//
// # What each outcome does
//
//	Success                        its latency counts, from when it was admitted (Restart moves that) to Done, or to Progress
//	Timeout, Overload              dropped: no latency, but from DropShare on the limit falls
//	Failure                        nothing; dropped with FailureDrops. Failing is often quick, and says nothing about load
//	Canceled, Expired              nothing; but its latency counts if it was already more than Tolerance times the baseline
//	Ignored                        nothing
//
// Done gives the slots back whatever the outcome. It belongs in a defer, as in Do, so that panic and runtime.Goexit
// cost no slot. A call takes as many slots as it costs, at most the whole limit and at most 4095.
//
// # The limit
//
// A window lasts Window, or the baseline if that is longer, so that calls have felt the last change. Its latency is the
// geometric mean; of busy windows it takes a sample. The limit moves only if at least half of it was used.
//
//	gradient2  g = Tolerance * baseline / latency, held to 0.5..1; L' = L*g, and max(4, sqrt L) more if g is 1;
//	           L = (1-Smoothing)*L + Smoothing*L'
//	vegas      q = L * (1 - baseline/latency) calls queue; lg = log10 L, at least 1: L+6lg if q <= lg, L+lg if q < 3lg,
//	           L-lg if q > 6lg
//	aimd       L+1, or L*Backoff for drops, and for a latency beyond MaxHealthyLatency
//	any        held to MinLimit..MaxLimit, and to Headroom times the most calls in flight of late (half gone in 7s), but
//	           not below InitialLimit
//
// The baseline, what a call takes without a queue, is learned from ten windows and then follows over ten seconds, but
// only while nobody is held back. Under overload it is frozen, or it would drift up with the queue until the limit
// holds nothing. Two findings move it all the same: calls that are quicker than 0.85 of it, and a third fewer calls
// in flight that are no quicker: then they do not queue, the backend has become slower, and the limit returns to
// where its fall began. It does not fall further before that is known. Every Probe under lasting overload a moment
// with fewer calls looks for both. MaxHealthyLatency bounds it.
//
// # Who is shed
//
// Calls have a level: by class (Call.Class; unclassified is critical), and within the class by a hash of Call.Key,
// dealt anew every hour. Once calls are held back, a tenth more than the slots carry is let pass, from the most
// critical level up; the rest is shed at once. (Fewer than MinSamples in a window are too few for that, and left to
// the queue.) So an overload hits the same classes and users throughout. Calls without a key are shed at random. What
// passes and finds no slot queues by class. While more critical calls come (within the last ten seconds), the other
// classes may fill only their share of the limit. Health checks are for the adapter to exempt.
//
// # What the rejected are told
//
// Retries of rejected calls are rejected too, and that costs. Budgets bound them for each client; ten thousand clients
// with one call each have tokens for all their retries, and only the limiter sees them together. So it makes
// appointments: it tells the rejected to come back one after the other, RetryAfter from now at the earliest, and no more
// of them than a twentieth of the calls that the slots carry. (What they carry is often twice what the backend does: a
// limit has room for a queue.) As long as that is enough each is told RetryAfter, give or take a half. Beyond it the
// times lie further and further ahead, up to 60 times RetryAfter: whoever cannot wait that long, since its deadline or
// its MaxHint (core/retry) is nearer, does not ask again.
//
// # Modes
//
// In shadow mode calls that get slots take them; others run beside the limit and take none (Decision.Reason says what
// would have become of them; one that would have queued counts as ReasonFull). They load the backend, though, so the
// limit seen in shadow mode under overload is lower than it would be in force. In disabled mode all run beside, and
// nothing is learned. Snapshot.Running counts both kinds.
//
// # Tune
//
//	field                                        survives                                   takes effect
//	Algorithm, Tolerance, Smoothing, Backoff     limit, baseline, permits out               next window
//	MinLimit, MaxLimit, Headroom, InitialLimit   permits out: above the limit nothing is    now; growth wakes waiting calls.
//	                                             cancelled, it drains                       InitialLimit only as a bound
//	Window, MinSamples, DropShare, FailureDrops  the window that runs                       next tick, next Done
//	MaxHealthyLatency, Probe                     limit; the baseline until then             next window
//	Queue, QueueInterval, QueueTarget            calls in the queue, and their time         next call
//	Share...                                     permits out                                now
//	RetryAfter                                   everything                                 next rejection
//	Mode                                         permits out, each settled as it was        now; shadow and disabled let
//	                                             issued; limit and baseline                 waiting calls run
//
// # Defaults
//
// Smoothing, Backoff and the constants of vegas are those of Netflix's concurrency-limits, queue times CoDel's as
// used at Facebook. Window is ten times shorter than Netflix's, Tolerance lower (1.2, not 1.5), MinSamples higher
// (20, not 10); they, like Headroom, Probe, and the shares, are chosen by the experiments of this package's tests: a
// server for 300 calls a second does 90 % and more of that at 1.5 to 10 times the load, and comes back within about
// two seconds when it becomes half as fast.
//
// # When not to use it
//
// Where calls must not be rejected at all; where latency says nothing of load, as with long polls or a mix whose
// kinds differ by orders of magnitude (give each kind a limiter); and where the limit is known, as for licences or
// connections: use a bulkhead. On a client, in front of a backend that many share, a throttle (core/throttle) or a
// retry budget reacts to what the backend says; this reacts to what it does.
//
// Units: limits and Cost are counts, times are time.Duration.
package adaptive
