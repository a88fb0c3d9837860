package latency

import "math"

// Exponential is a Snapshot as OpenTelemetry's exponential histogram: bucket Offset+i holds the durations in
// (base^(Offset+i), base^(Offset+i+1)] seconds, where base is 2^(2^-Scale). There is no zero bucket and there are no negative
// values. Each bucket of the Snapshot goes where its middle falls, which adds at most one bucket's width to ErrorBound:
// base-1, 0.3 % at scale 8.
type Exponential struct {
	Scale  int
	Offset int
	Counts []uint64
	Count  uint64
	Sum    float64 // seconds, within ErrorBound
}

// MaxScale is the finest scale that the exports know, and Prometheus' finest schema.
const MaxScale = 8

// Exponential returns s at the given scale, held to 0..MaxScale: the finest keeps ErrorBound best, and takes up to 256
// counts an octave between the shortest and the longest duration.
func (s Snapshot) Exponential(scale int) Exponential {
	scale = min(max(scale, 0), MaxScale)
	e := Exponential{Scale: scale, Count: s.n, Sum: s.seconds()}
	for i, c := range s.counts {
		if c == 0 {
			continue
		}
		at := s.exponent(i, scale) - 1
		if e.Counts == nil {
			e.Offset = at
		}
		for len(e.Counts) <= at-e.Offset {
			e.Counts = append(e.Counts, 0)
		}
		e.Counts[at-e.Offset] += c
	}
	return e
}

// Native is a Snapshot as Prometheus' native histogram: bucket i holds the durations in (base^(i-1), base^i] seconds,
// where base is 2^(2^-Schema). Spans say which buckets follow: Offset is how many are empty before (in the first span: the
// index of the first bucket). Deltas are the counts, each as the difference from the one before it. The zero bucket is
// empty.
type Native struct {
	Schema int
	Spans  []Span
	Deltas []int64
	Count  uint64
	Sum    float64 // seconds, within ErrorBound
}

// Span is a run of Length buckets.
type Span struct {
	Offset int32
	Length uint32
}

// Native returns s in the given schema, held to 0..MaxScale. What it adds to ErrorBound is what Exponential adds.
func (s Snapshot) Native(schema int) Native {
	e := s.Exponential(schema)
	n := Native{Schema: e.Scale, Count: e.Count, Sum: e.Sum}
	next := 0 // the bucket after the last span
	var before uint64
	for i, c := range e.Counts {
		if c == 0 {
			continue
		}
		at := e.Offset + i + 1
		if len(n.Spans) == 0 || at != next {
			n.Spans = append(n.Spans, Span{Offset: int32(at - next)})
		}
		n.Spans[len(n.Spans)-1].Length++
		n.Deltas = append(n.Deltas, int64(c-before))
		before, next = c, at+1
	}
	return n
}

// exponent is the least e for which base^e seconds are no less than the middle of bucket i.
func (s Snapshot) exponent(i, scale int) int {
	return int(math.Ceil(math.Log2(s.scale().value(i).Seconds()) * float64(int(1)<<scale)))
}
