package share

import "encoding/json"

// EventID gives the id of a server-sent event: the cursor of the result of a
// subscription that is executed for one viewer, if it was asked for under its
// own name.
func EventID(payload []byte) string {
	var result struct {
		Data map[string]struct {
			Cursor string `json:"cursor"`
		} `json:"data"`
	}

	// What is not of this form has no cursor.
	if json.Unmarshal(payload, &result) != nil || len(result.Data) != 1 {
		return ""
	}

	for _, answer := range result.Data {
		return answer.Cursor
	}

	return ""
}
