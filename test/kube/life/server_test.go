package life

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// shiplog is a server of the product in a process of its own, which can be
// killed and started again on the same data.
type shiplog struct {
	address, dir, kubeconfig string

	command *exec.Cmd
}

// newShiplog starts one; it ends with the test.
func newShiplog(t *testing.T, kubeconfig string) *shiplog {
	t.Helper()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	s := &shiplog{address: listener.Addr().String(), dir: t.TempDir(), kubeconfig: kubeconfig}

	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if s.command != nil {
			s.kill(t)
		}

		if t.Failed() {
			said, err := os.ReadFile(s.log())
			t.Logf("the server said (%v):\n%s", err, said[max(0, len(said)-8000):])
		}
	})

	s.start(t)

	return s
}

func (s *shiplog) log() string { return filepath.Join(s.dir, "server.log") }

func (s *shiplog) url() string { return "http://" + s.address }

func (s *shiplog) start(t *testing.T) {
	t.Helper()

	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()

	s.command = exec.Command(os.Args[0], "serve", s.address, s.dir, s.kubeconfig)
	s.command.Stdout, s.command.Stderr = log, log

	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}

	eventually(t, "an answer of the server", func() bool {
		response, err := http.Get(s.url() + "/readyz")
		if err != nil {
			return false
		}
		defer response.Body.Close()

		return response.StatusCode == http.StatusOK
	})
}

// kill kills it, so that nothing is brought to an end.
func (s *shiplog) kill(t *testing.T) {
	t.Helper()

	if err := s.command.Process.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}

	var exit *exec.ExitError
	if err := s.command.Wait(); err != nil && !errors.As(err, &exit) {
		t.Error(err)
	}

	s.command = nil
}

// ask sends one document and reads its data.
func (s *shiplog) ask(t *testing.T, document string, variables map[string]any, data any) error {
	t.Helper()

	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		return err
	}

	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url()+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}

	request.Header.Set("Content-Type", "application/json")

	response, err := (&http.Client{Timeout: 30 * time.Second}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()

	var answer struct {
		Data   json.RawMessage
		Errors json.RawMessage
	}

	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}

	if len(answer.Errors) > 0 {
		return fmt.Errorf("refused: %s", answer.Errors)
	}

	if data == nil {
		return nil
	}

	return json.Unmarshal(answer.Data, data)
}

// deploy deploys manifests as a service of the name to an environment of the
// same name, which is a namespace, and gives the deployment's id when it has
// succeeded.
func (s *shiplog) deploy(t *testing.T, name, manifests string) string {
	t.Helper()

	err := s.ask(t, `mutation ($name: String!, $ref: ID!, $manifests: String!) {
		createEnvironment(input: {name: $name, tier: DEVELOPMENT, rank: 1, target: {kind: KUBERNETES, connection: "test", namespace: "{environment}"}}) { environment { id } }
		createService(input: {name: $name}) { service { id } }
		registerVersion(input: {service: $ref, version: "1", workload: {manifests: $manifests}}) { version { id } }
	}`, map[string]any{"name": name, "ref": name, "manifests": manifests}, nil)
	if err != nil {
		t.Fatal(err)
	}

	var made struct {
		Deploy struct{ Deployment struct{ ID string } }
	}

	err = s.ask(t, `mutation ($ref: ID!) { deploy(input: {service: $ref, environment: $ref, version: "1"}) { deployment { id } } }`,
		map[string]any{"ref": name}, &made)
	if err != nil {
		t.Fatal(err)
	}

	return made.Deploy.Deployment.ID
}

// outcome waits for a deployment's end.
func (s *shiplog) outcome(t *testing.T, id string) string {
	t.Helper()

	var found struct {
		Deployment struct{ Status, StatusReason string }
	}

	eventually(t, "the outcome", func() bool {
		if err := s.ask(t, `query ($id: ID!) { deployment(id: $id) { status statusReason } }`, map[string]any{"id": id}, &found); err != nil {
			return false
		}

		switch found.Deployment.Status {
		case "QUEUED", "RUNNING", "VERIFYING":
			return false
		}

		return true
	})

	return found.Deployment.Status
}
