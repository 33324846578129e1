package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/vektah/gqlparser/v2/ast"
)

// portal is a server that answers operations by name and streams batches of a
// log.
type portal struct {
	t       *testing.T
	schema  *ast.Schema
	answers map[string]string
	// batches are what deploymentLogs gives; "" leaves the stream open.
	batches []string
}

type wireMessage struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

type wireRequest struct {
	Query     string
	Variables map[string]any
}

func (p *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if websocket.IsWebSocketUpgrade(r) {
		p.stream(w, r)

		return
	}

	var request wireRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		p.t.Error(err)
	}

	fits(p.t, p.schema, request.Query, request.Variables)

	for name, answer := range p.answers {
		if strings.HasPrefix(request.Query, "query "+name+"(") || strings.HasPrefix(request.Query, "mutation "+name+"(") {
			fmt.Fprintf(w, `{"data":%s}`, answer)

			return
		}
	}

	p.t.Errorf("nobody expected %s", request.Query)
}

func (p *portal) stream(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{Subprotocols: []string{"graphql-transport-ws"}}

	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		p.t.Error(err)

		return
	}
	defer conn.Close()

	send := func(m wireMessage) {
		if err := conn.WriteJSON(m); err != nil {
			p.t.Error(err)
		}
	}

	var m wireMessage
	if err := conn.ReadJSON(&m); err != nil {
		p.t.Error(err)
	}

	send(wireMessage{Type: "connection_ack"})

	if err := conn.ReadJSON(&m); err != nil {
		p.t.Error(err)
	}

	var request wireRequest
	if err := json.Unmarshal(m.Payload, &request); err != nil {
		p.t.Error(err)
	}

	fits(p.t, p.schema, request.Query, request.Variables)

	open := false

	for _, batch := range p.batches {
		if open = batch == ""; !open {
			send(wireMessage{ID: m.ID, Type: "next", Payload: json.RawMessage(`{"data":{"deploymentLogs":` + batch + `}}`)})
		}
	}

	if !open {
		send(wireMessage{ID: m.ID, Type: "complete"})
	}

	for err == nil { // until the client hangs up
		_, _, err = conn.ReadMessage()
	}
}

const (
	oneBatch = `{"cursor":"c1","complete":true,"gap":null,"lines":[{"cursor":"c1","time":"2026-03-01T11:59:00Z",` +
		`"stream":"STEP","phase":"ROLLOUT","text":"1 instance started","truncated":false,"source":{"step":"apply"}}]}`
	queued = `{"id":"deployment_1","kind":"DEPLOY","status":"QUEUED","service":{"name":"hello"},` +
		`"environment":{"name":"e"},"version":{"name":"1.0.0"}}`
)

// outcome is the deployment at its end.
func outcome(status string) string {
	return `{"deployment":` + strings.Replace(queued, "QUEUED", status, 1) + `}`
}

func TestWaitingEndsByTheOutcome(t *testing.T) {
	t.Parallel()

	for status, want := range map[string]int{
		"SUCCEEDED": exitOK, "FAILED": exitFailed, "ERRORED": exitFailed,
		"CANCELLED": exitNotDone, "REJECTED": exitNotDone, "SUPERSEDED": exitNotDone,
	} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()

			server := httptest.NewServer(&portal{
				t: t, schema: loadSchema(t), batches: []string{oneBatch},
				answers: map[string]string{"Deploy": `{"deploy":{"deployment":` + queued + `,"plan":null}}`, "Outcome": outcome(status)},
			})
			defer server.Close()

			code, out, errors := run(t, "--server", server.URL, "deploy", "hello", "1.0.0", "e", "--wait")
			if code != want {
				t.Errorf("deploy --wait ended with %d, want %d: %s", code, want, errors)
			}

			if !strings.Contains(out, "apply            1 instance started\nDEPLOY "+status+": hello 1.0.0 → e") {
				t.Errorf("deploy --wait printed\n%s", out)
			}

			code, out, _ = run(t, "--server", server.URL, "wait", "deployment_1", "deployment_1", "-q")
			if code != want || strings.Contains(out, "started") || strings.Count(out, status) != 2 {
				t.Errorf("wait -q ended with %d, want %d, and printed\n%s", code, want, out)
			}
		})
	}
}

func TestWaitingTimesOut(t *testing.T) {
	t.Parallel()

	server := httptest.NewServer(&portal{t: t, schema: loadSchema(t), batches: []string{oneBatch, ""}})
	defer server.Close()

	code, _, errors := run(t, "--server", server.URL, "--timeout", "50ms", "wait", "deployment_1")
	if code != exitTimeout || !strings.Contains(errors, "shiplog: timed out after 50ms\n") {
		t.Errorf("ended with %d: %s", code, errors)
	}

	if !strings.Contains(errors, "to go on: shiplog logs -f deployment_1 --after c1\n") {
		t.Errorf("does not say how to go on: %s", errors)
	}
}

func TestFollowingInJSONPrintsBatches(t *testing.T) {
	t.Parallel()

	server := httptest.NewServer(&portal{t: t, schema: loadSchema(t), batches: []string{oneBatch, oneBatch}})
	defer server.Close()

	code, out, errors := run(t, "--server", server.URL, "-o", "json", "logs", "-f", "deployment_1", "--until", "replaced",
		"--stream", "step", "--after", "c0")
	if want := strings.Repeat(`{"deploymentLogs":`+oneBatch+"}\n", 2); code != exitOK || out != want || errors != "" {
		t.Errorf("ended with %d, %s, printed\n%s", code, errors, out)
	}
}
