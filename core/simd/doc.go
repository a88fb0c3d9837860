// Package simd holds the kernels behind core/latency: the buckets of many durations at once, histograms counted, added and
// subtracted, and the bucket that holds a rank.
//
//	durations --BucketIndex--> buckets --Count--> histogram --AddUint32--> window --RankIndex--> quantile
//	    |                                             ^                      |
//	    +-------------------Record--------------------+                      +--SubUint32--> expired slices out
//
// Every function is exact: it returns the same, bit by bit, whether a kernel in assembly runs or the plain Go form. On
// amd64 with AVX2 the kernels run; elsewhere, with the build tag purego, and with GODEBUG=cpu.avx2=off, the plain form
// does. Level tells which.
//
//	function                                  plain form on slices shorter than   because
//	BucketIndex, Record                       8                                   a kernel takes blocks of 8
//	AddUint32, AddUint64, SubUint32,
//	AddShared                                 8                                   as fast at 4, slower from 8
//	Sum                                       32                                  a kernel takes blocks of 32
//	RankIndex, RankIndexes                    96                                  faster at 32 to 64
//	SumFloat32                                1                                   never faster
//	Count                                     any                                 it has no kernel; Record is its fast form
//
// # Buckets
//
// A histogram is log-linear over [1.024 us, 68.7 s), that is [2^10, 2^36) ns: 26 octaves, each cut into 2^bits buckets of
// equal width, bits from 3 to 5.
//
//	bits   buckets   width over lower bound, at most   its middle is off by, at most
//	3      208       12.5 %                            6.25 %
//	4      416       6.25 %                            3.125 %
//	5      832       3.125 %                           1.5625 %
//
// Shorter durations, negative ones too, count in bucket 0, longer ones in the last.
//
// # Slices
//
// A function over several slices works on the length of the shortest, as copy does, and leaves the rest alone. An empty or
// nil slice is no work. Slices may share memory, wholly or in part: the result is that of going through them element by
// element in ascending order.
//
// Nothing allocates or blocks, and only a number of bits out of range panics. Distinct data may be worked on concurrently;
// of the same data only the source of AddShared may be written meanwhile. A goroutine is not preempted within a kernel: a
// million durations in one call of Record hold up a garbage collection by half a millisecond.
//
// # When not to use it
//
// For single durations use BucketOf and an increment: a kernel pays from eight durations on.
package simd
