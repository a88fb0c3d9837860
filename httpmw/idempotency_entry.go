package httpmw

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"net/http"
	"slices"
)

// entry is what the store knows of a key.
type entry struct {
	state       entryState
	owner       [16]byte // of the request that took it
	fingerprint [sha256.Size]byte
	status      int // from here on: of a reply that was kept
	header      http.Header
	body        []byte
}

type entryState uint8

const (
	inProgress entryState = iota
	notKept
	kept
	entryStates
)

// entryVersion is the first byte of an entry, for stores that outlive the program.
const entryVersion = 1

// encode gives an entry the form it has in a store.
func (e *entry) encode() []byte {
	b := make([]byte, 0, 64+len(e.body))
	b = append(b, entryVersion, byte(e.state))
	b = append(append(b, e.owner[:]...), e.fingerprint[:]...)
	if e.state != kept {
		return b
	}
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	b = binary.AppendUvarint(b, uint64(e.status))
	b = binary.AppendUvarint(b, uint64(len(e.header)))
	for _, name := range slices.Sorted(maps.Keys(e.header)) {
		text(name)
		b = binary.AppendUvarint(b, uint64(len(e.header[name])))
		for _, value := range e.header[name] {
			text(value)
		}
	}
	return append(b, e.body...)
}

// decodeEntry reads an entry. It shares the body with b.
func decodeEntry(b []byte) (e entry, ok bool) {
	d := entryDecoder{rest: b}
	version, state := d.bytes(1), d.bytes(1)
	copy(e.owner[:], d.bytes(len(e.owner)))
	copy(e.fingerprint[:], d.bytes(len(e.fingerprint)))
	if d.bad || version[0] != entryVersion || state[0] >= byte(entryStates) {
		return entry{}, false
	}
	if e.state = entryState(state[0]); e.state != kept {
		return e, len(d.rest) == 0
	}
	e.status = d.number(999)
	fields := d.number(len(b))
	e.header = http.Header{}
	for range fields {
		name := string(d.bytes(d.number(len(b))))
		values := []string{}
		for n := d.number(len(b)); n > 0 && !d.bad; n-- {
			values = append(values, string(d.bytes(d.number(len(b)))))
		}
		if d.bad {
			break
		}
		e.header[name] = values
	}
	e.body = d.rest
	return e, !d.bad && e.status >= 200
}

// entryDecoder takes an entry apart. Once something is bad, everything is empty.
type entryDecoder struct {
	rest []byte
	bad  bool
}

func (d *entryDecoder) bytes(n int) []byte {
	if d.bad || n > len(d.rest) {
		d.bad = true
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *entryDecoder) number(most int) int {
	v, n := binary.Uvarint(d.rest)
	if d.bad || n <= 0 || v > uint64(most) {
		d.bad = true
		return 0
	}
	d.rest = d.rest[n:]
	return int(v)
}
