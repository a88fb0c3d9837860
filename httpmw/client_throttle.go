package httpmw

import (
	"net/http"

	"github.com/mw-go/mw/core"
)

// ClientThrottle is ClientGuard for a throttle (core/throttle): while the server turns requests away, by 429, by 503 with
// Retry-After or by not answering in time, some are not sent, the more the fewer it accepts. A throttle ignores
// keys: make one for each server. At most one Config.
//
// Put it inside a ClientRetry, so that it hears of every attempt.
func ClientThrottle(g core.Guard, c ...GuardConfig) func(http.RoundTripper) http.RoundTripper {
	return newClientGuards("ClientThrottle", []Guarded{{g, atMostOne("ClientThrottle", c)}})
}
