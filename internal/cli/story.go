package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// patience bounds every wait of the story: several times what the slowest step
// takes on a small machine.
const patience = 90 * time.Second

// story plays the demo's story on a server.
type story struct {
	s     *session
	p     *printer
	http  *http.Client
	url   string
	hello string
	work  string
	steps int
	// began is when the server answered for the first time.
	began time.Time
	// exit: the demo is a check and may not pass unfinished.
	exit bool
	// beforeRollback is a past moment to ask about.
	beforeRollback time.Time
}

func newStory(s *session, hello, data, url string, exit bool) (*story, error) {
	work := filepath.Join(data, "demo")
	if err := os.MkdirAll(work, 0o750); err != nil {
		return nil, fmt.Errorf("the demo's directory: %w", err)
	}

	return &story{
		s: s, p: s.printer(), http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
		url: url, hello: hello, work: work, began: time.Now(), exit: exit,
	}, nil
}

// tell plays the story, or shows where things stand when it was played before.
func (t *story) tell(ctx context.Context) error {
	t.p.linef("the server answers on %s", t.p.paint(t.url, bold))

	begun, finished, err := t.played(ctx)
	if err != nil {
		return err
	}

	if begun {
		err = t.again(ctx, finished)
	} else {
		err = t.play(ctx)
	}

	if err != nil {
		return err
	}

	t.paste(ctx)

	return t.p.failed
}

// played reports whether the story was begun on this data, and whether it came
// as far as its rollback.
func (t *story) played(ctx context.Context) (begun, finished bool, err error) {
	type answer struct {
		Services    page[service]
		Deployments page[deployment]
	}

	a, err := get[answer](ctx, t.s, "services", input{"first": 100, "filter": map[string]any{"search": "hello"}})
	if err != nil {
		return false, false, err
	}

	for _, one := range a.Services.Nodes {
		begun = begun || one.Name == "hello"
	}

	if !begun {
		return false, false, nil
	}

	a, err = get[answer](ctx, t.s, "deployments", input{"first": 1, "filter": map[string]any{
		"service": "hello", "kind": []string{"ROLLBACK"}, "status": []string{"SUCCEEDED"},
	}})

	return true, len(a.Deployments.Nodes) > 0, err
}

// missError is an expectation of the story that did not hold.
type missError struct{ what, want, got string }

func (e *missError) Error() string {
	return fmt.Sprintf("the story went wrong: expected %s to be %s, it is %s", e.what, e.want, e.got)
}

// expect checks one claim of the story.
func (t *story) expect(what string, got, want any) error {
	if !reflect.DeepEqual(got, want) {
		return &missError{what: what, want: fmt.Sprintf("%v", want), got: fmt.Sprintf("%v", got)}
	}

	t.p.linef("    %s %s: %v", t.p.paint("✓", green), what, got)

	return nil
}

// step says in a sentence what is done next, and with which command a person
// would do it.
func (t *story) step(sentence string, commands ...string) {
	t.steps++
	t.p.now = t.s.now()
	t.p.linef("\n%s %s", t.p.paint(fmt.Sprintf("[%d]", t.steps), bold), t.p.paint(sentence, bold))

	for _, command := range commands {
		t.p.linef("    %s", t.p.paint("$ "+command, dim))
	}
}

// indented is a printer whose lines stand below the step.
func (t *story) indented() *printer {
	p := *t.p
	p.now = t.s.now()
	p.out = indent{t.p.out}

	return &p
}

// indent writes four spaces before every line; it expects whole lines.
type indent struct{ w io.Writer }

func (i indent) Write(data []byte) (int, error) {
	for line := range bytes.Lines(data) {
		if _, err := fmt.Fprintf(i.w, "    %s", line); err != nil {
			return 0, err
		}
	}

	return len(data), nil
}

// mutate sends a mutation and decodes its payload.
func mutate[T any](ctx context.Context, t *story, name string, in input) (T, error) {
	a, err := get[map[string]T](ctx, t.s, name, input{"input": map[string]any(in)})

	return a[name], err
}

