package scalar

// Count adds 1 to hist[i] for each i in idx, saturating. An index beyond the histogram is ignored.
func Count(hist, idx []uint32) {
	for _, i := range idx {
		if uint64(i) < uint64(len(hist)) {
			if n := hist[i] + 1; n != 0 {
				hist[i] = n
			}
		}
	}
}

// Record counts each value of ns in its bucket, as Count does.
func Record(hist []uint32, ns []int64, k int) {
	for _, v := range ns {
		i := BucketOf(v, k)
		if uint64(i) < uint64(len(hist)) {
			if n := hist[i] + 1; n != 0 {
				hist[i] = n
			}
		}
	}
}
