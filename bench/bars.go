package main

import (
	"fmt"
	"io"
)

// A Bar is a figure that the project wants to stay below.
type Bar struct {
	Row    string
	Procs  int
	Peer   string  // empty: the bar is in nanoseconds a call, not a ratio; +peer: in those that ours takes more than the peer
	Wanted float64 // at most
}

// maxKeyBytes is the bar for the memory of a key.
const maxKeyBytes = 64

// bars are the project's own, set from what the peers and the machine's primitives cost.
var bars = []Bar{
	{"BreakerClosed", 1, "failsafe", 0.70},
	{"BreakerClosed", 2, "failsafe", 0.45},
	{"BreakerDo", 1, "failsafe", 0.15},
	{"BreakerDo", 2, "failsafe", 0.15},
	{"BreakerDo", 1, "gobreaker", 0.50},
	{"BreakerDo", 2, "gobreaker", 0.50},
	{"BreakerOpen", 1, "gobreaker", 0.60},
	{"BreakerOpen", 2, "gobreaker", 0.60},
	{"LimiterAllow", 1, "xtime", 0.60},
	{"LimiterAllow", 2, "xtime", 0.60},
	{"LimiterAllow", 1, "failsafe", 0.80},
	{"LimiterAllow", 2, "failsafe", 0.80},
	{"LimiterDeny", 1, "xtime", 0.60},
	{"LimiterDeny", 2, "xtime", 0.60},
	{"KeyedHot", 1, "go-limiter", 0.70},
	{"KeyedHot", 2, "go-limiter", 0.70},
	{"Keyed100k", 1, "go-limiter", 0.80},
	{"Keyed100k", 2, "go-limiter", 0.80},
	{"Bulkhead", 1, "semaphore", 0.70},
	{"Bulkhead", 2, "semaphore", 0.70},
	{"Retry", 1, "backoff", 0.25},
	{"Retry", 2, "backoff", 0.25},
	{"Retry", 1, "failsafe", 0.10},
	{"Retry", 2, "failsafe", 0.10},
	{"Hedge", 1, "failsafe", 0.50},
	{"Hedge", 2, "failsafe", 0.50},
	{"Timeout", 1, "failsafe", 0.80},
	{"Timeout", 2, "failsafe", 0.80},
	{"TimeoutCallers", 1, "failsafe", 0.20},
	{"TimeoutCallers", 2, "failsafe", 0.20},
	{"FallbackUnused", 1, "failsafe", 0.05},
	{"FallbackUnused", 2, "failsafe", 0.05},
	{"FallbackFirst", 1, "failsafe", 0.30},
	{"FallbackFirst", 2, "failsafe", 0.30},
	{"Adaptive", 1, "failsafe", 0.35},
	{"Adaptive", 2, "failsafe", 0.35},
	{"Adaptive", 1, "aegis", 0.35},
	{"Adaptive", 2, "aegis", 0.35},
	{"Pool", 1, "puddle", 0.70},
	{"Pool", 2, "puddle", 0.70},
	{"CacheHit", 1, "expirable", 0.70},
	{"CacheHit", 2, "expirable", 0.70},
	{"CacheHit", 2, "otter", 1.50},
	{"ClientRetry", 1, "retryablehttp", 0.50},
	{"ClientRetry", 2, "retryablehttp", 0.50},
	{"ClientRetry", 1, "failsafehttp", 0.20},
	{"ClientRetry", 2, "failsafehttp", 0.20},
	{"ClientRetryBody", 1, "retryablehttp", 0.40},
	{"ClientRetryBody", 2, "retryablehttp", 0.40},
	{"GivenTimeBreaker", 1, "", 35},
	{"BreakerWatch", 1, "+plain", 25},
	{"LatencyRecord", 1, "hdr", 0.90},
	{"LatencyRecord", 2, "hdr", 0.40},
	{"LatencyRecord", 1, "prometheus", 0.30},
	{"LatencyRecord", 2, "prometheus", 0.30},
	{"LatencyP99", 1, "hdr", 0.30},
	{"LatencyP99", 2, "hdr", 0.30},
	{"GivenTimeLimiter", 1, "", 20},
	{"SIMDBucketIndex", 1, "twin", 0.20},
	{"SIMDRecord128", 1, "twin", 0.55},
	{"SIMDRecord4096", 1, "twin", 0.55},
	{"SIMDRecord4096", 1, "hdr", 0.33},
	{"SIMDAdd208", 1, "twin", 0.20},
	{"SIMDAdd832", 1, "twin", 0.20},
	{"SIMDAdd4096", 1, "twin", 0.20},
	{"SIMDRank208", 1, "twin", 0.66},
	{"SIMDRank832", 1, "twin", 0.33},
	{"SIMDSumFloat", 1, "twin", 0.25},
}

// name is such as BreakerClosed-2/failsafe.
func (b Bar) name() string {
	name := fmt.Sprintf("%s-%d", b.Row, b.Procs)
	if b.Peer == "" {
		return name + "/ns"
	}
	return name + "/" + b.Peer
}

// got returns the figure that b is about; ok is false if it was not measured.
func (b Bar) got(all []*Series) (figure float64, ok bool) {
	for _, s := range all {
		if s.Row.Name != b.Row || s.Procs != b.Procs {
			continue
		}
		if b.Peer == "" {
			return median(s.nanoseconds(0)), true
		}
		for i, c := range s.Row.Contestants {
			if b.Peer == "+"+c.Name {
				return median(s.nanoseconds(0)) - median(s.nanoseconds(i)), true
			}
		}
		for _, c := range s.compare() {
			if c.Peer == b.Peer {
				return c.Ratio, true
			}
		}
	}
	return 0, false
}

// writeBars prints one line for every bar that was measured and returns how many were missed.
func writeBars(w io.Writer, all []*Series, memory []Footprint) (missed int) {
	line := func(name string, wanted, got float64) {
		verdict := "ok"
		if !(got <= wanted) {
			verdict = "MISSED"
			missed++
		}
		fmt.Fprintf(w, "BAR %s wanted<=%.2f got %.3f %s\n", name, wanted, got, verdict)
	}
	for _, b := range bars {
		if got, ok := b.got(all); ok {
			line(b.name(), b.Wanted, got)
		}
	}
	for _, f := range memory {
		if f.Name == Ours {
			line("KeyedMemory/bytes", maxKeyBytes, f.PerKey)
		}
	}
	return missed
}
