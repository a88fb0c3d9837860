package metrics

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mw-go/mw/internal/series"
)

// The labels.
const (
	labelMethod = "http_request_method"
	labelRoute  = "http_route"
	labelStatus = "http_response_status_code"
	labelError  = "error_type"
	labelHost   = "server_address"
	labelPort   = "server_port"
)

// vectors are the metrics of one side.
type vectors struct {
	duration *prometheus.HistogramVec
	in, out  *prometheus.HistogramVec // bodies of requests and responses; nil without Config.Sizes
	active   *active
}

// register makes the metrics of a side, server or client, or finds them where another has registered them.
func register(c Config, side string, labels ...string) (v vectors, err error) {
	duration := prometheus.HistogramOpts{
		Name: "http_" + side + "_request_duration_seconds", Help: "Duration of HTTP " + side + " requests.",
		Buckets: series.Seconds(),
	}
	if c.Native {
		duration.NativeHistogramBucketFactor = 1.1
		duration.NativeHistogramMaxBucketNumber = 160
		duration.NativeHistogramMinResetDuration = time.Hour
	}
	var faults [4]error
	v.duration, faults[0] = one(c.Registerer, prometheus.NewHistogramVec(duration, labels))
	v.active, faults[1] = one(c.Registerer, newActive(side))
	if c.Sizes {
		size := func(what string) (*prometheus.HistogramVec, error) {
			return one(c.Registerer, prometheus.NewHistogramVec(prometheus.HistogramOpts{
				Name:    "http_" + side + "_" + what + "_body_size_bytes",
				Help:    "Size of the bodies of HTTP " + side + " " + what + "s.",
				Buckets: series.Bytes(),
			}, labels))
		}
		v.in, faults[2] = size("request")
		v.out, faults[3] = size("response")
	}
	return v, errors.Join(faults[:]...)
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

// cell is the series of one combination of labels.
type cell struct {
	duration prometheus.Observer
	in, out  prometheus.Observer // nil without Config.Sizes
}

func (v *vectors) cell(values ...string) *cell {
	c := &cell{duration: v.duration.WithLabelValues(values...)}
	if v.in != nil {
		c.in, c.out = v.in.WithLabelValues(values...), v.out.WithLabelValues(values...)
	}
	return c
}

// observe adds one request. A size below zero is not known.
func (c *cell) observe(took time.Duration, in, out int64) {
	c.duration.Observe(took.Seconds())
	if c.in == nil {
		return
	}
	if in >= 0 {
		c.in.Observe(float64(in))
	}
	if out >= 0 {
		c.out.Observe(float64(out))
	}
}

// statusLabel is empty if there was no status.
func statusLabel(status int) string {
	if status == 0 {
		return ""
	}
	return strconv.Itoa(status)
}

// active shows the requests in flight.
type active struct {
	series.Active
	desc *prometheus.Desc
}

func newActive(side string) *active {
	return &active{desc: prometheus.NewDesc("http_"+side+"_active_requests",
		"HTTP "+side+" requests in flight.", []string{labelMethod}, nil)}
}

// Describe implements prometheus.Collector.
func (a *active) Describe(descs chan<- *prometheus.Desc) { descs <- a.desc }

// Collect implements prometheus.Collector.
func (a *active) Collect(metrics chan<- prometheus.Metric) {
	a.Each(func(method string, n int64) {
		metrics <- prometheus.MustNewConstMetric(a.desc, prometheus.GaugeValue, float64(n), method)
	})
}
