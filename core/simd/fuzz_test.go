package simd

import "testing"

// fuzzTwin compares a function with its plain form, on what the fuzzer chooses and as many random elements more as it
// wants.
func fuzzTwin(f *testing.F, name string) {
	f.Helper()
	for _, c := range twinTests {
		if c.name != name {
			continue
		}
		for _, more := range []uint16{0, 7, 8, 31, 100, 5000} {
			f.Add([]byte("0123456701234567"), uint8(more), more, uint64(1))
		}
		f.Fuzz(func(t *testing.T, data []byte, offset uint8, more uint16, seed uint64) {
			c.check(t, int(offset%32), len(data)/8+int(more%8192), newSource(data, seed))
		})
		return
	}
	f.Fatalf("no comparison of %s", name)
}

func FuzzBucketIndex(f *testing.F) { fuzzTwin(f, "BucketIndex") }

func FuzzCount(f *testing.F) { fuzzTwin(f, "Count") }

func FuzzRecord(f *testing.F) { fuzzTwin(f, "Record") }

func FuzzAddUint32(f *testing.F) { fuzzTwin(f, "AddUint32") }

func FuzzSubUint32(f *testing.F) { fuzzTwin(f, "SubUint32") }

func FuzzAddUint64(f *testing.F) { fuzzTwin(f, "AddUint64") }

func FuzzAddShared(f *testing.F) { fuzzTwin(f, "AddShared") }

func FuzzSum(f *testing.F) { fuzzTwin(f, "Sum") }

func FuzzRankIndex(f *testing.F) { fuzzTwin(f, "RankIndex") }

func FuzzRankIndexes(f *testing.F) { fuzzTwin(f, "RankIndexes") }

func FuzzSumFloat32(f *testing.F) { fuzzTwin(f, "SumFloat32") }
