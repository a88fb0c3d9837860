package metrics

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mw-go/mw/internal/series"
)

// The labels.
const (
	labelSystem = "rpc_system_name"
	labelMethod = "rpc_method"
	labelCode   = "rpc_response_status_code"
	labelError  = "error_type"
	labelHost   = "server_address"
	labelPort   = "server_port"
)

var system = prometheus.Labels{labelSystem: "grpc"}

// cell is the series of one combination of labels.
type cell = prometheus.Observer

// vectors are the metrics of one side.
type vectors struct {
	duration *prometheus.HistogramVec
	active   *active
}

// register makes the metrics of a side, server or client, or finds them where another has registered them.
func register(c Config, side string, labels ...string) (*vectors, error) {
	duration := prometheus.HistogramOpts{
		Name: "rpc_" + side + "_call_duration_seconds", Help: "Duration of gRPC " + side + " calls.",
		Buckets: series.Seconds(), ConstLabels: system,
	}
	native(c, &duration)
	v := &vectors{}
	var faults [2]error
	v.duration, faults[0] = one(c.Registerer, prometheus.NewHistogramVec(duration, labels))
	v.active, faults[1] = one(c.Registerer, newActive(side))
	return v, errors.Join(faults[:]...)
}

func native(c Config, o *prometheus.HistogramOpts) {
	if c.Native {
		o.NativeHistogramBucketFactor = 1.1
		o.NativeHistogramMaxBucketNumber = 160
		o.NativeHistogramMinResetDuration = time.Hour
	}
}

// one registers a collector, or returns the one that is there already.
func one[C prometheus.Collector](r prometheus.Registerer, fresh C) (C, error) {
	err := r.Register(fresh)
	if err == nil {
		return fresh, nil
	}
	if there, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if old, ok := there.ExistingCollector.(C); ok {
			return old, nil
		}
	}
	return fresh, fmt.Errorf("metrics: %w", err)
}

func (v *vectors) cell(values ...string) cell { return v.duration.WithLabelValues(values...) }

// active shows the calls in flight of all policies that share the metric.
type active struct {
	desc *prometheus.Desc

	mu   sync.Mutex
	sets []*series.RPCMethods
}

func newActive(side string) *active {
	return &active{desc: prometheus.NewDesc("rpc_"+side+"_active_calls", "gRPC "+side+" calls in flight.", []string{labelMethod}, system)}
}

func (a *active) add(m *series.RPCMethods) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sets = append(a.sets, m)
}

// Describe implements prometheus.Collector.
func (a *active) Describe(descs chan<- *prometheus.Desc) { descs <- a.desc }

// Collect implements prometheus.Collector.
func (a *active) Collect(metrics chan<- prometheus.Metric) {
	for name, n := range a.counts() {
		metrics <- prometheus.MustNewConstMetric(a.desc, prometheus.GaugeValue, float64(n), name)
	}
}

func (a *active) counts() map[string]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	counts := make(map[string]int64)
	for _, set := range a.sets {
		set.Each(func(name string, n int64) { counts[name] += n })
	}
	return counts
}
