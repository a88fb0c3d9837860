package adaptive

import (
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// FuzzMachine drives a machine with ticks that hold anything, at times that go anywhere, and holds its invariants.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
	f.Add([]byte("a limit that follows the latency of calls must not follow it anywhere"))
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 128, 128, 128, 128, 128, 128, 128})
	f.Fuzz(func(t *testing.T, ops []byte) {
		next := func() (b uint64) {
			if len(ops) > 0 {
				b, ops = uint64(ops[0]), ops[1:]
			}
			return b
		}
		c := Config{
			Algorithm: Algorithm(next() % 3), MinLimit: 1 + int(next()), MaxLimit: 300 + int(next()<<8),
			InitialLimit: 1 + int(next()<<4), Probe: time.Duration(next()%2) * time.Second,
		}
		if next()%2 == 0 {
			c.MaxHealthyLatency = time.Millisecond << (next() % 20)
		}
		full, err := prepare(c)
		if err != nil {
			t.Fatal(err)
		}
		m := first(&full)
		now := core.Time(next()) << (next() % 56)
		var admitted uint64
		for len(ops) > 0 {
			step := time.Duration(next()+1) << (next() % 34)
			if next()%8 == 0 {
				step = -step
			}
			now = now.Add(step)
			n, latency := next()*next(), time.Duration(next()+1)<<(next()%40)
			in := intake{
				tally: tally{
					count: n, logs: n * logOf(latency), running: n * next(), dropped: next() % 32, most: int64(next() << (next() % 9)),
				},
				refused:  next()%2 == 0,
				admitted: admitted + next(),
				ranks:    uint32(next() % 16),
			}
			admitted = in.admitted
			if m.pressed {
				in.arrived = new([levels]uint32)
				for range next() {
					in.arrived[next()] += uint32(next())
				}
			} else if in.refused {
				m.press(now, admitted)
			}
			m.tick(&full, in, now, float64(next())/256)
			check(t, m, full)
			if m.pressed && m.shed.over() {
				m.pressed = false
			}
			if next()%16 == 0 {
				full.MaxLimit = max(full.MinLimit, int(next())+1)
				m.control = m.clamped(&full)
				check(t, m, full)
			}
		}
	})
}
