// Package cache keeps what was dear to get, for a while and within bounds, so that it is got once and not by everybody:
// neither when a key is in demand, nor when its time is up, nor when the whole cache has been lost.
//
//	            hit: no lock
//	Get ------> shelf of Size entries ------------------------> value
//	   |                         ^  ^
//	   | miss                    |  | puts it, unless Set, Delete or Purge came between
//	   v                         |  |
//	   flight of the key --> Store? --> load --> all who wait for it
//	   ^      one at a time, in a goroutine of its own
//	   |
//	further callers of the key
//
// # Transitions
//
// The life of an entry. TTL is that of the Config less the entry's jitter, NegativeTTL for an error, or what Hooks.TTL
// said.
//
//	row  age of the entry                         Get                                     a load that fails
//	L1   below TTL                                the value, or the remembered error      -
//	L2   below TTL, drawn for EarlyRefresh        the value; a load in the background     the value stays
//	L3   TTL to TTL+StaleWhileRevalidate          the value; a load in the background     the value stays
//	L4   beyond that, to TTL+StaleIfError         waits for a load                        the value in place of the error
//	L5   beyond both, or there is none            waits for a load                        its error
//
// What happens to the load of a key, of which there is at most one that may fill the cache:
//
//	row  event                                         effect
//	F1   Get has to load, none is under way            begins, in a goroutine of its own
//	F2   Get has to load, one is under way             waits for it
//	F3   a caller's context ends, others wait          that caller gets his ctx.Err(); the load goes on
//	F4   the last caller's context ends                cancelled at once, or after Linger; the next Get begins anew
//	F5   it returns a value                            put on the shelf; all who wait get it; then written to the Store
//	F6   it returns an error that Negative accepts     remembered; all who wait get it
//	F7   it returns another error                      L4 or L5, for all who wait
//	F8   it panics                                     who began it, if he waits, panics with a *core.PanicError; the others
//	                                                   get that as their error
//	F9   it calls runtime.Goexit                       who began it, if he waits, exits; the others get core.ErrGoexit
//	F10  Set, Delete or Purge                          it goes on for those who wait; its result is not put anywhere
//	F11  Close                                         cancelled; who waits gets ErrClosed
//	F12  in the background, RefreshTimeout over        cancelled, if nobody waits
//
// F4 and F10 take the load off the list, so that whoever asks later does not join it, and what it returns later
// overwrites nothing: a value that was read before a Set or Delete is never given out to a Get that began after it. So
// whoever changes what is behind the cache and then tells the cache can rely on it: once it has been told, nobody who
// begins to read finds what was there before. Between the change and the telling a read may find either.
//
// A load gets the values of the context of the caller who began it, and none of its ends: neither his cancellation nor
// his deadline. Its deadline is the latest of those who wait, and moves as they come. A load that ends early by the
// deadline of a caller who has left, because it handed it on to a server, is run again for those who have more time.
// Between callers who hang up and loads that ignore their context it is Linger, a timeout inside the load, and a
// bulkhead before what it calls that bound the work.
//
// # Eviction
//
// By SIEVE (Zhang and others, NSDI 2024): entries stand in order of arrival, a hit only marks its entry, and a hand
// that moves from old to new takes the first that is unmarked or of no use any more. Nothing runs in the background: an
// expired entry stays until it is asked for or its place is needed.
//
// # Early refresh
//
// By XFetch (Vattani and others, VLDB 2015): a hit starts a refresh if
//
//	now + EarlyRefresh * (what the last load took) * -ln(a random number) >= expiry
//
// so that among many callers one of them is likely to have refreshed a key before any has to wait for it, and the
// sooner the longer that takes. A key that nobody asks for costs nothing.
//
// # Modes
//
//	mode      Get                                                               Peek     Set, Delete, Purge
//	enforce   as above                                                          value    act
//	shadow    looks up and counts (Status.Shadowed), then runs every load in    nothing  act
//	          the caller's goroutine; keeps what they return; no Store
//	disabled  runs every load in the caller's goroutine; keeps nothing          nothing  act
//
// # Tune
//
//	field                                           survives                     takes effect
//	Size, larger                                    every entry                  next put; one that is smaller is refused
//	TTL, NegativeTTL, Jitter                        every entry, with its age    next operation, for entries that are there too;
//	                                                                             not for those whose life Hooks.TTL or a Store set
//	StaleWhileRevalidate, StaleIfError              every entry                  next operation, likewise
//	EarlyRefresh                                    what loads took              next operation
//	RefreshTimeout, Linger, StoreTimeout            loads under way              next load, next who leaves, next use of the Store
//	Mode                                            entries, loads under way     next operation
//
// The number of shards is drawn from Size and GOMAXPROCS when the cache is made.
//
// # When not to use it
//
// Where a value that is a TTL old is wrong, even if nobody calls Delete: another process does not see this one's
// Delete, and neither Store nor Set makes that otherwise. For what is tied to the context or the transaction of one
// request: loads outlive them. To bound the load on what is behind: a cold cache lets through one load a key at once,
// and there are many keys; put a bulkhead or a limit into the load.
//
// Units: Size is a count of entries, not bytes; TTL and all that are times are time.Duration.
package cache
