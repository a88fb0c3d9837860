package adaptive

import (
	"math"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

const ms = time.Millisecond

func prepared(t testing.TB, c Config) Config {
	t.Helper()
	full, err := prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	return full
}

// window is a sample of a window of 100 ms with the limit in use.
func window(latency time.Duration, running int) sample {
	return sample{span: 100 * ms, count: 30, latency: float64(latency), running: float64(running), most: running}
}

func dropping(w sample, dropped int) sample { w.dropped = dropped; return w }
func holding(w sample) sample               { w.refused = true; return w }

func TestAlgorithms(t *testing.T) {
	c := prepared(t, Config{MaxHealthyLatency: time.Second})
	const base = float64(100 * ms)
	for _, test := range []struct {
		name  string
		a     Algorithm
		limit float64
		w     sample
		base  float64
		want  float64
	}{
		{"gradient2: nothing known yet, grows", Gradient2, 100, window(100*ms, 100), 0, 102},
		{"gradient2: within tolerance, grows by the root", Gradient2, 100, window(120*ms, 100), base, 102},
		{"gradient2: and by at least four", Gradient2, 4, window(100*ms, 4), base, 4.8},
		{"gradient2: beyond, falls, and no room for a queue", Gradient2, 100, window(150*ms, 100), base, 96},
		{"gradient2: never by more than half", Gradient2, 100, window(time.Hour, 100), base, 90},
		{"gradient2: some drops, does not grow", Gradient2, 100, dropping(window(100*ms, 100), 1), base, 100},
		{"gradient2: many drops, falls", Gradient2, 100, dropping(window(100*ms, 100), 10), base, 95},
		{"gradient2: drops alone", Gradient2, 100, sample{dropped: 30, most: 100}, base, 90},
		{"vegas: few queue", Vegas, 100, window(102*ms, 100), base, 112},
		{"vegas: some queue", Vegas, 100, window(104*ms, 100), base, 102},
		{"vegas: as many as should", Vegas, 100, window(108*ms, 100), base, 100},
		{"vegas: too many", Vegas, 100, window(120*ms, 100), base, 98},
		{"vegas: quicker than known", Vegas, 100, window(50*ms, 100), base, 112},
		{"vegas: some drops", Vegas, 100, dropping(window(100*ms, 100), 1), base, 100},
		{"vegas: many drops", Vegas, 100, dropping(window(100*ms, 100), 10), base, 98},
		{"vegas: nothing known", Vegas, 100, window(100*ms, 100), 0, 100},
		{"aimd: up", AIMD, 100, window(time.Second, 100), base, 101},
		{"aimd: unhealthy", AIMD, 100, window(time.Second+1, 100), base, 90},
		{"aimd: some drops", AIMD, 100, dropping(window(100*ms, 100), 1), base, 100},
		{"aimd: many drops", AIMD, 100, dropping(window(100*ms, 100), 10), base, 90},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := algorithms[test.a](&c, test.limit, test.w, test.base); math.Abs(got-test.want) > 1e-9 {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

// learned is a baseline after the warm-up.
func learned(c *Config, latency time.Duration, running int) (b baseline) {
	for range 2 * warmUp {
		b = b.learn(c, window(latency, running), false)
	}
	return b
}

func TestBaseline(t *testing.T) {
	c := prepared(t, Config{})
	feed := func(b baseline, n int, latency time.Duration, running int, frozen bool) baseline {
		for range n {
			b = b.learn(&c, window(latency, running), frozen)
		}
		return b
	}
	near := func(t *testing.T, b baseline, want time.Duration) {
		t.Helper()
		if math.Abs(b.value-float64(want)) > 0.05*float64(want) {
			t.Errorf("%v, want %v", time.Duration(b.value), want)
		}
	}
	t.Run("the warm-up's mean", func(t *testing.T) {
		b := feed(feed(baseline{}, 5, 100*ms, 10, true), 5, 200*ms, 10, true)
		near(t, b, 150*ms)
	})
	t.Run("follows within some tens of seconds", func(t *testing.T) {
		b := feed(learned(&c, 100*ms, 10), 100, 115*ms, 10, false)
		near(t, b, 109*ms)
		near(t, feed(b, 400, 115*ms, 10, false), 115*ms)
	})
	t.Run("frozen", func(t *testing.T) { near(t, feed(learned(&c, 100*ms, 30), 10000, 150*ms, 45, true), 100*ms) })
	t.Run("quicker than known, even when frozen", func(t *testing.T) {
		b := feed(learned(&c, 100*ms, 30), 50, 60*ms, 30, true)
		if b.value < float64(60*ms) || b.value > float64(60*ms)/quicker {
			t.Errorf("%v", time.Duration(b.value))
		}
	})
	t.Run("a little quicker is chance", func(t *testing.T) {
		near(t, feed(learned(&c, 100*ms, 30), 50, 90*ms, 30, true), 100*ms)
	})
	t.Run("fewer and quicker: they queue", func(t *testing.T) {
		b := feed(learned(&c, 100*ms, 30), 30, 240*ms, 36, true)
		near(t, feed(b, 60, 140*ms, 21, true), 100*ms)
	})
	t.Run("fewer and no quicker: slower for good", func(t *testing.T) {
		b := feed(learned(&c, 100*ms, 30), 30, 240*ms, 36, true)
		room := 0.0
		for range 60 {
			b = b.learn(&c, window(200*ms, 21), true)
			room = max(room, b.room)
		}
		near(t, b, 200*ms)
		if room < 28 || room > 36 { // 36 calls at 240 ms are 30 at 200
			t.Errorf("room for %v", room)
		}
	})
	t.Run("MaxHealthyLatency", func(t *testing.T) {
		c := prepared(t, Config{MaxHealthyLatency: 50 * ms})
		near(t, learned(&c, 100*ms, 10), 50*ms)
	})
	t.Run("no latencies, nothing learned", func(t *testing.T) {
		b := learned(&c, 100*ms, 10)
		if got := b.learn(&c, sample{span: time.Hour, dropped: 100}, false); got != b {
			t.Errorf("%+v, was %+v", got, b)
		}
	})
}

func TestControl(t *testing.T) {
	c := prepared(t, Config{})
	t.Run("a limit that nobody uses stays", func(t *testing.T) {
		m := control{limit: 100, base: learned(&c, 100*ms, 50)}
		for _, latency := range []time.Duration{100 * ms, 500 * ms} {
			if got := m.next(&c, window(latency, 49), 0, 0); got.limit != 100 {
				t.Errorf("limit %v", got.limit)
			}
		}
	})
	t.Run("bounded by what was in flight of late, but not below InitialLimit", func(t *testing.T) {
		m := control{limit: 900, base: learned(&c, 100*ms, 50)}
		if m = m.next(&c, window(100*ms, 100), 0, 0); m.limit != 300 {
			t.Errorf("limit %v", m.limit)
		}
		for range 1000 {
			m = m.next(&c, window(100*ms, 2), 0, 0)
		}
		if m.limit != 20 {
			t.Errorf("limit %v", m.limit)
		}
	})
	t.Run("no headroom asked for", func(t *testing.T) {
		c := prepared(t, Config{Headroom: core.None})
		m := control{limit: 900, base: learned(&c, 100*ms, 50)}
		if m = m.next(&c, window(100*ms, 100), 0, 0); m.limit != 900 {
			t.Errorf("limit %v", m.limit)
		}
	})
	t.Run("held to the bounds", func(t *testing.T) {
		c := prepared(t, Config{MinLimit: 10, MaxLimit: 30})
		m := begin(&c)
		for range 200 {
			m = m.next(&c, window(100*ms, int(m.limit)), 0, 0)
		}
		if m.limit != 30 {
			t.Errorf("limit %v", m.limit)
		}
		for range 200 {
			m = m.next(&c, dropping(sample{span: 100 * ms, most: int(m.limit)}, 20), 0, 0)
		}
		if m.limit != 10 {
			t.Errorf("limit %v", m.limit)
		}
	})
	t.Run("probes only under lasting overload", func(t *testing.T) {
		m := control{limit: 36, base: learned(&c, 100*ms, 30)}
		now, probed := core.Time(0), 0.0
		for range 1200 { // two minutes
			now = now.Add(100 * ms)
			running := int(m.effective(&c))
			m = m.next(&c, holding(window(max(100*ms, 100*ms*time.Duration(running)/30), running)), now, 0.5)
			if m.probing != 0 {
				probed++
				if e := m.effective(&c); e > 0.6*m.limit {
					t.Fatalf("limit %v, %v during the probe", m.limit, e)
				}
			}
		}
		if probed < 3*probeLen || probed > 6*probeLen {
			t.Errorf("%v windows of probes in two minutes", probed)
		}
		if m.base.value != float64(100*ms) {
			t.Errorf("baseline %v", time.Duration(m.base.value))
		}
		m = m.next(&c, window(100*ms, 10), now, 0.5)
		if m.next(&c, window(100*ms, 10), now, 0.5).probed != 0 {
			t.Error("still waits for the next probe")
		}
	})
	t.Run("a fall that was a mistake is undone", func(t *testing.T) {
		m := control{limit: 36, base: learned(&c, 100*ms, 30)} // and now each call takes 200 ms
		for i := range 100 {
			running := int(m.effective(&c))
			latency := max(200*ms, 200*ms*time.Duration(running)/30)
			m = m.next(&c, holding(window(latency, running)), core.Time(i)*core.Time(100*ms), 0.5)
			if m.base.value > float64(150*ms) {
				if m.limit < 28 || m.limit > 36 {
					t.Errorf("limit %v", m.limit)
				}
				return
			}
			if m.limit < 18 {
				t.Fatalf("limit %v, before it is known whether calls queue", m.limit)
			}
		}
		t.Error("never noticed")
	})
	t.Run("no probe asked for", func(t *testing.T) {
		c := prepared(t, Config{Probe: core.None})
		m := control{limit: 36, base: learned(&c, 100*ms, 30)}
		for i := range 1200 {
			if m = m.next(&c, holding(window(120*ms, 36)), core.Time(i)*core.Time(100*ms), 0.5); m.probing != 0 {
				t.Fatal("probes")
			}
		}
	})
}

// TestWindows walks the rows W1 and W2 of doc.go.
func TestWindows(t *testing.T) {
	c := prepared(t, Config{})
	some := func(n uint64) intake {
		return intake{tally: tally{count: n, logs: n * logOf(100*ms), running: 20 * n, most: 20}}
	}
	start := core.Time(-5 * time.Hour)
	t.Run("W1", func(t *testing.T) {
		m := first(&c)
		m.tick(&c, intake{}, start, 0)
		m.tick(&c, some(19), start.Add(100*ms), 0)
		if m.base.windows != 0 || m.due != start.Add(110*ms) {
			t.Errorf("%d windows, due %v", m.base.windows, m.due.Sub(start))
		}
		m.tick(&c, some(1), start.Add(110*ms), 0)
		if m.base.windows != 1 || m.opened != start.Add(110*ms) || m.sum != (tally{}) {
			t.Errorf("%d windows, opened %v, %+v", m.base.windows, m.opened.Sub(start), m.sum)
		}
	})
	t.Run("W2", func(t *testing.T) {
		m := first(&c)
		m.thin = 7
		m.tick(&c, intake{}, start, 0)
		m.tick(&c, some(19), start.Add(999*ms), 0)
		if m.sum.count != 19 {
			t.Fatalf("%+v", m.sum)
		}
		m.tick(&c, intake{}, start.Add(1000*ms), 0)
		if m.base.windows != 0 || m.sum != (tally{}) || m.thin != 0 {
			t.Errorf("%d windows, %+v, thin %d", m.base.windows, m.sum, m.thin)
		}
	})
	t.Run("as long as calls take", func(t *testing.T) {
		m := first(&c)
		m.base.value = float64(3 * time.Second)
		m.tick(&c, intake{}, start, 0)
		m.tick(&c, some(500), start.Add(2900*ms), 0)
		if m.opened != start {
			t.Error("closed early")
		}
	})
	t.Run("of many calls a share is timed, and of few all", func(t *testing.T) {
		m := first(&c)
		m.tick(&c, intake{}, start, 0)
		now := start
		for _, test := range []struct{ n, thin uint64 }{
			{512, 0}, {513, 1}, {5000, 31}, {1 << 30, 63}, {128, 63}, {127, 31}, {20, 15},
		} {
			now = now.Add(time.Second)
			if m.tick(&c, some(test.n), now, 0); m.thin != test.thin {
				t.Errorf("%d calls: thin %d, want %d", test.n, m.thin, test.thin)
			}
		}
	})
	t.Run("time runs backwards", func(t *testing.T) {
		m := first(&c)
		m.tick(&c, intake{}, start, 0)
		m.tick(&c, some(500), start.Add(-time.Hour), 0)
		check(t, m, c)
		if m.opened != start || m.due != start.Add(100*ms) {
			t.Errorf("opened %v, due %v", m.opened, m.due)
		}
	})
}

func TestLogOf(t *testing.T) {
	for d := time.Duration(1); d < 100*time.Hour; d += 1 + d/97 {
		if got, want := float64(logOf(d))/logUnit, math.Log2(float64(d)); math.Abs(got-want) > 0.01 {
			t.Fatalf("%v: %v, want %v", d, got, want)
		}
	}
	if logOf(0) != 0 || logOf(-5) != 0 {
		t.Error("of nothing")
	}
	w := tally{count: 3, logs: 3 * logOf(50*ms)}.sample(time.Second, false)
	if math.Abs(w.latency/float64(50*ms)-1) > 0.01 {
		t.Errorf("the mean of equal latencies is %v", time.Duration(w.latency))
	}
	if w := (tally{count: 1, logs: logOf(1)}).sample(time.Second, false); w.latency != quick {
		t.Errorf("quick calls: %v", w.latency)
	}
}

func TestCaps(t *testing.T) {
	c := prepared(t, Config{InitialLimit: 100})
	m := first(&c)
	all := func(a, b, cc, d int64) [ranks]int64 { return [ranks]int64{a, b, cc, d} }
	heard := func(ranks uint32, at core.Time) { m.tick(&c, intake{ranks: ranks}, at, 0) }
	want := func(at core.Time, w [ranks]int64) {
		t.Helper()
		if got := m.caps(&c, at); got != w {
			t.Errorf("%v, want %v", got, w)
		}
	}
	want(5, all(100, 100, 100, 100))
	heard(0b1000, 5)
	want(5, all(100, 100, 100, 100)) // nobody is more critical
	heard(0b0010, 10)
	want(10, all(100, 100, 80, 70))
	heard(0b0001, 20)
	want(20, all(100, 90, 80, 70))
	want(20+core.Time(reserving), all(100, 100, 100, 100))
	m.limit = 2
	want(20, all(2, 2, 2, 1))
	m.limit, m.probing = 100, 99
	want(20, all(100, 54, 48, 42))
}

// TestAppoint: rejected calls are told to come back one after the other, at the pace of a twentieth of what the slots carry.
func TestAppoint(t *testing.T) {
	c := prepared(t, Config{})
	m := first(&c)
	if p := m.pace(&c); p != 0 {
		t.Errorf("before anything is known the pace is %v", p)
	}
	m.limit, m.base.now.latency = 40.9, float64(100*ms) // 400 calls a second
	if p := m.pace(&c); p != 50*ms {
		t.Errorf("pace %v", p)
	}
	for _, test := range []struct {
		name     string
		next     core.Time
		pace     time.Duration
		at, then time.Duration // from now
	}{
		{"nobody before", longAgo, 50 * ms, time.Second, 1050 * ms},
		{"the last one long ago", 7, 50 * ms, time.Second, 1050 * ms},
		{"one just before", 10 + core.Time(1050*ms), 50 * ms, 1050 * ms, 1100 * ms},
		{"many before", 10 + core.Time(time.Hour), 50 * ms, time.Minute, time.Minute + 50*ms},
		{"no pace", longAgo, 0, time.Second, time.Second},
		{"a pace of hours", longAgo, 9 * time.Hour, time.Second, 9*time.Hour + time.Second},
	} {
		const now = 10
		at, then := appoint(test.next, now, time.Second, test.pace)
		if at.Sub(now) != test.at || then.Sub(now) != test.then {
			t.Errorf("%s: at %v, then %v, want %v and %v", test.name, at.Sub(now), then.Sub(now), test.at, test.then)
		}
	}
}

func TestLine(t *testing.T) {
	c := prepared(t, Config{})
	var l line
	at := core.Time(-1000)
	step := func(d time.Duration, flooded, last bool, wait time.Duration) {
		t.Helper()
		at = at.Add(d)
		var got time.Duration
		if l, got = l.join(&c, at, flooded); got != wait || l.last != last || !l.busy {
			t.Errorf("at %v: %v, %+v", at, got, l)
		}
	}
	step(0, true, false, 100*ms)
	step(99*ms, true, false, 100*ms)
	step(ms, false, false, 100*ms) // old, but not for want of capacity
	step(0, true, true, 5*ms)
	step(time.Hour, true, true, 5*ms)
	l = line{} // it has become empty
	step(0, true, false, 100*ms)
	step(-time.Hour, true, false, 100*ms)
}
