package ratelimit

import (
	"math/bits"
	"slices"
	"time"

	"github.com/mw-go/mw/core"
)

// The state of a key is one int64, its theoretical arrival time (TAT, as in the generic cell rate algorithm), on a
// virtual clock that advances by unit a token: at 100 tokens a second it runs 100 units a second, and after a Tune to 200
// it runs twice as fast from there on. So a debt is counted in tokens, and a change of rate touches no key at all.
//
//	virtual = origin + (now - start) * rate        debt = max(0, TAT - virtual)        admit if debt + cost <= burst
//
// Range. A token is 2^20 units, so time is resolved to a millionth of a token. Debts stay below 2^52 units. TATs and virtual
// times are compared by their difference and may wrap; that is right while they lie less than 2^63 apart, so
// before the clock has advanced by 2^61 since its start, a sweep brings every idle TAT up to date and the clock starts
// anew. That is once in 37 minutes at 1e9 tokens a second and once in 25 days at a million.
const (
	unitBits = 20
	unit     = 1 << unitBits
	maxSpan  = 1 << 61 // units between two sweeps
	maxCarry = 64      // smaller bursts remembered; one more sweeps
)

// clock maps real time to virtual time and holds the burst: everything a decision needs of the settings. Immutable.
type clock struct {
	start  core.Time
	origin int64  // virtual time at start
	span   uint64 // nanoseconds after start from which on the clock must be replaced before it decides
	slope  uint64 // units a nanosecond, times 2^shift
	burst  int64  // units
	fresh  int64  // TATs before it were stored before the latest carry
	shift  uint8
	ease   uint8
	closed bool   // handing over to a clock of other settings, see closing
	back   uint64 // nanoseconds a unit, times 2^ease
	tokens uint64 // the rate as an exact fraction: so many units
	period uint64 // in so many nanoseconds
	swept  int64  // virtual time of the last sweep
	carry  []carry
}

// carry says what became of the debts that existed when a burst shrank: they are clamped to the new burst. To tell old
// TATs from new ones without visiting them, the virtual clock jumps past all of them, and an old TAT is read through
// this.
type carry struct {
	from  int64 // virtual time before the jump
	to    int64 // and after; every older TAT is earlier than this, every later one is not
	burst int64 // the new burst, units
}

// newClock returns the clock of c that goes on from old (nil: from zero) at time now. old must not be overdue.
func newClock(old *clock, c Config, now core.Time) clock {
	k := clock{
		start: now, burst: c.Burst << unitBits,
		tokens: uint64(c.Limit) << unitBits, period: uint64(c.Period),
	}
	k.slope, k.shift = ratio(k.tokens, k.period)
	k.back, k.ease = ratio(k.period, k.tokens)
	k.span = k.nanoseconds(maxSpan)
	if old == nil {
		return k
	}
	v, _ := old.virtual(now)
	k.origin, k.swept, k.fresh, k.carry = v, old.swept, old.fresh, old.carry
	if k.burst < old.burst {
		// No debt exceeds the burst. The margin is for callers whose clock runs ahead of ours.
		k.origin = v + old.burst + old.units(time.Second) + 1
		k.fresh = k.origin
		k.carry = slices.Concat(old.living(v), []carry{{from: v, to: k.origin, burst: k.burst}})
	}
	return k
}

// living returns the carries through which a debt may still stand at virtual time v. What a carry let stand may have been
// clamped by those after it, so only reading its largest debt through them tells.
func (k *clock) living(v int64) []carry {
	for i, c := range slices.Backward(k.carry) {
		if k.recall(c.to+c.burst)-v <= 0 {
			return k.carry[i+1:] // and whatever came before c was clamped by c
		}
	}
	return k.carry
}

// closing returns k as it hands over to a clock of other settings: it runs on, and is due for whoever looks at it. Calls
// that began before the change may still be charging by k; only once no call can begin so any more is there a time at
// which to end the old rate. Ended earlier, what such calls take after the end would have to be paid back at the new
// rate: going from 1e9 tokens a second to one, each millisecond's worth is 11 days.
func (k clock) closing() clock {
	k.span, k.closed = 0, true
	return k
}

// ratio returns a/b as f/2^shift with 61 or 62 significant bits, rounded up. a and b are positive, below 2^53, and their
// quotient lies between 2^-50 and 2^50.
func ratio(a, b uint64) (f uint64, shift uint8) {
	shift = uint8(61 + bits.Len64(b) - bits.Len64(a))
	var hi, lo uint64
	if shift >= 64 {
		hi = a << (shift - 64)
	} else {
		hi, lo = a>>(64-shift), a<<shift
	}
	f, rest := bits.Div64(hi, lo, b)
	if rest > 0 {
		f++
	}
	return f, shift
}

