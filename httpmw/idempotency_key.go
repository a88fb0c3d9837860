package httpmw

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"
	"net/http"

	"github.com/mw-go/mw/internal/sfv"
)

// headerIdempotencyKey is in canonical form, for direct use of the header map.
const headerIdempotencyKey = "Idempotency-Key"

// parseIdempotencyKey reads the field as a String of RFC 9651, whose parameters mean nothing, or if bare is set as what
// it is: bytes of printable ASCII other than a quote, a comma, a semicolon and a space.
func parseIdempotencyKey(lines []string, longest int, bare bool) (key string, ok bool) {
	if len(lines) == 1 && len(lines[0]) > 2*longest+2 { // with all of it escaped it would still be too long
		return "", false
	}
	var p sfv.Parser
	if it, err := p.Item(lines); err == nil {
		if key, ok = it.Text(); ok {
			return key, key != "" && len(key) <= longest
		}
	}
	if !bare || len(lines) != 1 {
		return "", false
	}
	key = lines[0]
	for i := range len(key) {
		if c := key[i]; c <= ' ' || c > '~' || c == '"' || c == ',' || c == ';' {
			return "", false
		}
	}
	return key, key != "" && len(key) <= longest
}

// writePart adds a part to a hash so that no two lists of parts give the same.
func writePart(h hash.Hash, part string) {
	var size [binary.MaxVarintLen64]byte
	_, _ = h.Write(size[:binary.PutUvarint(size[:], uint64(len(part)))])
	_, _ = io.WriteString(h, part)
}

// storeKey is the name of a key in the store: of one length, and nothing of scope or key can be read from it.
func storeKey(scope, key string) string {
	h := sha256.New()
	writePart(h, scope)
	writePart(h, key)
	return hex.EncodeToString(h.Sum(nil))
}

// fingerprint tells requests apart.
func fingerprint(r *http.Request, body []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, part := range [...]string{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Content-Type")} {
		writePart(h, part)
	}
	_, _ = h.Write(body)
	h.Sum(sum[:0])
	return sum
}

// claim takes the key of a request. It returns what to answer instead, or leaves the reply to replay in a. Both nil
// mean that the request is to run; without an id it has no key.
func (a *attempt) claim(w http.ResponseWriter, r *http.Request, scope string) *refusal {
	m := a.m
	lines := r.Header[headerIdempotencyKey]
	if len(lines) == 0 {
		if m.Required {
			return refuseKeyMissing
		}
		return nil
	}
	key, ok := parseIdempotencyKey(lines, m.MaxKey, m.Bare)
	if !ok {
		return refuseKeyMalformed
	}
	body, err := readBody(w, r, m.MaxBody)
	if err != nil {
		p, errorType := bodyProblem(err)
		return &refusal{p, errorType, ""}
	}
	a.id = storeKey(scope, key)
	a.ctx = context.WithoutCancel(r.Context())
	mine := entry{fingerprint: fingerprint(r, body)}
	_, _ = rand.Read(mine.owner[:]) // never fails
	a.claimed = mine.encode()
	ctx, cancel := context.WithTimeout(r.Context(), m.StoreTimeout)
	defer cancel()
	found, err := m.Store.Claim(ctx, a.id, a.claimed, m.Lease)
	switch {
	case err != nil:
		return refuseNoStore
	case found == nil:
		a.mine = mine
		return nil
	}
	other, ok := decodeEntry(found)
	switch {
	case !ok: // of another version, or damaged: it ends by itself
		return refuseNoStore
	case other.fingerprint != mine.fingerprint:
		return refuseKeyReused
	case other.state == inProgress:
		return refuseInProgress
	case other.state == notKept:
		return refuseNotKept
	}
	a.reply = &other
	return nil
}
