// Package prom shows the machines of a service to Prometheus.
//
//	registry.MustRegister(prom.New(set.All))
//
// The machines are read when they are scraped; nothing is added to the path of a call. Package observe lists the metrics;
// here a dot in a name is an underscore, a counter ends in _total, and seconds in _seconds, as in
// mw_policy_rejected_total{kind="bulkhead",name="shop",reason="any"}.
package prom

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/observe"
)

// Collector is a prometheus.Collector of machines. Make one with New. Safe for concurrent use.
type Collector struct {
	machines func() []core.Machine
	descs    map[*observe.Metric]*prometheus.Desc
}

var _ prometheus.Collector = (*Collector)(nil)

// New returns a collector of the machines that the function returns at each scrape, such as policy.Set.All: machines that
// are made later come along. It may be called by several scrapes at once. Two machines of one kind and name fail the
// scrape: register the collectors of two sets through prometheus.WrapRegistererWith, each with its own value of a label.
// New panics if machines is nil.
func New(machines func() []core.Machine) *Collector {
	if machines == nil {
		panic("prom: nil function")
	}
	c := &Collector{machines: machines, descs: map[*observe.Metric]*prometheus.Desc{}}
	for _, m := range observe.All() {
		labels := []string{observe.LabelKind, observe.LabelName}
		if m.Label != "" {
			labels = append(labels, m.Label)
		}
		c.descs[m] = prometheus.NewDesc(name(m), m.Help, labels, nil)
	}
	return c
}

// name is Prometheus' form of m's name.
func name(m *observe.Metric) string {
	n := strings.ReplaceAll(m.Name, ".", "_")
	if m.Unit == "s" {
		n += "_seconds"
	}
	if m.Type == observe.Counter {
		n += "_total"
	}
	return n
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	for _, m := range c.machines() {
		observe.Read(m, func(s observe.Sample) { metrics <- c.metric(s) })
	}
}

func (c *Collector) metric(s observe.Sample) prometheus.Metric {
	kind := prometheus.GaugeValue
	if s.Metric.Type == observe.Counter {
		kind = prometheus.CounterValue
	}
	labels := []string{string(s.Kind), s.Name}
	if s.Metric.Label != "" {
		labels = append(labels, s.Label)
	}
	m, err := prometheus.NewConstMetric(c.descs[s.Metric], kind, s.Value, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(c.descs[s.Metric], err)
	}
	return m
}
