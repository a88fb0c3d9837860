package metrics

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/mw-go/mw/grpcmw"
	"github.com/mw-go/mw/internal/series"
)

// The labels of go-grpc-middleware.
const (
	labelType       = "grpc_type"
	labelService    = "grpc_service"
	labelBareMethod = "grpc_method"
	labelBareCode   = "grpc_code"
)

// compat are the metrics of one side under the names of go-grpc-middleware.
type compat struct {
	started, received, sent, handled *prometheus.CounterVec
	seconds                          *prometheus.HistogramVec // nil without HandlingTime

	methods *series.RPCMethods
	calls   *series.Table[compatKey, *compatCall]
	ends    *series.Table[compatEnd, prometheus.Counter]
}

// compatKey are the labels of a call that has begun, compatEnd those of one that is over.
type compatKey struct {
	method *series.RPCMethod
	kind   grpcmw.Kind
}

type compatEnd struct {
	compatKey
	code codes.Code // 17 stands for all that gRPC does not know
}

// compatCall are the series of one combination.
type compatCall struct {
	started, received, sent prometheus.Counter
	seconds                 prometheus.Observer // nil without HandlingTime
}

// compatible is Server and Client under those names.
func compatible(c Config, side string) (*grpcmw.Interceptor, error) {
	m := &compat{methods: series.NewRPCMethods(c.MaxMethods, c.known())}
	if err := m.register(c, side); err != nil {
		return nil, err
	}
	rest := []string{series.Other, series.Other, series.Other}
	m.calls = series.New(c.MaxSeries, func(k compatKey) *compatCall { return m.call(k.labels()) },
		func() *compatCall { return m.call(rest) })
	m.ends = series.New(c.MaxSeries,
		func(k compatEnd) prometheus.Counter {
			return m.handled.WithLabelValues(append(k.labels(), codeLabel(k.code))...)
		},
		func() prometheus.Counter { return m.handled.WithLabelValues(append(rest, series.Other)...) })
	for _, s := range c.Services {
		m.initialize(s)
	}
	name := "Metrics"
	if side == "client" {
		name = "ClientMetrics"
	}
	return grpcmw.Observe(m.end, grpcmw.ObserveConfig{
		Name: name, Begin: m.begin, Message: m.message, Everything: c.Everything,
	}), nil
}

func (m *compat) register(c Config, side string) error {
	labels := []string{labelType, labelService, labelBareMethod}
	prefix, faults := "grpc_"+side+"_", [5]error{}
	counter := func(name, help string, labels []string) (*prometheus.CounterVec, error) {
		return one(c.Registerer, prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels))
	}
	by := map[string]string{"server": "on the server.", "client": "on the client."}[side]
	m.started, faults[0] = counter("started_total", "Total number of RPCs started "+by, labels)
	m.received, faults[1] = counter("msg_received_total", "Total number of RPC messages received "+by, labels)
	m.sent, faults[2] = counter("msg_sent_total", "Total number of RPC messages sent "+by, labels)
	m.handled, faults[3] = counter("handled_total", "Total number of RPCs completed, whatever became of them, "+by,
		append(labels[:3:3], labelBareCode))
	if c.HandlingTime {
		o := prometheus.HistogramOpts{
			Name: prefix + "handling_seconds", Help: "Seconds until RPCs were completed " + by, Buckets: prometheus.DefBuckets,
		}
		native(c, &o)
		m.seconds, faults[4] = one(c.Registerer, prometheus.NewHistogramVec(o, labels))
	}
	return errors.Join(faults[:]...)
}

func (k compatKey) labels() []string {
	kind := k.kind.String()
	service, method := k.method.Split()
	return []string{kind, service, method}
}

func (m *compat) call(labels []string) *compatCall {
	c := &compatCall{
		started: m.started.WithLabelValues(labels...), received: m.received.WithLabelValues(labels...),
		sent: m.sent.WithLabelValues(labels...),
	}
	if m.seconds != nil {
		c.seconds = m.seconds.WithLabelValues(labels...)
	}
	return c
}

// initialize makes the series of a service, at 0.
func (m *compat) initialize(s *grpc.ServiceDesc) {
	start := func(method string, kind grpcmw.Kind) {
		k := compatKey{m.methods.Of("/" + s.ServiceName + "/" + method), kind}
		m.calls.Get(k, nil)
		for code := codes.OK; code <= codes.Unauthenticated; code++ {
			m.ends.Get(compatEnd{k, code}, nil)
		}
	}
	for _, one := range s.Methods {
		start(one.MethodName, grpcmw.UnaryCall)
	}
	for _, one := range s.Streams {
		switch {
		case one.ClientStreams && one.ServerStreams:
			start(one.StreamName, grpcmw.BidiStream)
		case one.ClientStreams:
			start(one.StreamName, grpcmw.ClientStream)
		default:
			start(one.StreamName, grpcmw.ServerStream)
		}
	}
}

func (m *compat) key(s *grpcmw.Summary) compatKey { return compatKey{m.methods.Of(s.Method), s.Kind} }

func (m *compat) begin(s grpcmw.Summary) { m.calls.Get(m.key(&s), nil).started.Inc() }

func (m *compat) message(s grpcmw.Summary, sent bool) {
	c := m.calls.Get(m.key(&s), nil)
	if sent {
		c.sent.Inc()
	} else {
		c.received.Inc()
	}
}

func (m *compat) end(s grpcmw.Summary) {
	k := m.key(&s)
	c := m.calls.Get(k, nil)
	if s.Kind == grpcmw.UnaryCall { // those of streams were counted as they passed
		c.received.Add(float64(s.Received))
		c.sent.Add(float64(s.Sent))
	}
	if c.seconds != nil {
		c.seconds.Observe(s.Duration.Seconds())
	}
	m.ends.Get(compatEnd{k, min(s.Code, codes.Unauthenticated+1)}, nil).Inc()
}

// codeLabel is the name that go-grpc-middleware gives a code.
func codeLabel(c codes.Code) string {
	if c > codes.Unauthenticated {
		return series.Other
	}
	return c.String()
}
