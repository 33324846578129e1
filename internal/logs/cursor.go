package logs

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"

	"github.com/shiplog/shiplog/internal/fault"
)

const cursorVersion = 1

// Cursors makes the cursors of one deployment's log.
type Cursors struct{ head [9]byte }

// CursorsOf makes the cursors of the deployment.
func CursorsOf(deployment string) Cursors {
	// A cursor names its deployment by 64 bits: enough to tell that it is
	// from elsewhere, which is a mistake and no attack.
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(deployment)) // a hash takes everything

	c := Cursors{head: [9]byte{cursorVersion}}
	binary.BigEndian.PutUint64(c.head[1:], sum.Sum64())

	return c
}

// Append appends the cursor of the place after seq.
func (c Cursors) Append(dst []byte, seq int64) []byte {
	var raw [9 + binary.MaxVarintLen64]byte

	return base64.RawURLEncoding.AppendEncode(dst, binary.AppendUvarint(append(raw[:0], c.head[:]...), uint64(seq)))
}

// Encode gives the cursor of the place after seq.
func (c Cursors) Encode(seq int64) string { return string(c.Append(make([]byte, 0, 24), seq)) }

// EncodeCursor gives the cursor of the place after seq of the deployment's log.
func EncodeCursor(deployment string, seq int64) string { return CursorsOf(deployment).Encode(seq) }

// DecodeCursor gives the seq of a cursor of the deployment's log.
// Errors, with the field: INVALID_INPUT when it is not a cursor, STALE when it
// is one of another log.
func DecodeCursor(field, cursor, deployment string) (int64, error) {
	malformed := fault.Invalid(field, "not a cursor of a log; want one that a page or a batch gave")

	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < 10 || raw[0] != cursorVersion {
		return 0, malformed
	}

	seq, n := binary.Uvarint(raw[9:])
	if n != len(raw)-9 || seq > 1<<62 {
		return 0, malformed
	}

	if [9]byte(raw[:9]) != CursorsOf(deployment).head {
		return 0, fault.New(fault.Stale, "the cursor is of another log").At(field)
	}

	return int64(seq), nil
}
