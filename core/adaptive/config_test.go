package adaptive

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

func TestConfig(t *testing.T) {
	if _, err := schema.Describe(reflect.TypeFor[Config]()); err != nil {
		t.Fatal(err)
	}
	l := limiter(t, Config{})
	want := Config{
		InitialLimit: 20, MinLimit: 2, MaxLimit: 1000, Window: 100 * ms, MinSamples: 20, Smoothing: 0.2, Tolerance: 1.2,
		Backoff: 0.9, DropShare: 0.1, MaxHealthyLatency: core.None, Headroom: 3, Probe: 30 * time.Second, Queue: 64,
		QueueInterval: 100 * ms, QueueTarget: 5 * ms, ShareCritical: 0.9, ShareSheddablePlus: 0.8, ShareSheddable: 0.7,
		RetryAfter: time.Second,
	}
	if c := l.Config(); c != want {
		t.Errorf("the defaults are\n%+v, want\n%+v", c, want)
	}
	got := limiter(t, Config{InitialLimit: 50, MaxLimit: 1, QueueInterval: ms}).Config()
	if got.InitialLimit != 1 || got.MinLimit != 1 || got.QueueTarget != ms {
		t.Errorf("dependent defaults: %+v", got)
	}
	_, err := New("x", Config{
		Algorithm: 3, InitialLimit: -1, MinLimit: 100_001, MaxLimit: -1, Window: ms, MinSamples: -1, Smoothing: 1.1,
		Tolerance: 1, Backoff: 1, DropShare: 2, MaxHealthyLatency: 1, Headroom: 1, Probe: 1, Queue: -2, QueueInterval: -1,
		QueueTarget: -1, ShareCritical: 2, ShareSheddablePlus: -1, ShareSheddable: 3, RetryAfter: -2, Mode: core.ForcedOpen,
	}, Hooks{})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, field := range []string{
		"algorithm", "initial_limit", "min_limit", "max_limit", "window", "min_samples", "smoothing", "tolerance", "backoff",
		"drop_share", "max_healthy_latency", "headroom", "probe", "queue", "queue_interval", "queue_target", "share_critical",
		"share_sheddable_plus", "share_sheddable", "retry_after", "mode",
	} {
		if !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s is not named in\n%v", field, err)
		}
	}
	if err := (Config{MinLimit: 30, MaxLimit: 20}).Validate(); err == nil || !strings.Contains(err.Error(), "min_limit: 30 is not allowed; allowed: at most max_limit (20)") {
		t.Errorf("crossed bounds: %v", err)
	}
	if _, err := New("no spaces", Config{}, Hooks{}); err == nil {
		t.Error("a bad name")
	}
}

func TestAlgorithmNames(t *testing.T) {
	for a := range Algorithm(3) {
		text, err := a.MarshalText()
		var back Algorithm
		if err != nil || back.UnmarshalText(text) != nil || back != a || a.String() != string(text) {
			t.Errorf("%d: %q, %v", a, text, back)
		}
	}
	var a Algorithm
	if err := a.UnmarshalText([]byte("bbr")); err == nil || Algorithm(9).String() != "unknown" {
		t.Errorf("%v", err)
	}
}
