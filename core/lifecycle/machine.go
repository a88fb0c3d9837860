package lifecycle

// State is where in its life a process is.
type State uint8

// The states.
const (
	Starting State = iota // not ready yet, or not any more for a while
	Ready                 // takes work
	Leaving               // takes work, and says that it is not ready
	Draining              // ends the work it has
	Stopped
	states
)

var stateNames = [states]string{"starting", "ready", "leaving", "draining", "stopped"}

// String returns the lower-case name used in logs and metrics.
func (s State) String() string {
	if s < states {
		return stateNames[s]
	}
	return "unknown"
}

type event uint8

const (
	ready event = iota
	unready
	shutdown
	waited
	ended
	events
)

// next is the table of package doc.
func (s State) next(e event) State {
	switch {
	case s == Starting && e == ready:
		return Ready
	case s == Ready && e == unready:
		return Starting
	case (s == Starting || s == Ready) && e == shutdown:
		return Leaving
	case s == Leaving && e == waited:
		return Draining
	case s == Draining && e == ended:
		return Stopped
	default:
		return s
	}
}
