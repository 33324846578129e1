package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// patience bounds what is waited for.
const patience = 30 * time.Second

// application is a service on this machine, and a rule that deploys each of
// its versions.
type application struct {
	address, name, producer string
	port, versions          int
}

func newApplication(ctx context.Context, address, name, producer string) (*application, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}

	a := &application{address: address, name: name, producer: producer, port: port}

	_, err = ask[object](ctx, address, `mutation ($name: String!, $rule: PutRuleInput!) {
		createEnvironment(input: {name: $name, tier: DEVELOPMENT, rank: 1, target: {kind: PROCESS}}) { environment { id } }
		createService(input: {name: $name}) { service { id } }
		putRule(input: $rule) { rule { id } }
	}`, object{"name": name, "rule": object{
		"name": name, "trigger": "VERSION_REGISTERED", "targetEnvironment": name, "selector": object{"names": []string{name}},
	}})

	return a, err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()

	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}

	return strconv.Atoi(port)
}

// workload of the version: each has other content, since the same again would
// start nothing.
func (a *application) workload() object {
	return object{
		"apiVersion": "score.dev/v1b1",
		"metadata":   object{"name": a.name},
		"containers": object{"main": object{
			"image": "none", "command": []string{a.producer}, "variables": object{"VERSION": strconv.Itoa(a.versions)},
			"readinessProbe": object{"httpGet": object{"path": "/", "port": a.port}},
		}},
		"service": object{"ports": object{"web": object{"port": a.port}}},
	}
}

// register registers the next version and gives the deployment that the rule
// made of it.
func (a *application) register(ctx context.Context) (string, error) {
	a.versions++

	answer, err := ask[struct {
		RegisterVersion struct {
			Decisions []struct{ Deployment *struct{ ID string } }
		}
	}](ctx, a.address, `mutation ($ref: ID!, $version: String!, $score: JSON!) {
		registerVersion(input: {service: $ref, version: $version, workload: {score: $score}}) { decisions { deployment { id } } }
	}`, object{"ref": a.name, "version": fmt.Sprintf("1.0.%d", a.versions), "score": a.workload()})
	if err != nil {
		return "", err
	}

	for _, d := range answer.RegisterVersion.Decisions {
		if d.Deployment != nil {
			return d.Deployment.ID, nil
		}
	}

	return "", fmt.Errorf("no rule deployed version %d of %s", a.versions, a.name)
}

// deployed is a deployment as it stands.
type deployed struct {
	Status       string
	StatusReason *string
	ActedAt      *time.Time
	FinishedAt   *time.Time
	Endpoints    []struct{ URL string }
}

// succeeded waits until the deployment has succeeded.
func (a *application) succeeded(ctx context.Context, id string) (*deployed, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	for {
		answer, err := ask[struct{ Deployment deployed }](ctx, a.address,
			`query ($id: ID!) { deployment(id: $id) { status statusReason actedAt finishedAt endpoints { url } } }`, object{"id": id})
		if err != nil {
			return nil, err
		}

		switch d := &answer.Deployment; {
		case d.Status == "SUCCEEDED":
			return d, nil
		case d.FinishedAt != nil:
			reason := ""
			if d.StatusReason != nil {
				reason = *d.StatusReason
			}

			return nil, fmt.Errorf("deployment %s is %s: %s", id, d.Status, reason)
		}

		if err := rest(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// produce lets a running producer print, and waits until it has.
func produce(ctx context.Context, base string, lines, rate int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s/produce?lines=%d&rate=%d", base, lines, rate), nil)
	if err != nil {
		return err
	}

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()

	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the producer: %s", response.Status)
	}

	return nil
}
