package transport

import (
	"mime"
	"strconv"
	"strings"
)

// Media types of answers.
const (
	typeJSON     = "application/json"
	typeResponse = "application/graphql-response+json"
	typeEvents   = "text/event-stream"
)

// accepted is what the Accept header of a request asks for.
type accepted struct {
	// plain is the preferred media type of a single answer, "" for none.
	plain string
	// events says that an event stream will do, onlyEvents that it is
	// preferred to a single answer.
	events, onlyEvents bool
}

// negotiate reads the Accept header. Without one, and for */*, a client that
// is older than application/graphql-response+json is assumed. Of equal
// preferences the first written wins.
func negotiate(header []string) accepted {
	list := strings.TrimSpace(strings.Join(header, ","))
	if list == "" {
		return accepted{plain: typeJSON}
	}

	var (
		found         accepted
		plain, events float64
	)

	for item := range strings.SplitSeq(list, ",") {
		name, quality, ok := acceptItem(item)
		if !ok {
			continue
		}

		switch name {
		case typeResponse:
		case "*/*", "application/*", typeJSON:
			name = typeJSON
		case typeEvents, "text/*":
			events = max(events, quality)

			continue
		default:
			continue
		}

		if quality > plain {
			plain, found.plain = quality, name
		}
	}

	found.events = events > 0
	found.onlyEvents = events > plain

	return found
}

// acceptItem reads one media range, false for one that is malformed, excluded
// by q=0, or in another charset than UTF-8.
func acceptItem(item string) (name string, quality float64, ok bool) {
	name, params, err := mime.ParseMediaType(item)
	if err != nil {
		return "", 0, false
	}

	if charset, given := params["charset"]; given && !isUTF8(charset) {
		return "", 0, false
	}

	quality = 1
	if q, given := params["q"]; given {
		if quality, err = strconv.ParseFloat(q, 64); err != nil || quality > 1 {
			return "", 0, false
		}
	}

	return name, quality, quality > 0
}

func isUTF8(charset string) bool {
	return strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}
