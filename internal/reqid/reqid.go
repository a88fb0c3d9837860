// Package reqid makes and judges request ids, for the adapters.
package reqid

import (
	"crypto/rand"
	"encoding/hex"
)

// maxLen bounds what strangers put into our logs.
const maxLen = 128

// New returns 128 random bits in 32 hexadecimal digits, the form of a W3C trace id. The bits come from crypto/rand: ids
// end up in places where somebody relies on their not being guessable.
func New() string {
	var bits [16]byte
	_, _ = rand.Read(bits[:]) // never fails: it crashes the program instead
	var digits [32]byte
	hex.Encode(digits[:], bits[:])
	return string(digits[:])
}

// Sane reports whether id may be taken over from a peer: 1 to 128 bytes of A-Z a-z 0-9 . _ ~ + / = : -.
func Sane(id string) bool {
	if id == "" || len(id) > maxLen {
		return false
	}
	for i := range len(id) {
		if !sane(id[i]) {
			return false
		}
	}
	return true
}

// sane holds for what no log format, shell or terminal gives a meaning that could surprise.
func sane(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '.', '_', '~', '+', '/', '=', ':', '-':
		return true
	}
	return false
}
