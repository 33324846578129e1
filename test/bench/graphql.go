package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// ask sends a document and decodes the data of its answer.
func ask[T any](ctx context.Context, address, document string, variables object) (data T, err error) {
	body, err := json.Marshal(object{"query": document, "variables": variables})
	if err != nil {
		return data, err
	}

	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/graphql", bytes.NewReader(body))
	if err != nil {
		return data, err
	}

	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return data, err
	}
	defer response.Body.Close()

	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return data, err
	}

	var answer struct {
		Data   T
		Errors json.RawMessage
	}

	if err := json.Unmarshal(raw, &answer); err != nil {
		return data, fmt.Errorf("%s: %.300s: %w", response.Status, raw, err)
	}

	if len(answer.Errors) > 0 {
		return data, fmt.Errorf("refused: %.500s", answer.Errors)
	}

	return answer.Data, nil
}
