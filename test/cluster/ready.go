package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/shiplog/shiplog/test/cluster/node"
)

// wait waits until the API server answers, the node has said since a time that
// it is ready, and pods can be made. (A node's word of an earlier life is kept.)
func (c Config) wait(ctx context.Context, within time.Duration, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()

	for {
		err := c.ready(ctx, since)
		if err == nil {
			return nil
		}

		pid, runErr := node.Running(c.run())
		if runErr != nil {
			return runErr
		}

		// It takes its lock a moment after it was started.
		if pid == 0 && time.Since(since) > 5*time.Second {
			log, readErr := os.ReadFile(c.setting("node.log"))

			return errors.Join(fmt.Errorf("the node has ended: %s", log), readErr)
		}

		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready within %s: %w", within, err)
		case <-time.After(poll):
		}
	}
}

func (c Config) ready(ctx context.Context, since time.Time) error {
	api, err := c.api()
	if err != nil {
		return err
	}
	defer api.client.CloseIdleConnections()

	var found struct {
		Status struct {
			Conditions []struct {
				Type, Status, Message string
				LastHeartbeatTime     time.Time
			}
		}
	}

	if err := api.get(ctx, "/api/v1/nodes/"+nodeName, &found); err != nil {
		return err
	}

	for _, condition := range found.Status.Conditions {
		if condition.Type != "Ready" {
			continue
		}

		// Times of the API have whole seconds, cut off: a start takes longer than
		// one, so that its own word is never taken for an earlier life's.
		if condition.Status != "True" || condition.LastHeartbeatTime.Before(since) {
			return fmt.Errorf("node %s is not ready: %s", nodeName, condition.Message)
		}

		return api.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil)
	}

	return fmt.Errorf("node %s has not said whether it is ready", nodeName)
}

// api is a small client of the API server, for the administrator.
type api struct {
	client *http.Client
	url    string
	token  string
}

func (c Config) api() (*api, error) {
	ca, err := os.ReadFile(c.pki("ca.crt"))
	if err != nil {
		return nil, err
	}

	token, err := os.ReadFile(c.pki("admin.token"))
	if err != nil {
		return nil, err
	}

	p, err := c.ports()
	if err != nil {
		return nil, err
	}

	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("ca.crt holds no certificate")
	}

	return &api{
		client: &http.Client{
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}},
			Timeout:   2 * time.Second,
		},
		url: fmt.Sprintf("https://127.0.0.1:%d", p.API), token: strings.TrimSpace(string(token)),
	}, nil
}

func (a *api) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+path, nil)
	if err != nil {
		return err
	}

	request.Header.Set("Authorization", "Bearer "+a.token)

	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()

	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}

	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, response.Status)
	}

	if into == nil {
		return nil
	}

	return json.Unmarshal(body, into)
}
