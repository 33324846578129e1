package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"

	"github.com/shiplog/shiplog/internal/fault"
)

// decodeParams reads the JSON object of a GraphQL request. Errors name the
// parameter and what it should be, and never repeat what was sent. Unknown
// keys are ignored, as the specification asks.
func decodeParams(body []byte) (*graphql.RawParams, error) {
	if !utf8.Valid(body) {
		return nil, fault.New(fault.InvalidInput, "the request is not UTF-8")
	}

	body = bytes.TrimSpace(body)

	switch {
	case len(body) == 0:
		return nil, fault.New(fault.InvalidInput, "the request has no body")
	case body[0] == '[':
		return nil, fault.New(fault.InvalidInput, "batches are not supported: send one request at a time")
	}

	var keys map[string]json.RawMessage
	if err := json.Unmarshal(body, &keys); err != nil || keys == nil {
		return nil, fault.New(fault.InvalidInput, "the request is not a JSON object")
	}

	query, ok := keys["query"]
	if !ok {
		return nil, fault.Invalid("query", "query is missing")
	}

	params := &graphql.RawParams{}

	var err error
	if params.Query, err = decodeString("query", query); err != nil {
		return nil, err
	}

	if isNull(query) {
		return nil, fault.Invalid("query", "query must be a string")
	}

	if params.OperationName, err = decodeString("operationName", keys["operationName"]); err != nil {
		return nil, err
	}

	if params.Variables, err = decodeObject("variables", keys["variables"]); err != nil {
		return nil, err
	}

	if params.Extensions, err = decodeObject("extensions", keys["extensions"]); err != nil {
		return nil, err
	}

	return params, nil
}

// queryParams reads a GraphQL request from the query of a URL.
func queryParams(raw string) (*graphql.RawParams, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fault.New(fault.InvalidInput, "the query of the URL is not well formed")
	}

	for _, name := range [...]string{"query", "operationName", "variables", "extensions"} {
		if len(values[name]) > 1 {
			return nil, fault.Invalid(name, "%s is given more than once", name)
		}

		if !utf8.ValidString(values.Get(name)) {
			return nil, fault.Invalid(name, "%s is not UTF-8", name)
		}
	}

	if values.Get("query") == "" {
		return nil, fault.Invalid("query", "query is missing")
	}

	params := &graphql.RawParams{Query: values.Get("query"), OperationName: values.Get("operationName")}

	if params.Variables, err = decodeObject("variables", []byte(values.Get("variables"))); err != nil {
		return nil, err
	}

	if params.Extensions, err = decodeObject("extensions", []byte(values.Get("extensions"))); err != nil {
		return nil, err
	}

	return params, nil
}

func isNull(raw []byte) bool { return string(raw) == "null" }

// decodeString reads a string; absent and null are "".
func decodeString(name string, raw json.RawMessage) (string, error) {
	if len(raw) == 0 || isNull(raw) {
		return "", nil
	}

	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", fault.Invalid(name, "%s must be a string", name)
	}

	return s, nil
}

// decodeObject reads an object; absent and null are nil.
func decodeObject(name string, raw []byte) (map[string]any, error) {
	if len(raw) == 0 || isNull(raw) {
		return nil, nil //nolint:nilnil // no object is a valid value of the parameter
	}

	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()

	var object map[string]any
	if err := decoder.Decode(&object); err != nil || object == nil {
		return nil, fault.Invalid(name, "%s must be a JSON object", name)
	}

	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fault.Invalid(name, "%s must be one JSON object", name)
	}

	return object, nil
}

// plainNumbers replaces JSON numbers by int64 and float64, in place, because
// a json.Number is a string to gqlparser and would pass as one. What neither
// holds exactly enough stays, for the type to refuse.
func plainNumbers(object map[string]any) map[string]any {
	for key, value := range object {
		object[key] = plainNumber(value)
	}

	return object
}

func plainNumber(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}

		if f, err := v.Float64(); err == nil && !math.IsInf(f, 0) && strings.ContainsAny(v.String(), ".eE") {
			return f
		}

		return v
	case map[string]any:
		return plainNumbers(v)
	case []any:
		for i := range v {
			v[i] = plainNumber(v[i])
		}

		return v
	default:
		return value
	}
}
