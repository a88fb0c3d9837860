package budget

import (
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/window"
)

// model is the whole machine without concurrency: the pure parts put together, the deposits in a plain ring.
type model struct {
	c        Config
	r        rates
	bucket   bucket
	spent    spending
	layout   window.Layout // of the deposits
	deposits window.Ring
	funded   bool // the rule has been window
}

func newModel(t testing.TB, c Config, now core.Time) *model {
	t.Helper()
	full, err := prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	m := &model{c: full, r: full.rates()}
	m.bucket = bucket(m.r.size)
	m.spent = spending{layout: window.NewLayout(now, full.TTL), last: now}
	m.fund(now)
	return m
}

func (m *model) fund(now core.Time) {
	if m.c.Rule == Window && !m.funded {
		m.funded, m.layout = true, window.NewLayout(now, m.c.TTL)
	}
}

func (m *model) tune(t testing.TB, c Config, now core.Time) {
	t.Helper()
	full, err := prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	old := m.c
	m.c, m.r = full, full.rates()
	if to := window.NewLayout(now.Add(-full.TTL), full.TTL); old.TTL != full.TTL {
		if m.funded {
			m.deposits, m.layout = m.deposits.Resize(m.layout, to, now), to
		}
		m.spent.resize(to, now)
	}
	m.fund(now)
	m.bucket = m.bucket.put(&m.r, 0)
}

func (m *model) begin(now core.Time) {
	if m.c.Rule == Window {
		m.deposits.Add(m.layout, now, false)
	}
}

func (m *model) end(o core.Outcome) {
	if m.c.Rule == Success || m.c.Rule == Throttle {
		m.bucket = m.bucket.end(&m.r, o)
	}
}

func (m *model) withdraw(now core.Time) (ok bool) {
	switch m.c.Rule {
	case Unlimited:
		return true
	case Window:
		return m.spent.withdraw(&m.r, m.deposits.Sum(m.layout, now).Good, now)
	default:
		m.bucket, ok = m.bucket.withdraw(&m.r)
		return ok
	}
}

func (m *model) refund(at core.Time) {
	switch m.c.Rule {
	case Unlimited:
	case Window:
		m.spent.refund(at)
	default:
		m.bucket = m.bucket.refund(&m.r)
	}
}

// parts is the balance in parts of a token.
func (m *model) parts(now core.Time) int64 {
	switch m.c.Rule {
	case Unlimited:
		return 0
	case Window:
		return m.spent.balance(&m.r, m.deposits.Sum(m.layout, now).Good, now)
	default:
		return int64(m.bucket.put(&m.r, 0))
	}
}

// balance is in tokens.
func (m *model) balance(now core.Time) float64 { return float64(m.parts(now)) / token }

// tunings are settings that tests switch between.
var tunings = []Config{
	{},
	{Ratio: 1, Size: 1},
	{Ratio: 0.001, Size: 1000},
	{Rule: Window},
	{Rule: Window, TTL: time.Second, Reserve: core.None, Ratio: 0.25},
	{Rule: Window, TTL: time.Hour, Reserve: 1000},
	{Rule: Throttle},
	{Rule: Throttle, Size: 3, Ratio: 0.5},
	{Rule: Unlimited},
}