// score writes the workload of a version as CI would, and gives its path.
func (t *story) score(version, startup string) (string, error) {
	template, err := os.ReadFile(filepath.Join(t.hello, "score.yaml"))
	if err != nil {
		return "", fmt.Errorf("the workload's template: %w", err)
	}

	binary := strconv.Quote(filepath.Join(t.hello, "hello-"+version))
	filled := strings.NewReplacer(`"@BINARY@"`, binary, "@STARTUP@", startup).Replace(string(template))
	path := filepath.Join(t.work, "hello-"+version+".yaml")

	if err := os.WriteFile(path, []byte(filled), 0o600); err != nil {
		return "", fmt.Errorf("write the workload: %w", err)
	}

	return path, nil
}

// watch follows a deployment's log to its end and gives its outcome.
func (t *story) watch(ctx context.Context, id string) (deployment, error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	f := follow{deployment: id, follow: true, until: "OUTCOME", filter: input{}}
	if err := t.s.follow(bounded, &f, t.indented()); err != nil {
		if ctx.Err() == nil && bounded.Err() != nil {
			return deployment{}, &missError{what: "the log of " + id, want: "complete", got: "still open after " + patience.String()}
		}

		return deployment{}, err
	}

	a, err := get[struct{ Deployment *deployment }](ctx, t.s, "outcome", input{"id": id})
	if err != nil {
		return deployment{}, err
	}

	if a.Deployment == nil {
		return deployment{}, &missError{what: "deployment " + id, want: "there", got: "gone"}
	}

	return *a.Deployment, nil
}

// position is the journal's position now: what is watched from it misses
// nothing.
func (t *story) position(ctx context.Context) (string, error) {
	type answer struct{ Deployments page[deployment] }

	a, err := get[answer](ctx, t.s, "deployments", input{"first": 1})

	return a.Deployments.Position, err
}

// errFound ends a subscription that has brought what it was for.
var errFound = errors.New("found")

// promoted waits for the deployment of a version to an environment that a rule
// makes after position.
func (t *story) promoted(ctx context.Context, version, environment, position string) (string, error) {
	text, err := document("deploymentChanged")
	if err != nil {
		return "", err
	}

	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	variables := input{
		"after":  position,
		"filter": map[string]any{"service": "hello", "environment": environment},
	}

	var id string

	err = t.s.client.Subscribe(bounded, text, variables, func(data json.RawMessage) error {
		var a struct {
			DeploymentChanged struct{ Deployment deployment }
		}
		if err := json.Unmarshal(data, &a); err != nil {
			return fmt.Errorf("decode a change: %w", err)
		}

		if a.DeploymentChanged.Deployment.versionName() != version {
			return nil
		}

		id = a.DeploymentChanged.Deployment.ID

		return errFound
	})

	switch {
	case errors.Is(err, errFound):
		return id, nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err == nil || bounded.Err() != nil:
		return "", &missError{
			what: "a deployment of " + version + " to " + environment, want: "made by a rule",
			got: "missing after " + patience.String(),
		}
	default:
		return "", err
	}
}

// fetch asks a deployed service, several times, because there may be several
// instances: all must answer alike, each over a connection of its own.
func (t *story) fetch(ctx context.Context, base, path string, wantStatus int, want string) error {
	const times = 4

	address := strings.TrimSuffix(base, "/") + path
	t.p.linef("    %s", t.p.paint("$ curl '"+address+"'", dim))

	for range times {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return fmt.Errorf("ask %s: %w", address, err)
		}

		answer, err := t.http.Do(request)
		if err != nil {
			return &missError{what: "GET " + address, want: strconv.Itoa(wantStatus), got: err.Error()}
		}

		body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
		answer.Body.Close()

		if err != nil {
			return fmt.Errorf("read the answer of %s: %w", address, err)
		}

		got := fmt.Sprintf("%d %s", answer.StatusCode, strings.TrimSpace(string(body)))
		if expected := fmt.Sprintf("%d %s", wantStatus, want); got != expected {
			return &missError{what: "GET " + address, want: strconv.Quote(expected), got: strconv.Quote(got)}
		}
	}

	t.p.linef("    %s %d %s", t.p.paint("✓", green), wantStatus, want)

	return nil
}

// web is the address of a deployment's port.
func (t *story) web(d deployment) (string, error) {
	for _, one := range d.Endpoints {
		if one.Name == "web" {
			return one.URL, nil
		}
	}

	return "", &missError{what: "the endpoint web of " + d.ID, want: "there", got: fmt.Sprintf("%v", d.Endpoints)}
}
