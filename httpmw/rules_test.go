package httpmw

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/mw-go/mw"
)

// rules are the middlewares with rules of their own, none of which has anything to say in a test of something else.
func rules(logger *slog.Logger) func(http.Handler) http.Handler {
	return mw.Chain(
		mw.Must(SlowLog(SlowLogConfig{Logger: logger, Threshold: time.Hour, Running: time.Hour})),
		mw.Must(ServerTiming(ServerTimingConfig{Public: true, Trailer: true})),
		mw.Must(SecureHeaders(SecureHeadersConfig{Preset: PresetWeb})),
		mw.Must(HeaderLimits(HeaderLimitsConfig{})),
		mw.Must(EarlyData(EarlyDataConfig{})),
		mw.Must(CSRF(CSRFConfig{Isolate: true})),
		mw.Must(BodyLimit(BodyLimitConfig{Max: 1 << 30})),
	)
}