// scale returns n*f/2^shift, rounded down; all ones if that exceeds 64 bits.
func scale(n, f uint64, shift uint8) uint64 {
	hi, lo := bits.Mul64(n, f)
	if shift >= 64 {
		return hi >> (shift - 64)
	}
	if hi>>shift != 0 {
		return ^uint64(0)
	}
	return hi<<(64-shift) | lo>>shift
}

// virtual returns the virtual time of now. Time that runs backwards past the clock's start stands still. due reports
// that another clock must follow first; v is held at twice the span, which is later than any debt.
func (k *clock) virtual(now core.Time) (v int64, due bool) {
	elapsed := uint64(now - k.start)
	if elapsed >= k.span {
		return k.beyond(now)
	}
	return k.origin + int64(scale(elapsed, k.slope, k.shift)), false
}

func (k *clock) beyond(now core.Time) (v int64, due bool) {
	if now < k.start {
		return k.origin, k.closed
	}
	return k.origin + int64(min(scale(uint64(now-k.start), k.slope, k.shift), 2*maxSpan)), true
}

// overdue reports that every key must be brought up to date before a clock can follow this one at time now; v is the
// virtual time to do it at.
func (k *clock) overdue(now core.Time) (v int64, yes bool) {
	v, due := k.virtual(now)
	return v, due && !k.closed || v-k.swept >= maxSpan || len(k.carry) >= maxCarry && len(k.living(v)) >= maxCarry
}

// refresh returns the stored TAT that says the same at virtual time v and needs no carry to be understood.
func (k *clock) refresh(raw, v int64) int64 {
	if tat := k.tat(raw); tat-v > 0 {
		return tat
	}
	return v
}

// freshened is k after every key has been refreshed at v.
func (k clock) freshened(v int64) *clock {
	k.swept, k.fresh, k.carry = v, v, nil
	return &k
}

// units returns how far the virtual clock advances in d.
func (k *clock) units(d time.Duration) int64 {
	return int64(min(scale(uint64(max(d, 0)), k.slope, k.shift), maxSpan))
}

// nanoseconds returns the time in which the virtual clock advances by n units, rounded up.
func (k *clock) nanoseconds(n int64) uint64 {
	const most = 1<<63 - 1
	whole := scale(uint64(n), k.back, k.ease)
	if whole >= most {
		return most
	}
	// The factor is rounded up: whole is right or, for want of a fraction, one too low. The exact rate tells.
	hi, lo := bits.Mul64(whole, k.tokens)
	wantHi, wantLo := bits.Mul64(uint64(n), k.period)
	if hi < wantHi || hi == wantHi && lo < wantLo {
		whole++
	}
	return whole
}

// wait is nanoseconds as a Duration.
func (k *clock) wait(n int64) time.Duration { return time.Duration(k.nanoseconds(n)) }

// tat returns a key's TAT as this clock understands it.
func (k *clock) tat(raw int64) int64 {
	if raw-k.fresh >= 0 {
		return raw
	}
	return k.recall(raw)
}

func (k *clock) recall(raw int64) int64 {
	for _, c := range k.carry {
		if raw-c.to < 0 {
			raw = c.to + min(max(raw-c.from, 0), c.burst)
		}
	}
	return raw
}

// admit decides on a call of cost units at virtual time v for a key whose stored TAT is raw. short is how many units are
// lacking; if it is positive the call is rejected and the state stays. Otherwise next is the new state. debt is what the
// key owes after the decision, units.
func (k *clock) admit(raw, v, cost int64) (next, short, debt int64) {
	tat := k.tat(raw)
	if tat-v < 0 {
		tat = v
	}
	debt = tat - v
	short = debt + cost - k.burst
	if short > 0 {
		return raw, short, debt
	}
	return tat + cost, short, debt + cost
}

// idle reports that a stored TAT carries no information at virtual time v. Strictly earlier: a cell that changes hands
// starts at v, and must not start with the value it had.
func (k *clock) idle(raw, v int64) bool { return k.tat(raw)-v < 0 }

// left returns the whole tokens that remain beside a debt.
func (k *clock) left(debt int64) int64 { return max(k.burst-debt, 0) >> unitBits }
