package lifecycle

import "testing"

// The table of package doc; what is not in it changes nothing.
func TestTable(t *testing.T) {
	rows := map[State]map[event]State{
		Starting: {ready: Ready, shutdown: Leaving},
		Ready:    {unready: Starting, shutdown: Leaving},
		Leaving:  {waited: Draining},
		Draining: {ended: Stopped},
	}
	for s := range states {
		for e := range events {
			want, ok := rows[s][e]
			if !ok {
				want = s
			}
			if got := s.next(e); got != want {
				t.Errorf("%v, event %d: %v, want %v", s, e, got, want)
			}
		}
	}
}

// Whatever happens, in whatever order: nobody comes back from leaving.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2, 3, 4, 0, 1, 2})
	f.Fuzz(func(t *testing.T, ops []byte) {
		s := Starting
		for _, op := range ops {
			next := s.next(event(op) % events)
			if s >= Leaving && next < s || next > s+2 || next >= states {
				t.Fatalf("from %v to %v", s, next)
			}
			s = next
		}
	})
}
