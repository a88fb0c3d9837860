// Package throttle is client-side adaptive throttling: a client whose calls a backend turns away as too many stops
// sending some of them, so that the backend need not even turn them away. No one tells it how many; it goes by what
// came of its own calls.
//
//	                    requests in the window, those rejected here included
//	                    of them accepted by the backend
//	                                   |
//	                                   v
//	call ----> P = (requests - MinCalls - K*accepts) / (requests + 1), at least 0
//	             |
//	             +-- with probability P: ReasonShed, at once; unless none has passed for ForcePass
//	             +-- else: admitted ----> Done: accepted, or not
//
// It is a package of its own beside core/adaptive because the two share nothing: that one measures how long calls
// take, and counts those in flight; this one counts answers, and needs neither clock nor memory of the calls that
// run. A service puts an adaptive limit in front of itself and a throttle in front of each of its backends.
//
// # Transitions
//
// The state of a class of calls (Call.Class; unclassified is critical) is its window. The letters name the rows for
// the tests.
//
//	row  state     event                                    window      effect
//	C1   no bad    call                                     as it was   admitted: no lock, no clock
//	C2   some bad  call, P is 0                             as it was   admitted
//	C3   some bad  call, P > 0, spared by chance            as it was   admitted
//	C4   some bad  call, P > 0, none passed for ForcePass   as it was   admitted
//	C5   some bad  call, P > 0, not spared                  bad         rejected: ReasonShed
//	D1   any       Success, Failure                         good        Failure is bad with FailureRejects
//	D2   any       Overload, Timeout                        bad
//	D3   any       Expired, Canceled, Ignored               as it was   they say nothing of the backend
//
// requests is good + bad, accepts is good. A call counts when it ends, so calls that hang count when their timeout
// ends them. The window is read as of now, whoever reads it: what is older than Window is forgotten also when nobody
// calls. P is worked out anew for every call.
//
// With a backend that accepts a share a of what it gets, the calls that pass settle at about K times what it accepts:
// with K = 2, it gets at most twice the load it can carry. A lower K throttles harder and recovers more slowly. When
// the backend is well again, P falls as accepted calls come in and rejections leave the window.
//
// # Classes
//
// Each class has its own window: a backend that sheds its least critical calls first is sent fewer of those and as
// many of the others as before.
//
// # Modes
//
// In shadow mode a call that would be rejected runs (Decision.Reason says so). It counts as a request that was
// rejected, as it would have been, and what came of it is not counted: so the numbers are those that enforce would
// show. In disabled mode all calls pass and none counts.
//
// # Tune
//
//	field                   survives                              takes effect
//	Window                  counts, put where they belong         next call
//	K, MinCalls, ForcePass  counts                                next call
//	FailureRejects          counts                                next result
//	Mode                    counts; permits out, as they were     next call
//	                        issued
//
// # Defaults
//
// K 2 and the formula are those of Google's SRE book (Handling Overload, client-side throttling), where the window is
// two minutes; 30s, Envoy's, forgets an outage sooner. MinCalls 5 and ForcePass 1s are go-zero's, where they cannot
// be set. Unlike the throttler of failsafe-go, calls rejected here count as requests, as the book says: otherwise
// rejections weaken themselves.
//
// # When not to use it
//
// On a server, for the load on itself: use an adaptive limit. For errors that are no sign of load: use a breaker. With a
// backend behind many addresses of which one is overloaded: make one for each.
package throttle
