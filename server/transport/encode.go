package transport

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// AppendResponse appends the JSON of one answer to dst: errors first, no data
// key when nothing was executed, no extensions when there are none. Whoever
// encodes payloads to be shared uses it, so that they are the same bytes as
// those of an operation that is executed for one viewer.
func AppendResponse(dst []byte, resp *graphql.Response) ([]byte, error) {
	var err error

	start := len(dst)

	dst = append(dst, '{')

	if len(resp.Errors) > 0 {
		dst = append(dst, `"errors":`...)
		if dst, err = appendJSON(dst, resp.Errors); err != nil {
			return dst[:start], fmt.Errorf("encode errors: %w", err)
		}

		dst = append(dst, ',')
	}

	if resp.Data != nil {
		dst = append(dst, `"data":`...)
		dst = append(dst, resp.Data...)
		dst = append(dst, ',')
	}

	if len(resp.Extensions) > 0 {
		dst = append(dst, `"extensions":`...)
		if dst, err = appendJSON(dst, resp.Extensions); err != nil {
			return dst[:start], fmt.Errorf("encode extensions: %w", err)
		}

		dst = append(dst, ',')
	}

	if dst[len(dst)-1] == ',' {
		dst = dst[:len(dst)-1]
	}

	return append(dst, '}'), nil
}

// appendErrors appends the bare list, the payload of an `error` message.
func appendErrors(dst []byte, errs gqlerror.List) ([]byte, error) { return appendJSON(dst, errs) }

func appendJSON(dst []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(dst)

	encoder := json.NewEncoder(buf)
	encoder.SetEscapeHTML(false)

	if err := encoder.Encode(v); err != nil {
		return dst, err //nolint:wrapcheck // the callers say what was encoded
	}

	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
