package httpmw

import (
	"net/http"
	"strconv"
	"time"

	"github.com/mw-go/mw/core"
)

// Legacy is what the X-RateLimit-Reset field means: no standard says, and libraries differ. The zero Legacy is LegacyNone.
type Legacy uint8

// The meanings.
const (
	LegacyNone  Legacy = iota // no X-RateLimit fields
	LegacyDelta               // seconds from now, as in the IETF's drafts and fiber
	LegacyEpoch               // seconds of Unix time, as GitHub, httprate and ulule/limiter do
)

const (
	fieldLegacyLimit     = "X-Ratelimit-Limit"
	fieldLegacyRemaining = "X-Ratelimit-Remaining"
	fieldLegacyReset     = "X-Ratelimit-Reset"
)

// announce writes what a rate limit has decided into the header of the response.
func (g *guarded) announce(x *exchange, d *core.Decision) {
	if !g.NoFields {
		g.answers.fields(x, d)
	}
	if g.Legacy != LegacyNone && d.Remaining >= 0 && d.By.Limit > 0 {
		legacyFields(x.Header(), d, g.Legacy == LegacyEpoch)
	}
}

// legacyFields writes the X-RateLimit fields, unless those that are there speak of less.
func legacyFields(h http.Header, d *core.Decision, epoch bool) {
	remaining, reset := int64(d.Remaining), refill(d)
	if !d.Admitted() {
		remaining, reset = 0, d.RetryAfter
	}
	if said := h[fieldLegacyRemaining]; len(said) > 0 && d.Admitted() {
		if n, err := strconv.ParseInt(said[0], 10, 64); err == nil && n <= remaining {
			return
		}
	}
	h[fieldLegacyLimit] = []string{strconv.FormatInt(d.By.Limit, 10)}
	h[fieldLegacyRemaining] = []string{strconv.FormatInt(remaining, 10)}
	if reset <= 0 && !d.Admitted() || reset == core.Never {
		delete(h, fieldLegacyReset)
		return
	}
	seconds := ceilSeconds(reset)
	if epoch {
		seconds += time.Now().Unix()
	}
	h[fieldLegacyReset] = []string{strconv.FormatInt(seconds, 10)}
}
