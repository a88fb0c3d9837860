package httpmw

import (
	"net/http"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/internal/sfv"
)

// ClientPaceConfig says which requests draw on one quota. The zero value is the default.
type ClientPaceConfig struct {
	// Key says which requests share what a server says. nil means ByHost. If a server counts by credentials and the client
	// has several, the key is made of both.
	Key KeyFunc
	// Skip exempts requests: they neither wait nor count, and what is said to them is not listened to. nil exempts none.
	Skip func(*http.Request) bool
}

// ClientPace sends no more than the server says it will take: a request waits, or is rejected, before the server has to
// answer it with 429. It listens to
//
//	RateLimit, RateLimit-Policy   draft-ietf-httpapi-ratelimit-headers: of each policy, r requests are sent in the t
//	                              seconds to come, and if q and w are known so many in each window after that
//	Retry-After                   of 429 and 503: nothing is sent until then, whatever t says
//
// and not to malformed fields, to policies that count something else than requests, or to responses from a cache (with
// Age, or a hit in Cache-Status). What was sent after the request that is answered is taken off r. Without t nothing
// is known of when to go on, and nothing is held back.
//
// A request that has to wait does so up to MaxWait, and not beyond the deadline of its context: then it is rejected at
// once. The error is a *core.Rejection of kind ratelimit that says when to come again.
//
// Put it inside a ClientRetry, which also heeds Retry-After. It panics if p is nil. At most one Config.
func ClientPace(p *Pacer, c ...ClientPaceConfig) func(http.RoundTripper) http.RoundTripper {
	conf := atMostOne("ClientPace", c)
	if p == nil {
		panic("httpmw: ClientPace: nil Pacer")
	}
	if conf.Key == nil {
		conf.Key = ByHost
	}
	return func(next http.RoundTripper) http.RoundTripper {
		return &clientPace{clientLayer: newClientLayer("ClientPace", next), pacer: p, conf: conf}
	}
}

type clientPace struct {
	clientLayer
	pacer *Pacer
	conf  ClientPaceConfig
}

// RoundTrip implements http.RoundTripper.
func (t *clientPace) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := false
	defer func() { // also if one of the user's functions panics
		if !asked {
			closeBody(r)
		}
	}()
	if t.conf.Skip != nil && t.conf.Skip(r) {
		asked = true
		return t.next.RoundTrip(r)
	}
	key := t.conf.Key(r)
	number, err := t.pacer.acquire(r.Context(), key)
	if err != nil {
		return nil, err
	}
	asked = true
	resp, err := t.next.RoundTrip(r)
	if err == nil && resp != nil {
		t.pacer.listen(key, number, resp)
	}
	return resp, err
}

// said is what a response says, with the memory to read it.
type said struct {
	limit, policy sfv.Parser
}

// listen takes in what the response to a request says.
func (p *Pacer) listen(key core.Key, number uint64, resp *http.Response) {
	s := p.policy.Load()
	if s.Policy.Mode == core.Disabled {
		return
	}
	after, told := time.Duration(0), false
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
		after, told = retryAfter(resp.Header, time.Now())
	}
	if !told && len(resp.Header[fieldRateLimit]) == 0 || cached(resp.Header) {
		return
	}
	now := core.Now()
	p.update(key, now, func(h *host) {
		if told {
			h.hold(now, min(after, s.MaxHold))
			return
		}
		if !h.said.read(&h.quotas, now, number, resp.Header, s.MaxHold) {
			p.malformed.Add(1)
		}
	})
}

// cached reports whether a cache has answered: then the fields are of a time gone by.
func cached(h http.Header) bool {
	if len(h["Age"]) > 0 {
		return true
	}
	if len(h["Cache-Status"]) == 0 {
		return false
	}
	var p sfv.Parser
	list, err := p.List(h["Cache-Status"])
	for _, cache := range list {
		if hit, _ := cache.Param("hit").Boolean(); hit {
			return true
		}
	}
	return err != nil
}

// maxFieldBytes is how long a RateLimit or RateLimit-Policy may be: what is remembered of a server has a bound.
const maxFieldBytes = 2 << 10

func tooLong(lines []string) bool {
	n := 0
	for _, line := range lines {
		n += len(line)
	}
	return n > maxFieldBytes
}

// read takes in the fields of a rate limit. It reports whether they are well-formed; if not, none counts.
func (d *said) read(s *quotas, now core.Time, number uint64, h http.Header, most time.Duration) bool {
	if tooLong(h[fieldRateLimit]) || tooLong(h[fieldRateLimitPolicy]) {
		return false
	}
	limits, err := d.limit.List(h[fieldRateLimit])
	if err != nil {
		return false
	}
	policies, err := d.policy.List(h[fieldRateLimitPolicy])
	if err != nil {
		return false
	}
	for _, it := range limits {
		if _, _, ok := limitOf(it); !ok {
			return false
		}
	}
	for _, it := range limits {
		name, _ := it.Text()
		r, t, _ := limitOf(it)
		said := quota{name: name, left: r, sent: number, reset: now.Add(min(t, most))}
		requests := true
		for _, policy := range policies {
			if of, ok := policy.Text(); ok && of == name {
				said.amount, said.window, requests = policyOf(policy)
			}
		}
		if said.window > most { // it could keep us for longer
			said.amount, said.window = 0, 0
		}
		if requests {
			s.learn(now, said)
		}
	}
	return true
}

// limitOf reads a member of RateLimit: a name, r, and t of 0 if there is none.
func limitOf(it sfv.Item) (r int64, t time.Duration, ok bool) {
	if name, ok := it.Text(); !ok || name == "" || it.Inner != nil {
		return 0, 0, false
	}
	if r, ok = it.Param("r").Integer(); !ok || r < 0 {
		return 0, 0, false
	}
	if reset := it.Param("t"); reset.Kind() != sfv.None {
		n, ok := reset.Integer()
		if !ok || n < 0 {
			return 0, 0, false
		}
		t = time.Duration(min(n, int64(core.Never/time.Second))) * time.Second
	}
	return r, t, true
}

// policyOf reads what a member of RateLimit-Policy adds: q and w, 0 if they are not both known, and whether it counts
// requests.
func policyOf(it sfv.Item) (amount int64, window time.Duration, requests bool) {
	if unit, ok := it.Param("qu").Text(); ok && unit != "requests" {
		return 0, 0, false
	}
	q, _ := it.Param("q").Integer()
	w, _ := it.Param("w").Integer()
	if q <= 0 || w <= 0 {
		return 0, 0, true
	}
	return q, time.Duration(min(w, int64(core.Never/time.Second))) * time.Second, true
}
