// Package latency keeps the durations of the recent past, so that a decision can rest on true quantiles: a breaker that
// sees slowness, the delay of a hedge, an adaptive timeout, the refusal of a call that cannot make its deadline, a page.
//
//	            8 buckets an octave (16, 32)
//	1µs ├┼┼┼┼┼┼┼┤├┼┼┼┼┼┼┼┤├┼┼┼┼┼┼┼┤ ... ├┼┼┼┼┼┼┼┤ 64s      BucketOf: the top bits of the duration
//
//	Record ──> lane ─┐   stripes of the running slice, one atomic addition
//	Record ──> lane ─┤
//	                 v   at the end of the slice, or when somebody looks
//	┌──┬──┬──┬──┬──┬──┐
//	│s9│s8│..│s2│s1│s0│  ten slices; the oldest is subtracted from the sum when it falls out
//	└──┴──┴──┴──┴──┴──┘
//	  running sum ──> + lanes ──> rank, counts above, snapshot
//
// # Where the kernels are
//
// A single duration is counted by one atomic addition at an index found with bits.Len64. Collecting single durations in a
// buffer to put them through the batch kernel was considered and not built: a slot of a shared buffer costs an addition to
// claim it and an exchange to fill it, two atomic operations where counting takes one, before anything is drained.
// Everything else is vectors (see core/simd): batches, the merge of lanes at every look, the expiry of a slice, sums and ranks. A
// look that finds nothing new since the last one only ranks. Stats counts what went through.
//
// # Error
//
// The buckets of an octave have equal width, so a bucket's ends differ by an eighth (208 buckets), a sixteenth (416) or
// a thirty-second (832) at most, and what is reported for a bucket is the duration at equal relative distance from both ends:
// it is off by at most 1/17, 1/33 or 1/65, less than ErrorBound. Durations below 1.024 µs (negative ones as well) count as the
// shortest, those beyond 68.7 s as the longest. Counts of a slice saturate at 2^32-1 a bucket.
//
// # Time
//
// Times are handed in. A duration belongs to the slice that is running when it is recorded; one that is recorded while a
// slice ends may go to the next. Time that runs backwards stands still. A gap of any length costs ten slices, and reads
// expire as well as writes.
//
// # Calls in flight
//
// With Config.InFlight, Begin and End count calls by the slice in which they began, so that Overdue can tell how many have
// been running for longer than a threshold, for any threshold and without a timer: what a dependency that hangs looks
// like before anything has ended.
//
// # Tune
//
//	field              survives                                   takes effect
//	Window             durations, put where their slices belong   at once
//	Buckets, InFlight  a change is refused                        -
//
// # When not to use it
//
// Not for lifetime statistics: everything is forgotten after a Window (export snapshots instead). Not for values that
// are no durations: the range is fixed. One for each of many keys takes its memory that many times; see NewStriped.
package latency
