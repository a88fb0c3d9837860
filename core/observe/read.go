package observe

import (
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/latency"
)

// Read emits the samples of one machine as of now, in no particular order. It takes the locks that the machine's
// Snapshot takes; emit must not call the machine. A machine of your own has what its core.Status says.
func Read(m core.Machine, emit func(Sample)) {
	r := reader{emit: emit}
	if !r.known(m) {
		r.status(m.Status())
	}
	if l, ok := m.(interface{ Latencies() latency.Snapshot }); ok {
		r.window(l.Latencies())
	}
}

// reader emits the samples of one machine.
type reader struct {
	emit func(Sample)
	kind core.Kind
	name string
}

func (r *reader) put(m *Metric, label string, value float64) {
	r.emit(Sample{Metric: m, Kind: r.kind, Name: r.name, Value: value, Label: label})
}

func (r *reader) count(m *Metric, label string, n uint64) { r.put(m, label, float64(n)) }

func (r *reader) flag(m *Metric, label string, set bool) {
	value := 0.0
	if set {
		value = 1
	}
	r.put(m, label, value)
}

// seconds emits a duration that is known.
func (r *reader) seconds(statistic string, d time.Duration) {
	if d > 0 && d != core.Never {
		r.put(duration, statistic, d.Seconds())
	}
}

// status emits what all machines share. It comes first: it says whose the samples are.
func (r *reader) status(st core.Status) {
	r.kind, r.name = st.Policy.Kind, st.Policy.Name
	r.count(admitted, "", st.Admitted)
	r.count(rejected, "any", st.Rejected)
	r.count(shadowed, "", st.Shadowed)
	for m := range modesOf(st.Policy.Kind) {
		r.flag(mode, m.String(), m == st.Policy.Mode)
	}
	r.flag(overridden, "", st.Overridden)
	if st.Policy.Limit > 0 {
		r.put(limit, "", float64(st.Policy.Limit))
	}
	if st.Policy.Period > 0 {
		r.put(period, "", st.Policy.Period.Seconds())
	}
	if st.Keys > 0 || st.Overflowed > 0 {
		r.put(keys, "", float64(st.Keys))
		r.count(overflows, "", st.Overflowed)
	}
	r.count(faults, "dropped", st.EventsDropped)
	r.count(faults, "panic", st.EventPanics)
}

// modesOf returns how many modes a kind has: those of breakers come last.
func modesOf(k core.Kind) core.Mode {
	if k == core.KindBreaker {
		return core.ForcedClosed + 1
	}
	return core.Disabled + 1
}

// outcomes emits results of calls.
func (r *reader) outcomes(counts [core.Outcomes]uint64) {
	for o, n := range counts {
		r.count(outcomes, core.Outcome(o).String(), n)
	}
}

// window emits a sliding histogram, if the machine keeps one.
func (r *reader) window(s latency.Snapshot) {
	n := s.Count()
	if n == 0 && s.ErrorBound() == 0 {
		return
	}
	for _, b := range boundaries {
		r.put(durations, b.label, float64(n)-s.Above(time.Duration(b.at)))
	}
	r.put(durations, "+Inf", float64(n))
}
