package main

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/failsafe-go/failsafe-go"
	fsbulkhead "github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafegrpc"
	fsratelimiter "github.com/failsafe-go/failsafe-go/ratelimiter"
	ggmprometheus "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/grpcmw"
	"github.com/mw-go/mw/grpcmw/metrics"
)

// grpcGuardRows set the interceptor of each guard beside failsafe's.
func grpcGuardRows() []Row {
	row := func(name string, guard func() core.Guard, policy func() failsafe.Policy[any]) Row {
		return Row{
			Name: "GRPC" + name, About: "the interceptor of a " + name + " that admits, before a unary handler that does nothing",
			Contestants: []Contestant{
				{Ours, func() Subject { return Subject{Loop: calls(grpcmw.Guard(grpcmw.Guarded{Guard: guard()}).UnaryServer)} }},
				{"failsafegrpc", func() Subject { return Subject{Loop: calls(failsafegrpc.NewUnaryServerInterceptor[any](policy()))} }},
			},
		}
	}
	return []Row{
		row("Breaker", func() core.Guard { return grpcBreaker() }, fsBreaker),
		row("Bulkhead", func() core.Guard { return newBulkhead() }, fsSlots),
		row("RateLimit", func() core.Guard { return grpcLimit() }, fsLimit),
	}
}

func grpcBreaker() *breaker.Breaker {
	return mw.Must(breaker.New("bench", breaker.Config{}, breaker.Hooks{}))
}

func grpcLimit() *ratelimit.Limiter { return newLimiter(plenty, time.Second) }

func fsBreaker() failsafe.Policy[any] {
	return circuitbreaker.NewBuilder[any]().WithFailureRateThreshold(0.5, 20, 10*time.Second).Build()
}

func fsSlots() failsafe.Policy[any] { return fsbulkhead.New[any](slots) }

func fsLimit() failsafe.Policy[any] {
	return fsratelimiter.NewSmoothBuilder[any](plenty, time.Second).Build()
}

// grpcPartRows set single parts of the stack beside those of go-grpc-middleware. Ours stand alone, as theirs do.
func grpcPartRows() []Row {
	ours := func(i func() *grpcmw.Interceptor) Contestant {
		return Contestant{Ours, func() Subject { return Subject{Loop: calls(i().UnaryServer)} }}
	}
	theirs := func(name string, i func() grpc.UnaryServerInterceptor) Contestant {
		return Contestant{name, func() Subject { return Subject{Loop: calls(i())} }}
	}
	histogram := func() grpc.UnaryServerInterceptor { return ggmMetrics(ggmprometheus.WithServerHandlingTimeHistogram()) }
	finish := logging.WithLogOnEvents(logging.FinishCall)
	return []Row{{
		Name: "GRPCMetrics", About: "duration and calls in flight for Prometheus; theirs has counters and the histogram",
		Contestants: []Contestant{
			ours(func() *grpcmw.Interceptor { return oursGRPCMetrics(false) }), theirs("ggm", histogram),
		},
	}, {
		Name: "GRPCMetricsCompatible", About: "the same metrics under the same names",
		Contestants: []Contestant{
			ours(func() *grpcmw.Interceptor { return oursGRPCMetrics(true) }), theirs("ggm", histogram),
		},
	}, {
		Name: "GRPCLog", About: "a line of JSON a call, written nowhere",
		Contestants: []Contestant{
			ours(func() *grpcmw.Interceptor { return grpcmw.Log(grpcmw.LogConfig{JSON: io.Discard}) }),
			theirs("ggm", func() grpc.UnaryServerInterceptor { return ggmLog(finish) }),
			theirs("ggm-two-lines", func() grpc.UnaryServerInterceptor { return ggmLog() }),
		},
	}, {
		Name: "GRPCLogSlog", About: "the same by way of a slog.JSONHandler",
		Contestants: []Contestant{
			ours(func() *grpcmw.Interceptor { return grpcmw.Log(grpcmw.LogConfig{Logger: jsonLogger()}) }),
			theirs("ggm", func() grpc.UnaryServerInterceptor { return ggmLog(finish) }),
		},
	}}
}

func oursGRPCMetrics(compatible bool) *grpcmw.Interceptor {
	return mw.Must(metrics.Server(metrics.Config{
		Registerer: prometheus.NewRegistry(), Compatible: compatible, HandlingTime: compatible,
	}))
}

func ggmMetrics(o ...ggmprometheus.ServerMetricsOption) grpc.UnaryServerInterceptor {
	m := ggmprometheus.NewServerMetrics(o...)
	prometheus.NewRegistry().MustRegister(m)
	return m.UnaryServerInterceptor()
}

// ggmLog is the adapter to slog of its documentation.
func ggmLog(o ...logging.Option) grpc.UnaryServerInterceptor {
	log := jsonLogger()
	return logging.UnaryServerInterceptor(logging.LoggerFunc(
		func(ctx context.Context, level logging.Level, message string, fields ...any) {
			log.Log(ctx, slog.Level(level), message, fields...)
		}), o...)
}
