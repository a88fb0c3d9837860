//go:build !amd64 || purego

package simd

import "sync/atomic"

func level() string { return "go" }

// There are no kernels here: none of the elements is done.

func bucketIndex([]uint32, []int64, int) int { return 0 }

func record([]uint32, []int64, int) int { return 0 }

func addUint32(_, _ []uint32) int { return 0 }

func subUint32(_, _ []uint32) int { return 0 }

func addUint64(_, _ []uint64) int { return 0 }

func addShared([]uint32, []atomic.Uint32) int { return 0 }

func sum([]uint32) (done int, part uint64) { return 0, 0 }

func passBelow(_ []uint32, before, _ uint64) (passed int, below uint64) { return 0, before }

func sumFloat32([]float32) (sum float32, ok bool) { return 0, false }
