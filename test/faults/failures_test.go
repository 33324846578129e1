package faults

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// leaks is what no answer may show: statements, places, programs, addresses,
// and what the faults below say.
var leaks = regexp.MustCompile(`(?i)select|insert|pq:|sql|relation|"?services_gone|postgres|\.go\b|goroutine|127\.0\.0\.1|dial|tcp|eof|/[a-z]+/|secret|panic|driver|protocol`)

// failure is a way for the database to fail, and what ends it.
type failure struct {
	name      string
	begin     func(ctx context.Context, p *proxy, admin *sql.DB) error
	end       func(ctx context.Context, p *proxy, admin *sql.DB) error
	mutations bool   // only mutations notice
	streams   bool   // a stream notices at its start
	code      string // wanted, "" for either
}

func statement(text string) func(ctx context.Context, p *proxy, admin *sql.DB) error {
	return func(ctx context.Context, _ *proxy, admin *sql.DB) error {
		_, err := admin.ExecContext(ctx, text)

		return err
	}
}

var failures = []failure{
	{
		name:  "it is gone",
		begin: func(_ context.Context, p *proxy, _ *sql.DB) error { return p.shut() },
		end:   func(_ context.Context, p *proxy, _ *sql.DB) error { return p.open() },

		streams: true, code: "UNAVAILABLE",
	},
	{
		name:  "what it answers is no answer",
		begin: func(_ context.Context, p *proxy, _ *sql.DB) error { p.garble(true); return nil },
		end:   func(_ context.Context, p *proxy, _ *sql.DB) error { p.garble(false); return nil },

		streams: true,
	},
	{
		name:  "a table is gone",
		begin: statement("ALTER TABLE services RENAME TO services_gone"),
		end:   statement("ALTER TABLE services_gone RENAME TO services"),
		code:  "INTERNAL",
	},
	{
		name: "it refuses with words of its own",
		begin: statement(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'secret at /srv/secret.sql'; END $$;
			CREATE TRIGGER refuse BEFORE INSERT ON events EXECUTE FUNCTION refuse()`),
		end:       statement("DROP TRIGGER refuse ON events; DROP FUNCTION refuse"),
		mutations: true, code: "INTERNAL",
	},
}

func TestNoAnswerShowsWhyTheDatabaseFailed(t *testing.T) {
	t.Parallel()

	w, p, source := behind(t)

	admin, err := sql.Open("postgres", w.database+"&application_name=admin")
	if err != nil {
		t.Fatal(err)
	}

	admin.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := admin.Close(); err != nil {
			t.Error(err)
		}
	})

	for _, f := range failures {
		if err := f.begin(t.Context(), p, admin); err != nil {
			t.Fatal(f.name, ": ", err)
		}

		w.failing(t, f, source)

		if err := f.end(t.Context(), p, admin); err != nil {
			t.Fatal(f.name, ": ", err)
		}

		if took, err := (&outage{world: w}).back(t.Context()); err != nil {
			t.Fatal(f.name, ": ", err)
		} else {
			t.Logf("%s; all works again after %s", f.name, took.Round(time.Millisecond))
		}
	}

	w.checkRecord(t)
}

// failing asks everything while the database fails.
func (w *world) failing(t *testing.T, f failure, source deployment) {
	t.Helper()

	documents := map[string]string{
		"createService": `mutation { createService(input: {name: "s-` + uuid.NewString()[:8] + `", idempotencyKey: "` + uuid.NewString() + `"}) { service { id } } }`,
		"deploy":        `mutation { deploy(input: {service: "shop", environment: "production", version: "1.0.0", idempotencyKey: "` + uuid.NewString() + `"}) { deployment { id service { name } } } }`,
		"redeploy":      `mutation { redeploy(input: {deployment: "` + source.ID + `"}) { deployment { id service { name } } } }`,
		"recorded":      `mutation { recordDeployment(input: {service: "shop", environment: "elsewhere", version: "1.0.0"}) { deployment { id service { name } } } }`,
	}

	if !f.mutations {
		documents["services"] = "{ services(first: 5) { nodes { name versions(first: 2) { nodes { name } } } } }"
		documents["service"] = `{ service(name: "shop") { name } }`
		documents["deployment"] = `{ deployment(id: "` + source.ID + `") { status service { name } steps { kind } } }`
		documents["deployments"] = "{ deployments(first: 3) { nodes { id service { name } version { name } } } }"
		documents["placements"] = "{ placements(first: 3) { nodes { service { name } recorded { id } } } }"
	}

	if f.streams {
		documents["changes"] = `subscription { deploymentChanged { cursor deployment { id service { name } } } }`
	}

	for name, document := range documents {
		if err := w.fails(t.Context(), f, document); err != nil {
			t.Errorf("%s: %s: %v", f.name, name, err)
		}
	}
}

// fails asks, and checks how it is refused.
func (w *world) fails(ctx context.Context, f failure, document string) error {
	raw, id, err := w.raw(ctx, document)
	if err != nil {
		return err
	}

	var answer struct {
		Errors []struct {
			Message    string
			Extensions struct{ Code, RequestID string }
		}
	}

	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("%w: %s", err, raw)
	}

	if len(answer.Errors) == 0 {
		return fmt.Errorf("it is not refused: %s", raw)
	}

	for _, e := range answer.Errors {
		switch code := e.Extensions.Code; {
		case code != "INTERNAL" && code != "UNAVAILABLE", f.code != "" && code != f.code:
			return fmt.Errorf("the code is wrong: %s", raw)
		case e.Extensions.RequestID == "" || e.Extensions.RequestID != id:
			return fmt.Errorf("it has not the request id %s: %s", id, raw)
		}
	}

	// An id is made of random letters, which may make a word.
	if found := leaks.Find(bytes.ReplaceAll(raw, []byte(id), nil)); found != nil {
		return fmt.Errorf("it shows %q: %s", found, raw)
	}

	log, err := os.ReadFile(w.replicas[0].log)
	if err == nil && !bytes.Contains(log, []byte(id)) {
		err = fmt.Errorf("the log says nothing of %s", id)
	}

	return err
}

// raw asks and gives the answer as it came, of an event stream the first one,
// and the request's id.
func (w *world) raw(ctx context.Context, document string) (answer []byte, id string, err error) {
	body, err := json.Marshal(map[string]string{"query": document})
	if err != nil {
		return nil, "", err
	}

	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()

	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.replicas[0].url(), bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}

	request.Header.Set("Content-Type", "application/json")

	stream := strings.HasPrefix(document, "subscription")
	if stream {
		request.Header.Set("Accept", "text/event-stream")
	}

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()

	answer, err = io.ReadAll(response.Body)
	id = response.Header.Get("X-Request-Id")

	if !stream || err != nil {
		return answer, id, err
	}

	_, answer, ok := bytes.Cut(answer, []byte("data: "))
	answer, _, _ = bytes.Cut(answer, []byte("\n"))

	if !ok {
		err = errors.New("the stream said nothing")
	}

	return answer, id, err
}
