//go:build unix

package hostile

import (
	"context"
	"net/http"
	"net/url"
)

// way is how a document gets to the server.
type way func(a *api, document string, variables any) answer

// ways are all of them, each with a connection of its own.
func ways() map[string]way {
	return map[string]way{
		"POST":      func(a *api, document string, variables any) answer { return a.post(document, variables) },
		"GET":       (*api).get,
		"WebSocket": func(a *api, document string, variables any) answer { return a.connect().once("1", document, variables) },
		"event stream": func(a *api, document string, variables any) answer {
			return a.post(document, variables, "Accept", "text/event-stream")
		},
	}
}

// get sends a document by GET.
func (a *api) get(document string, variables any) answer {
	a.t.Helper()

	query := url.Values{"query": {document}, "variables": {encode(variables)}}

	request, err := http.NewRequestWithContext(context.WithoutCancel(a.t.Context()), http.MethodGet, a.url+"/graphql?"+query.Encode(), nil)
	if err != nil {
		a.t.Fatal(err)
	}

	request.Header.Set("Accept", "application/graphql-response+json")

	got, err := a.do(request)
	if err != nil {
		a.t.Fatal(err)
	}

	return got
}
