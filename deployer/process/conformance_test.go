//go:build unix

package process

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/deployer/deployertest"
	"github.com/shiplog/shiplog/internal/spec"
)

func TestConformance(t *testing.T) {
	t.Parallel()

	deployertest.Run(t, func(t *testing.T) deployertest.Target {
		t.Helper()

		dir := target(t)

		return deployertest.Target{
			Open:     func(t *testing.T) deployer.Deployer { t.Helper(); return open(t, dir) },
			Content:  content,
			Refused:  refused(t),
			Reach:    reach,
			Patience: 30 * time.Second,
		}
	})
}

func content(t *testing.T, b deployertest.Behaviour, revision string) *spec.Snapshot {
	t.Helper()

	two := func(p *spec.Process) {
		withPort(p)
		p.Replicas = 2
	}

	switch b {
	case deployertest.Serves:
		return app(t, two, "serve", revision)
	case deployertest.Crashes:
		return app(t, two, "crash", revision)
	case deployertest.NeverReady:
		return app(t, func(p *spec.Process) {
			two(p)
			p.StartupSeconds = 1
		}, "hang", revision)
	default:
		return app(t, func(p *spec.Process) {
			p.Containers["web"] = spec.ProcessContainer{Command: []string{"no-such-command-" + revision}}
		}, "hang")
	}
}

func reach(ctx context.Context, endpoint string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return "", err
	}

	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}

	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()

	body, err := io.ReadAll(resp.Body)

	return string(body), err
}

func refused(t *testing.T) map[string]*spec.Snapshot {
	t.Helper()

	limited := app(t, nil, "serve", "a")
	limited.Configuration.Limits = map[string]spec.ResourceLimits{"web": {Memory: "64Mi"}}

	files := app(t, nil, "serve", "a")
	files.Workload.Score = json.RawMessage(`{"containers":{"web":{"files":{"/etc/a":{"content":"b"}}}}}`)

	secret := app(t, nil, "serve", "a")
	secret.Configuration.Resources = map[string]map[string]spec.ResourceValue{
		"db": {"password": {SecretRef: &spec.SecretReference{Name: "a", Key: "b"}}},
	}

	foreign := app(t, nil, "serve", "a")
	foreign.Objects["apps/v1/Deployment/hello"] = json.RawMessage(`{}`)

	return map[string]*spec.Snapshot{
		"an image without a command": app(t, func(p *spec.Process) {
			p.Containers["web"] = spec.ProcessContainer{}
		}, "serve"),
		"resource limits":          limited,
		"files":                    files,
		"from a secret":            secret,
		"has no process to run":    {Target: spec.TargetProcess},
		"apps/v1/Deployment/hello": foreign,
		"not a DNS label": app(t, func(p *spec.Process) {
			p.Containers["../web"] = p.Containers["web"]
		}, "serve"),
	}
}
