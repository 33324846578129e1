// Package scalar writes and reads the contract's own scalars.
package scalar

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// TimeForm is RFC 3339 in UTC with microseconds.
const TimeForm = "2006-01-02T15:04:05.999999Z"

// MarshalTime writes a moment.
func MarshalTime(t time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		// An answer that cannot be written has nobody to be told.
		_, _ = io.WriteString(w, strconv.Quote(t.UTC().Format(TimeForm)))
	})
}

// UnmarshalTime reads a moment in RFC 3339.
func UnmarshalTime(v any) (time.Time, error) {
	s, ok := v.(string)
	if !ok {
		return time.Time{}, errors.New("a time is a string in RFC 3339, such as 2026-03-01T12:00:00Z")
	}

	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, errors.New("a time is a string in RFC 3339, such as 2026-03-01T12:00:00Z")
	}

	// No database takes more digits.
	if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, errors.New("a time is of the years 1 to 9999 in UTC")
	}

	return t.Truncate(time.Microsecond), nil
}

// MarshalLabels writes labels.
func MarshalLabels(labels map[string]string) graphql.Marshaler {
	if labels == nil {
		labels = map[string]string{}
	}

	return MarshalJSON(labels)
}

// UnmarshalLabels reads an object of strings.
func UnmarshalLabels(v any) (map[string]string, error) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("labels are an object of strings, such as {\"team\": \"payments\"}")
	}

	labels := make(map[string]string, len(object))

	for key, v := range object {
		if labels[key], ok = v.(string); !ok {
			return nil, fmt.Errorf("labels are an object of strings: %q is none", key)
		}
	}

	return labels, nil
}

// MarshalJSON writes any value as it is.
func MarshalJSON(v any) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		raw, err := json.Marshal(v)
		if err != nil {
			raw = []byte("null")
		}

		// An answer that cannot be written has nobody to be told.
		_, _ = w.Write(raw)
	})
}

// UnmarshalJSON takes any value.
func UnmarshalJSON(v any) (any, error) { return v, nil }

// MarshalLong writes a whole number.
func MarshalLong(n int64) graphql.Marshaler { return graphql.MarshalInt64(n) }

// UnmarshalLong reads a whole number of up to 53 bits.
func UnmarshalLong(v any) (int64, error) {
	n, err := graphql.UnmarshalInt64(v)
	if err != nil || n > 1<<53 || n < -1<<53 || math.Abs(float64(n)) > 1<<53 {
		return 0, errors.New("a Long is a whole number of up to 53 bits")
	}

	return n, nil
}
