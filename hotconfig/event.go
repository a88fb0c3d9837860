package hotconfig

import (
	"log/slog"
	"time"
)

// Result is how a load or reload ended.
type Result string

const (
	// Loaded: a new version is in force.
	Loaded Result = "loaded"
	// Unchanged: the sources say what they said before.
	Unchanged Result = "unchanged"
	// Rejected: something is wrong, and the version before is still in force.
	Rejected Result = "rejected"
)

// Version names one configuration that is or was in force.
type Version struct {
	Number  uint64    // 1 for the first, one more for each that followed; rejected ones have none
	Hash    string    // SHA-256, in hexadecimal, of all the layers and variables it was made of
	Time    time.Time // when it came into force
	Sources []string  // the layer files and variables it was made of, lowest first
}

// Event tells of one load or reload. The polls that find nothing new, and a watcher's further tries at what has been
// rejected for the same reason before, are no events.
type Event struct {
	Result   Result
	Version  Version // in force afterwards
	Err      error   // why it was rejected, else nil
	At       time.Time
	Duration time.Duration
}

// Stats are counters since Load, and the state of the last reload.
type Stats struct {
	Loaded, Unchanged, Rejected uint64 // events by result
	Panics                      uint64 // in listeners
	// LastSuccess is when the sources were last read and found in order, LastFailure when they last were not.
	LastSuccess, LastFailure time.Time
	// LastError is why the last try was rejected; nil if it was not.
	LastError error
}

// count adds e to the counters.
func (s *Stats) count(e Event) {
	switch e.Result {
	case Loaded:
		s.Loaded++
	case Unchanged:
		s.Unchanged++
	default:
		s.Rejected++
		s.LastFailure = e.At
	}
	if e.Err == nil {
		s.LastSuccess = e.At
	}
	s.LastError = e.Err
}

func (e Event) log(l *slog.Logger) {
	attrs := []any{"version", e.Version.Number, "hash", e.Version.Hash, "duration", e.Duration}
	switch e.Result {
	case Loaded:
		l.Info("configuration loaded", append(attrs, "sources", e.Version.Sources)...)
	case Unchanged:
		l.Debug("configuration unchanged", attrs...)
	default:
		l.Error("configuration rejected, the last good one stays in force", append(attrs, "error", e.Err)...)
	}
}
