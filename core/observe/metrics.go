package observe

import "github.com/mw-go/mw/core"

// Type says how the values of a metric relate.
type Type uint8

// The types.
const (
	Counter Type = iota // only grows
	Gauge               // grows and falls
)

// Metric describes one metric of All. Its fields are not to be changed.
type Metric struct {
	Name  string // as OpenTelemetry writes it, such as mw.policy.admitted
	Unit  string // UCUM: s, 1, or an annotation such as {call}
	Help  string
	Type  Type
	Label string // the label beside kind and name; empty if there is none
}

// Sample is one value of a metric.
type Sample struct {
	Metric *Metric
	Kind   core.Kind // of the machine
	Name   string    // of the machine
	Value  float64
	Label  string // the value of Metric.Label
}

// The labels of every sample.
const (
	LabelKind = "kind"
	LabelName = "name"
)

// The metrics. Package doc has the list.
var (
	admitted   = &Metric{"mw.policy.admitted", "{call}", "Calls admitted or, by a runner, begun.", Counter, ""}
	rejected   = &Metric{"mw.policy.rejected", "{call}", "Calls rejected.", Counter, "reason"}
	shadowed   = &Metric{"mw.policy.shadowed", "{call}", "Calls that shadow mode admitted and the policy would have rejected.", Counter, ""}
	outcomes   = &Metric{"mw.policy.outcomes", "{call}", "Results of calls.", Counter, "outcome"}
	events     = &Metric{"mw.policy.events", "{event}", "What else the machine counts.", Counter, "event"}
	gaveUp     = &Metric{"mw.policy.gave_up", "{call}", "Calls that a retry gave up.", Counter, "reason"}
	mode       = &Metric{"mw.policy.mode", "1", "1 for the mode in force, 0 for the others.", Gauge, "mode"}
	overridden = &Metric{"mw.policy.overridden", "1", "1 while an operator's override is in force.", Gauge, ""}
	state      = &Metric{"mw.policy.state", "1", "1 for the state of the breaker, 0 for the others.", Gauge, "state"}
	limit      = &Metric{"mw.policy.limit", "{unit}", "Tokens a period, calls at once, resources or entries.", Gauge, ""}
	period     = &Metric{"mw.policy.limit.period", "s", "The period of a rate limit.", Gauge, ""}
	inFlight   = &Metric{"mw.policy.in_flight", "{call}", "Calls running, resources lent, functions left behind.", Gauge, ""}
	waiting    = &Metric{"mw.policy.waiting", "{call}", "Calls in the queue.", Gauge, ""}
	remaining  = &Metric{"mw.policy.remaining", "{token}", "Tokens left of a rate limit or of a budget for extra attempts.", Gauge, ""}
	entries    = &Metric{"mw.policy.entries", "{entry}", "What the machine keeps.", Gauge, "entry"}
	keys       = &Metric{"mw.policy.keys", "{key}", "Cells of a keyed guard, idle ones included.", Gauge, ""}
	overflows  = &Metric{"mw.policy.key_overflows", "{call}", "Calls that found every cell taken and shared the overflow cell.", Counter, ""}
	duration   = &Metric{"mw.policy.latency", "s", "Durations that the machine goes by.", Gauge, "statistic"}
	durations  = &Metric{"mw.policy.latency.window", "{call}", "Calls in the sliding window that took at most le seconds.", Gauge, "le"}
	faults     = &Metric{"mw.policy.listener_faults", "{event}", "Events lost and panics of the machine's listener.", Counter, "fault"}
)

// All returns every metric that Read may emit.
func All() []*Metric {
	return []*Metric{
		admitted, rejected, shadowed, outcomes, events, gaveUp, mode, overridden, state, limit, period, inFlight, waiting,
		remaining, entries, keys, overflows, duration, durations, faults,
	}
}

// boundaries are those that OpenTelemetry advises for durations of requests, in nanoseconds, and their labels.
var boundaries = [...]struct {
	at    int64
	label string
}{
	{5e6, "0.005"},
	{10e6, "0.01"},
	{25e6, "0.025"},
	{50e6, "0.05"},
	{75e6, "0.075"},
	{100e6, "0.1"},
	{250e6, "0.25"},
	{500e6, "0.5"},
	{750e6, "0.75"},
	{1e9, "1"},
	{2500e6, "2.5"},
	{5e9, "5"},
	{7500e6, "7.5"},
	{10e9, "10"},
}
