// Package scalar holds the plain Go form of every kernel of core/simd: what the kernels must agree with bit for bit, what
// runs where there is no kernel, and what the kernels are timed against.
//
// It stands apart from core/simd so that the benchmarks, which are a module of their own, can call the twins while the
// kernels are switched on. Nothing else should: core/simd decides which form runs. The tests of core/simd, at level go, are
// the tests of this package.
//
// The functions trust their callers: slices that belong together have the same length, and the number of bits is from
// MinBits to MaxBits.
package scalar
