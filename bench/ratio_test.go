package main

import (
	"strconv"
	"testing"
)

// TestCacheHitRatio measures how often each cache has what is asked for, by Zipf's law alone and with every fourth
// key one of a scan that never comes again. Ours must not be behind; -v shows the table. The others' figures move a little
// from run to run, since some of them put things in the background.
func TestCacheHitRatio(t *testing.T) {
	names := keys()
	for _, size := range []int{keyCount / 100, keyCount / 10} {
		for _, scan := range []bool{false, true} {
			ratio := map[string]float64{}
			for _, m := range cacheMakers {
				get, put, stop := m.make(size)
				ratio[m.name] = hitRatio(get, put, names, scan)
				stop()
				t.Logf("size %6d, scan %-5v %-12s %.1f %%", size, scan, m.name, 100*ratio[m.name])
			}
			for name, theirs := range ratio {
				if ratio[Ours] < theirs-0.01 {
					t.Errorf("size %d, scan %v: ours %.3f, %s %.3f", size, scan, ratio[Ours], name, theirs)
				}
			}
		}
	}
}

func hitRatio(get func(string) (int, bool), put func(string, int), names []string, scan bool) float64 {
	const asked = 1_000_000
	z, hits := newZipf(7), 0
	for i := range asked {
		k := names[z.Uint64()]
		if scan && i%4 == 3 {
			k = "scan-" + strconv.Itoa(i)
		}
		if _, ok := get(k); ok {
			hits++
		} else {
			put(k, i)
		}
	}
	return float64(hits) / asked
}
