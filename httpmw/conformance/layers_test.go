package conformance

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/fallback"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/timeout"
	"github.com/mw-go/mw/httpmw"
	"github.com/mw-go/mw/httpmw/compress"
	"github.com/mw-go/mw/httpmw/cors"
	"github.com/mw-go/mw/httpmw/metrics"
	"github.com/mw-go/mw/httpmw/otelmetrics"
	"github.com/mw-go/mw/httpmw/trace"
)

type middleware = func(http.Handler) http.Handler

// layer is a middleware under test. Its settings are such that no request of the test is refused.
type layer struct {
	name string
	wrap middleware
	of   []string // the layers whose allowances hold, if it is several
	fits func(*scenario) bool
}

// layers are all that the module has, alone and joined. None of them limits what the test asks for.
func layers(t testing.TB) []layer {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	must := mw.Must[middleware]
	hour := func() *timeout.Timeout {
		return mw.Must(timeout.New("requests", timeout.Config{Limit: time.Hour}, timeout.Hooks{}))
	}
	limit := mw.Must(ratelimit.New("requests", ratelimit.Config{Limit: 1e9}, ratelimit.Hooks{}))
	shut := mw.Must(breaker.New("requests", breaker.Config{FailureRate: core.Ratio(-1)}, breaker.Hooks{}))
	slots := mw.Must(bulkhead.New("requests", bulkhead.Config{Limit: 1e6}, bulkhead.Hooks{}))
	shed := mw.Must(adaptive.New("requests", adaptive.Config{InitialLimit: 1000, MinLimit: 1000}, adaptive.Hooks{}))
	second := httpmw.FallbackStep{
		By:      mw.Must(fallback.New("never", fallback.Config{}, fallback.Hooks{})),
		Handler: http.NotFoundHandler(),
	}
	never := httpmw.FallbackConfig{Classify: func(int, http.Header) core.Outcome { return core.Success }}
	failed := httpmw.FallbackConfig{Classify: func(int, http.Header) core.Outcome { return core.Failure }}
	cache := func(scope httpmw.CacheScope) middleware {
		c := mw.Must(httpmw.NewResponseCache("responses", scope, httpmw.CacheConfig{TTL: time.Minute}))
		t.Cleanup(func() { _ = c.Close(t.Context()) })
		return httpmw.Cache(c)
	}
	once := func() middleware {
		return must(httpmw.IdempotencyKey(func(*http.Request) string { return "all" }, httpmw.IdempotencyKeyConfig{}))
	}
	meter := metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
	spans := sdktrace.NewTracerProvider()
	var (
		recoverer = httpmw.Recover(httpmw.RecoverConfig{Logger: quiet})
		id        = httpmw.RequestID()
		client    = httpmw.ClientIP(httpmw.TrustNone(), httpmw.ClientIPConfig{Logger: quiet})
		log       = httpmw.AccessLog(httpmw.AccessLogConfig{JSON: io.Discard})
		counted   = must(metrics.Server(metrics.Config{Registerer: prometheus.NewRegistry(), Sizes: true}))
		traced    = trace.Server()
		headers   = must(httpmw.SecureHeaders(httpmw.SecureHeadersConfig{Preset: httpmw.PresetWeb}))
		timed     = must(httpmw.Timeout(hour()))
		enforced  = must(httpmw.Timeout(hour(), httpmw.TimeoutConfig{Enforced: true}))
		smaller   = must(httpmw.Timeout(hour(), httpmw.TimeoutConfig{Enforced: true, Buffer: 100}))
		guards    = httpmw.Guard(httpmw.Guarded{Guard: limit}, httpmw.Guarded{Guard: shut}, httpmw.Guarded{Guard: slots})
		origins   = must(cors.New(cors.Config{Origins: []string{"https://shop.example"}}))
		coded     = must(compress.Compress(compress.Config{}))
		tags      = must(httpmw.ETag(httpmw.ETagConfig{}))
		slow      = must(httpmw.SlowLog(httpmw.SlowLogConfig{Logger: quiet}))
		timings   = must(httpmw.ServerTiming(httpmw.ServerTimingConfig{Public: true}))
		bounded   = must(httpmw.BodyLimit(httpmw.BodyLimitConfig{}))
		decoded   = must(httpmw.Decompress(httpmw.DecompressConfig{Decoders: []httpmw.Decoder{compress.Zstd()}}))
		lines     = must(httpmw.HeaderLimits(httpmw.HeaderLimitsConfig{}))
		sites     = must(httpmw.CSRF(httpmw.CSRFConfig{TrustedOrigins: []string{"https://shop.example"}}))
		early     = must(httpmw.EarlyData(httpmw.EarlyDataConfig{}))
		class     = must(httpmw.Criticality(httpmw.CriticalityConfig{}))
		deadline  = must(httpmw.Deadline(hour()))
	)
	return []layer{
		{name: "Recover", wrap: recoverer},
		{name: "RequestID", wrap: id},
		{name: "ClientIP", wrap: client},
		{name: "AccessLog", wrap: log},
		{name: "SlowLog", wrap: slow},
		{name: "ServerTiming", wrap: timings},
		{name: "ServerTiming with a trailer", wrap: must(httpmw.ServerTiming(httpmw.ServerTimingConfig{Public: true, Trailer: true})), of: []string{"ServerTiming"}},
		{name: "Observe", wrap: httpmw.Observe(func(httpmw.Summary) {})},
		{name: "Metrics", wrap: counted},
		{name: "OTelMetrics", wrap: must(otelmetrics.Server(otelmetrics.Config{Meter: meter.Meter("test"), Sizes: true}))},
		{name: "Trace", wrap: traced},
		{name: "Trace with a provider", wrap: trace.Server(trace.Config{Provider: spans}), of: []string{"Trace"}},
		{name: "SecureHeaders", wrap: headers},
		{name: "HeaderLimits", wrap: lines},
		{name: "BodyLimit", wrap: bounded},
		{name: "Decompress", wrap: decoded},
		{name: "Validate", wrap: must(httpmw.Validate[json.RawMessage](httpmw.ValidateConfig{})), fits: func(s *scenario) bool {
			return s.json && s.upload != pacedUpload
		}},
		{name: "CORS", wrap: origins},
		{name: "CSRF", wrap: sites},
		{name: "EarlyData", wrap: early},
		{name: "Criticality", wrap: class},
		{name: "Shed", wrap: must(httpmw.Shed(shed))},
		{name: "RateLimit", wrap: httpmw.RateLimit(limit)},
		{name: "Breaker", wrap: httpmw.Breaker(shut)},
		{name: "Bulkhead", wrap: httpmw.Bulkhead(slots)},
		{name: "Guard", wrap: guards, of: []string{"RateLimit", "Guard"}},
		{name: "Timeout", wrap: timed},
		{name: "Timeout enforced", wrap: enforced},
		{name: "Timeout enforced, small", wrap: smaller, of: []string{"Timeout enforced"}},
		{name: "Deadline", wrap: deadline},
		{name: "Fallback", wrap: must(httpmw.Fallback(never, second))},
		{name: "Fallback of failures", wrap: must(httpmw.Fallback(failed, httpmw.FallbackStep{
			By: mw.Must(fallback.New("off", fallback.Config{Mode: core.Disabled}, fallback.Hooks{})), Handler: http.NotFoundHandler(),
		}))},
		{name: "ETag", wrap: tags},
		{name: "Cache", wrap: cache(httpmw.CacheShared)},
		{name: "Cache, private", wrap: cache(httpmw.CachePrivate), of: []string{"Cache"}},
		{name: "IdempotencyKey", wrap: once(), fits: readBefore},
		{name: "Compress", wrap: coded},
		{name: "stack", wrap: mw.Chain(recoverer, id, client, log, slow, counted, traced, headers, timed, guards, coded),
			of: []string{"Recover", "RequestID", "Guard", "Trace", "SecureHeaders", "RateLimit", "Compress"}},
		{name: "all", fits: readBefore, wrap: mw.Chain(recoverer, id, client, log, slow, counted, traced, timings, headers, lines, origins, sites, early,
			class, deadline, enforced, guards, decoded, bounded, coded, tags, once(), must(httpmw.Fallback(never, second)), cache(httpmw.CacheShared)),
			of: []string{"Recover", "RequestID", "ServerTiming", "Guard", "Fallback", "Trace", "SecureHeaders", "CORS", "CSRF", "BodyLimit", "Timeout enforced", "RateLimit", "Compress", "ETag",
				"IdempotencyKey", "Cache"}},
	}
}

// readBefore leaves out what IdempotencyKey cannot serve: it reads the body before the handler runs, and this client sends
// the next piece when it has the last back.
func readBefore(s *scenario) bool { return !s.keyed || s.upload != pacedUpload }
