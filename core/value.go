package core

import (
	"errors"
	"strconv"
)

// None switches off a rule whose field is a Count or a Ratio. In a file it is written none. Zero never means off: it
// means the documented default.
const None = -1

// Count is a whole number or None.
type Count int64

// String returns the number, or none.
func (c Count) String() string {
	if c == None {
		return "none"
	}
	return strconv.FormatInt(int64(c), 10)
}

// MarshalText returns what String returns.
func (c Count) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText accepts a decimal whole number of at least 0, or none.
func (c *Count) UnmarshalText(text []byte) error {
	if string(text) == "none" {
		*c = None
		return nil
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 {
		return errors.New("write a whole number or none")
	}
	*c = Count(n)
	return nil
}

// Ratio is a share of calls from 0 to 1, or None.
type Ratio float64

// String returns the number, or none.
func (r Ratio) String() string {
	if r == None {
		return "none"
	}
	return strconv.FormatFloat(float64(r), 'g', -1, 64)
}

// MarshalText returns what String returns.
func (r Ratio) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText accepts a decimal number from 0 to 1, or none.
func (r *Ratio) UnmarshalText(text []byte) error {
	if string(text) == "none" {
		*r = None
		return nil
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(f >= 0 && f <= 1) {
		return errors.New("write a number from 0 to 1, or none")
	}
	*r = Ratio(f)
	return nil
}
