// Package simd holds the kernels behind core/latency: the bucket of each of many durations, histograms added and
// subtracted, and the bucket that holds a rank.
//
// Every function is exact: it returns the same, bit by bit, whether a kernel in assembly runs or the plain Go form. On
// amd64 with AVX2 the kernels run; elsewhere, with the build tag purego, and with GODEBUG=cpu.avx2=off the plain form
// does. Level tells which. Below a few dozen elements the plain form is the faster one and runs everywhere.
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
// A function over several slices works on the length of the shortest, as copy does, and leaves the rest alone. An empty or nil slice is
// no work. Slices may share memory: the result is that of going through them element by element in ascending order.
//
// Nothing allocates, blocks or panics, unless it says so. Distinct data may be worked on concurrently; on the same data only AddShared's
// source may be written meanwhile.
package simd
