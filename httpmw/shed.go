package httpmw

import (
	"net/http"
	"slices"

	"github.com/mw-go/mw/core"
)

// ShedConfig is the Config of Shed. The zero value sheds at random among all requests but health checks.
type ShedConfig struct {
	CriticalityConfig
	// Key tells users apart, so that an overload hits the same ones throughout: BySubject, ByClientIP. nil sheds at random
	// within a class.
	Key KeyFunc `key:"-"`
	// Health are the paths, exact ones, of requests that are never shed and take no slot. nil means /healthz, /livez and
	// /readyz; an empty list exempts none.
	Health []string
	// Skip exempts other requests. nil exempts none.
	Skip func(*http.Request) bool `key:"-"`
	// Cost says how many slots the request takes. nil means 1 for every request.
	Cost func(*http.Request) uint32 `key:"-"`
	// Classify turns the final status into the outcome that the guard is told. nil means ClassifyStatus.
	Classify func(status int, h http.Header) core.Outcome `key:"-"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c ShedConfig) Validate() error { return c.CriticalityConfig.Validate() }

var healthPaths = []string{"/healthz", "/livez", "/readyz"}

// Shed is Guard for an adaptive limiter: beyond what the service can do, requests are shed, the least critical first, with 503
// and a Retry-After that the limiter jitters. What it finds about a request's class is noted as by Criticality. g may
// be any other guard that looks at Call.Class.
//
// It fails if the Config does not validate, and panics as Guard does. At most one Config.
func Shed(g core.Guard, c ...ShedConfig) (func(http.Handler) http.Handler, error) {
	config := atMostOne("Shed", c)
	list := []Guarded{{g, GuardConfig{
		Key: config.Key, Cost: config.Cost, Classify: config.Classify, Skip: config.exempt(),
	}}}
	checkGuards("Shed", list)
	class, err := config.canonical()
	if err != nil {
		return nil, err
	}
	return wrap("Shed", &shed{guards: guards{list: []guarded{{Guarded: list[0]}}}, class: class}), nil
}

// exempt joins Health and Skip.
func (c *ShedConfig) exempt() func(*http.Request) bool {
	paths, skip := slices.Clone(c.Health), c.Skip
	if c.Health == nil {
		paths = healthPaths
	}
	return func(r *http.Request) bool {
		return slices.Contains(paths, r.URL.Path) || skip != nil && skip(r)
	}
}

type shed struct {
	guards
	class CriticalityConfig
}

func (m *shed) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	x.rec.class = m.class.of(r)
	m.guards.serve(x, w, r, next)
}
