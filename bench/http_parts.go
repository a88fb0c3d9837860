package main

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httplog/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/unrolled/secure"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/httpmw"
	"github.com/mw-go/mw/httpmw/metrics"
	"github.com/mw-go/mw/httpmw/trace"
)

// partRows set single parts of the stack beside those of the peers. Ours has Recover around it, which makes the record.
func partRows() []Row {
	ours := func(m func() func(http.Handler) http.Handler, field string) Contestant {
		return Contestant{Ours, func() Subject { return Subject{Loop: requests(mw.Chain(httpmw.Recover(), m()), field)} }}
	}
	theirs := func(name string, m func() func(http.Handler) http.Handler, field string) Contestant {
		return Contestant{name, func() Subject { return Subject{Loop: requests(m(), field)} }}
	}
	return []Row{{
		Name: "HTTPAccessLog", About: "a line of JSON a request, written nowhere",
		Contestants: []Contestant{
			ours(oursLog, ""), theirs("httplog", chiHTTPLog, ""), theirs("slog", slogLog, ""),
		},
	}, {
		Name: "HTTPAccessLogSlog", About: "the same by way of a slog.JSONHandler",
		Contestants: []Contestant{
			ours(oursSlog, ""), theirs("httplog", chiHTTPLog, ""), theirs("slog", slogLog, ""),
		},
	}, {
		Name: "HTTPMetrics", About: "duration and requests in flight for Prometheus; ours by route as well",
		Contestants: []Contestant{ours(oursMetrics, ""), theirs("promhttp", promMetrics, "")},
	}, {
		Name: "HTTPTrace", About: "tracing while no provider is set",
		Contestants: []Contestant{ours(oursTrace, ""), theirs("otelhttp", otelTrace, "")},
	}, {
		Name: "HTTPSecureHeaders", About: "eight fields that protect browsers",
		Contestants: []Contestant{
			ours(oursSecure, "X-Frame-Options"), theirs("secure", unrolledSecure, "X-Frame-Options"),
		},
	}}
}

func jsonLogger() *slog.Logger { return slog.New(slog.NewJSONHandler(io.Discard, nil)) }

func oursLog() func(http.Handler) http.Handler {
	return httpmw.AccessLog(httpmw.AccessLogConfig{JSON: io.Discard})
}

func oursSlog() func(http.Handler) http.Handler {
	return httpmw.AccessLog(httpmw.AccessLogConfig{Logger: jsonLogger()})
}

func chiHTTPLog() func(http.Handler) http.Handler {
	return httplog.RequestLogger(jsonLogger(), &httplog.Options{Level: slog.LevelInfo, Schema: httplog.SchemaOTEL})
}

// slogLog is an access log as services write it by hand.
func slogLog() func(http.Handler) http.Handler {
	log := jsonLogger()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			defer func() {
				log.LogAttrs(r.Context(), slog.LevelInfo, "request",
					slog.String("method", r.Method),
					slog.String("route", r.Pattern),
					slog.String("path", r.URL.Path),
					slog.String("proto", r.Proto),
					slog.String("client", r.RemoteAddr),
					slog.String("id", middleware.GetReqID(r.Context())),
					slog.String("agent", r.UserAgent()),
					slog.Int("bytes", ww.BytesWritten()),
					slog.Float64("duration", time.Since(start).Seconds()),
					slog.Int("status", ww.Status()),
				)
			}()
			next.ServeHTTP(ww, r)
		})
	}
}

func oursMetrics() func(http.Handler) http.Handler {
	return mw.Must(metrics.Server(metrics.Config{Registerer: prometheus.NewRegistry()}))
}

// promMetrics is promhttp with the boundaries and, as far as it has them, the labels of ours.
func promMetrics() func(http.Handler) http.Handler {
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "duration_seconds", Help: "as ours", Buckets: []float64{
			0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
		},
	}, []string{"method", "code"})
	total := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "usual beside it"}, []string{"method", "code"})
	active := prometheus.NewGauge(prometheus.GaugeOpts{Name: "active", Help: "as ours"})
	prometheus.NewRegistry().MustRegister(duration, total, active)
	return func(next http.Handler) http.Handler {
		return promhttp.InstrumentHandlerInFlight(active,
			promhttp.InstrumentHandlerDuration(duration, promhttp.InstrumentHandlerCounter(total, next)))
	}
}

func oursTrace() func(http.Handler) http.Handler { return trace.Server() }

func otelTrace() func(http.Handler) http.Handler { return otelhttp.NewMiddleware("bench") }

// The fields of the API preset.
var policy = map[string]string{
	"csp": "default-src 'none'; frame-ancestors 'none'", "permissions": "camera=(), microphone=(), geolocation=()",
}

func oursSecure() func(http.Handler) http.Handler {
	return mw.Must(httpmw.SecureHeaders(httpmw.SecureHeadersConfig{}))
}

func unrolledSecure() func(http.Handler) http.Handler {
	return secure.New(secure.Options{
		FrameDeny: true, ContentTypeNosniff: true, ContentSecurityPolicy: policy["csp"], ReferrerPolicy: "no-referrer",
		PermissionsPolicy: policy["permissions"], CrossOriginOpenerPolicy: "same-origin",
		CrossOriginResourcePolicy: "same-origin", CustomBrowserXssValue: "0",
		STSSeconds: int64((2 * 365 * 24 * time.Hour).Seconds()), STSIncludeSubdomains: true,
	}).Handler
}
