package core

import "errors"

// Mode is how a policy acts on its decisions. Package doc has the table. The zero Mode is Enforce.
type Mode uint8

// The modes. ForcedOpen and ForcedClosed are for breakers alone.
const (
	Enforce Mode = iota
	Shadow
	Disabled
	ForcedOpen
	ForcedClosed
)

var modeNames = [...]string{"enforce", "shadow", "disabled", "forced-open", "forced-closed"}

// String returns the name used in configuration, logs and metrics.
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return "unknown"
}

// MarshalText returns the name.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText accepts the names that String returns, nothing else.
func (m *Mode) UnmarshalText(text []byte) error {
	for i, name := range modeNames {
		if name == string(text) {
			*m = Mode(i)
			return nil
		}
	}
	return errors.New("write enforce, shadow, disabled, forced-open or forced-closed")
}
