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
	Allocs bool    // the bar is in allocations a call: ours, or with +peer those more than the peer's
	Wanted float64 // at most
}

// maxKeyBytes is the bar for the memory of a key.
const maxKeyBytes = 64

// bars are the project's own, set from what the peers and the machine's primitives cost.
var bars = []Bar{
	{Row: "BreakerClosed", Procs: 1, Peer: "failsafe", Wanted: 0.70},
	{Row: "BreakerClosed", Procs: 2, Peer: "failsafe", Wanted: 0.45},
	{Row: "BreakerDo", Procs: 1, Peer: "failsafe", Wanted: 0.15},
	{Row: "BreakerDo", Procs: 2, Peer: "failsafe", Wanted: 0.15},
	{Row: "BreakerDo", Procs: 1, Peer: "gobreaker", Wanted: 0.50},
	{Row: "BreakerDo", Procs: 2, Peer: "gobreaker", Wanted: 0.50},
	{Row: "BreakerOpen", Procs: 1, Peer: "gobreaker", Wanted: 0.60},
	{Row: "BreakerOpen", Procs: 2, Peer: "gobreaker", Wanted: 0.60},
	{Row: "LimiterAllow", Procs: 1, Peer: "xtime", Wanted: 0.60},
	{Row: "LimiterAllow", Procs: 2, Peer: "xtime", Wanted: 0.60},
	{Row: "LimiterAllow", Procs: 1, Peer: "failsafe", Wanted: 0.80},
	{Row: "LimiterAllow", Procs: 2, Peer: "failsafe", Wanted: 0.80},
	{Row: "LimiterDeny", Procs: 1, Peer: "xtime", Wanted: 0.60},
	{Row: "LimiterDeny", Procs: 2, Peer: "xtime", Wanted: 0.60},
	{Row: "KeyedHot", Procs: 1, Peer: "go-limiter", Wanted: 0.70},
	{Row: "KeyedHot", Procs: 2, Peer: "go-limiter", Wanted: 0.70},
	{Row: "Keyed100k", Procs: 1, Peer: "go-limiter", Wanted: 0.80},
	{Row: "Keyed100k", Procs: 2, Peer: "go-limiter", Wanted: 0.80},
	{Row: "Bulkhead", Procs: 1, Peer: "semaphore", Wanted: 0.70},
	{Row: "Bulkhead", Procs: 2, Peer: "semaphore", Wanted: 0.70},
	{Row: "Retry", Procs: 1, Peer: "backoff", Wanted: 0.25},
	{Row: "Retry", Procs: 2, Peer: "backoff", Wanted: 0.25},
	{Row: "Retry", Procs: 1, Peer: "failsafe", Wanted: 0.10},
	{Row: "Retry", Procs: 2, Peer: "failsafe", Wanted: 0.10},
	{Row: "Hedge", Procs: 1, Peer: "failsafe", Wanted: 0.50},
	{Row: "Hedge", Procs: 2, Peer: "failsafe", Wanted: 0.50},
	{Row: "Timeout", Procs: 1, Peer: "failsafe", Wanted: 0.80},
	{Row: "Timeout", Procs: 2, Peer: "failsafe", Wanted: 0.80},
	{Row: "TimeoutCallers", Procs: 1, Peer: "failsafe", Wanted: 0.20},
	{Row: "TimeoutCallers", Procs: 2, Peer: "failsafe", Wanted: 0.20},
	{Row: "FallbackUnused", Procs: 1, Peer: "failsafe", Wanted: 0.05},
	{Row: "FallbackUnused", Procs: 2, Peer: "failsafe", Wanted: 0.05},
	{Row: "FallbackFirst", Procs: 1, Peer: "failsafe", Wanted: 0.30},
	{Row: "FallbackFirst", Procs: 2, Peer: "failsafe", Wanted: 0.30},
	{Row: "Adaptive", Procs: 1, Peer: "failsafe", Wanted: 0.35},
	{Row: "Adaptive", Procs: 2, Peer: "failsafe", Wanted: 0.35},
	{Row: "Adaptive", Procs: 1, Peer: "aegis", Wanted: 0.35},
	{Row: "Adaptive", Procs: 2, Peer: "aegis", Wanted: 0.35},
	{Row: "Pool", Procs: 1, Peer: "puddle", Wanted: 0.70},
	{Row: "Pool", Procs: 2, Peer: "puddle", Wanted: 0.70},
	{Row: "CacheHit", Procs: 1, Peer: "expirable", Wanted: 0.70},
	{Row: "CacheHit", Procs: 2, Peer: "expirable", Wanted: 0.70},
	{Row: "CacheHit", Procs: 2, Peer: "otter", Wanted: 1.50},
	{Row: "ClientRetry", Procs: 1, Peer: "retryablehttp", Wanted: 0.50},
	{Row: "ClientRetry", Procs: 2, Peer: "retryablehttp", Wanted: 0.50},
	{Row: "ClientRetry", Procs: 1, Peer: "failsafehttp", Wanted: 0.20},
	{Row: "ClientRetry", Procs: 2, Peer: "failsafehttp", Wanted: 0.20},
	{Row: "ClientRetryBody", Procs: 1, Peer: "retryablehttp", Wanted: 0.40},
	{Row: "ClientRetryBody", Procs: 2, Peer: "retryablehttp", Wanted: 0.40},
	{Row: "GivenTimeBreaker", Procs: 1, Peer: "", Wanted: 35},
	{Row: "BreakerWatch", Procs: 1, Peer: "+plain", Wanted: 25},
	{Row: "LatencyRecord", Procs: 1, Peer: "hdr", Wanted: 0.90},
	{Row: "LatencyRecord", Procs: 2, Peer: "hdr", Wanted: 0.40},
	{Row: "LatencyRecord", Procs: 1, Peer: "prometheus", Wanted: 0.30},
	{Row: "LatencyRecord", Procs: 2, Peer: "prometheus", Wanted: 0.30},
	{Row: "LatencyP99", Procs: 1, Peer: "hdr", Wanted: 0.30},
	{Row: "LatencyP99", Procs: 2, Peer: "hdr", Wanted: 0.30},
	{Row: "HTTPStack", Procs: 1, Peer: "chi", Wanted: 0.30},
	{Row: "HTTPStack", Procs: 2, Peer: "chi", Wanted: 0.30},
	{Row: "HTTPStack", Procs: 1, Allocs: true, Wanted: 12},
	{Row: "HTTPAccessLog", Procs: 1, Peer: "httplog", Wanted: 0.50},
	{Row: "HTTPAccessLog", Procs: 2, Peer: "httplog", Wanted: 0.50},
	{Row: "HTTPAccessLog", Procs: 1, Allocs: true, Wanted: 3},
	{Row: "HTTPGuardRateLimit", Procs: 1, Allocs: true, Peer: "+bare", Wanted: 0},
	{Row: "HTTPGuardBulkhead", Procs: 1, Allocs: true, Peer: "+bare", Wanted: 0},
	{Row: "HTTPGuardBreaker", Procs: 1, Allocs: true, Peer: "+bare", Wanted: 0},
	{Row: "HTTPGuardShed", Procs: 1, Allocs: true, Peer: "+bare", Wanted: 0},
	{Row: "GRPCStack", Procs: 1, Allocs: true, Wanted: 12},
	{Row: "GRPCWireStack", Procs: 1, Allocs: true, Peer: "+bare", Wanted: 12},
	{Row: "GRPCBreaker", Procs: 1, Peer: "failsafegrpc", Wanted: 0.20},
	{Row: "GRPCBreaker", Procs: 2, Peer: "failsafegrpc", Wanted: 0.20},
	{Row: "GRPCBreaker", Procs: 1, Peer: "", Wanted: 100},
	{Row: "GRPCBreaker", Procs: 1, Allocs: true, Wanted: 0},
	{Row: "GRPCBulkhead", Procs: 1, Peer: "failsafegrpc", Wanted: 0.20},
	{Row: "GRPCBulkhead", Procs: 2, Peer: "failsafegrpc", Wanted: 0.20},
	{Row: "GRPCBulkhead", Procs: 1, Peer: "", Wanted: 100},
	{Row: "GRPCBulkhead", Procs: 1, Allocs: true, Wanted: 0},
	{Row: "GRPCRateLimit", Procs: 1, Peer: "failsafegrpc", Wanted: 0.20},
	{Row: "GRPCRateLimit", Procs: 2, Peer: "failsafegrpc", Wanted: 0.20},
	{Row: "GRPCRateLimit", Procs: 1, Peer: "", Wanted: 100},
	{Row: "GRPCRateLimit", Procs: 1, Allocs: true, Wanted: 0},
	{Row: "GRPCMetrics", Procs: 1, Peer: "ggm", Wanted: 0.50},
	{Row: "GRPCMetrics", Procs: 2, Peer: "ggm", Wanted: 0.50},
	{Row: "GRPCMetrics", Procs: 1, Peer: "", Wanted: 300},
	{Row: "GRPCMetrics", Procs: 1, Allocs: true, Wanted: 0},
	{Row: "GRPCMetricsCompatible", Procs: 1, Peer: "", Wanted: 300},
	{Row: "GRPCMetricsCompatible", Procs: 1, Allocs: true, Wanted: 0},
	{Row: "GRPCLog", Procs: 1, Peer: "ggm", Wanted: 0.25},
	{Row: "GRPCLog", Procs: 2, Peer: "ggm", Wanted: 0.25},
	{Row: "GRPCLog", Procs: 1, Allocs: true, Wanted: 3},
	{Row: "GRPCWireTrace", Procs: 1, Allocs: true, Peer: "+bare", Wanted: 0},
	{Row: "GivenTimeLimiter", Procs: 1, Peer: "", Wanted: 20},
	{Row: "SIMDBucketIndex", Procs: 1, Peer: "twin", Wanted: 0.20},
	{Row: "SIMDRecord128", Procs: 1, Peer: "twin", Wanted: 0.55},
	{Row: "SIMDRecord4096", Procs: 1, Peer: "twin", Wanted: 0.55},
	{Row: "SIMDRecord4096", Procs: 1, Peer: "hdr", Wanted: 0.33},
	{Row: "SIMDAdd208", Procs: 1, Peer: "twin", Wanted: 0.20},
	{Row: "SIMDAdd832", Procs: 1, Peer: "twin", Wanted: 0.20},
	{Row: "SIMDAdd4096", Procs: 1, Peer: "twin", Wanted: 0.20},
	{Row: "SIMDRank208", Procs: 1, Peer: "twin", Wanted: 0.66},
	{Row: "SIMDRank832", Procs: 1, Peer: "twin", Wanted: 0.33},
	{Row: "SIMDSumFloat", Procs: 1, Peer: "twin", Wanted: 0.25},
}

// name is such as BreakerClosed-2/failsafe.
func (b Bar) name() string {
	name := fmt.Sprintf("%s-%d", b.Row, b.Procs)
	switch {
	case b.Allocs:
		return name + "/allocs" + b.Peer
	case b.Peer == "":
		return name + "/ns"
	default:
		return name + "/" + b.Peer
	}
}

// got returns the figure that b is about; ok is false if it was not measured.
func (b Bar) got(all []*Series) (figure float64, ok bool) {
	for _, s := range all {
		if s.Row.Name != b.Row || s.Procs != b.Procs {
			continue
		}
		of := func(i int) float64 {
			if b.Allocs {
				return float64(s.allocs(i))
			}
			return median(s.nanoseconds(i))
		}
		if b.Peer == "" {
			return of(0), true
		}
		for i, c := range s.Row.Contestants {
			if b.Peer == "+"+c.Name {
				return of(0) - of(i), true
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
