package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"

	"github.com/shiplog/shiplog/test/cluster/image"
)

// Variables by which tests are told which cluster to use.
const (
	KubeconfigVariable = "SHIPLOG_TEST_KUBECONFIG"
	RegistryVariable   = "SHIPLOG_TEST_REGISTRY"
	KubectlVariable    = "SHIPLOG_TEST_KUBECTL"
	AppVariable        = "SHIPLOG_TEST_APP"
)

// Connect gives the cluster that the variables name; test/withcluster sets them.
func Connect() (*Cluster, error) {
	c := &Cluster{
		Kubeconfig: os.Getenv(KubeconfigVariable), Registry: os.Getenv(RegistryVariable),
		Kubectl: os.Getenv(KubectlVariable), App: os.Getenv(AppVariable),
	}

	if c.Kubeconfig == "" || c.Registry == "" || c.Kubectl == "" || c.App == "" {
		return nil, errors.New("no cluster to test on: go run ./test/withcluster go test …, or make test-kubernetes")
	}

	return c, nil
}

// Yours gives the cluster of someone who has one (SHIPLOG_TEST_KUBECONFIG,
// SHIPLOG_TEST_REGISTRY), with the program of test workloads built; nil: there
// is none.
func Yours(ctx context.Context, c Config) (*Cluster, error) {
	kubeconfig, registry := os.Getenv(KubeconfigVariable), os.Getenv(RegistryVariable)
	if kubeconfig == "" {
		return nil, nil //nolint:nilnil // none is an answer
	}

	if registry == "" {
		return nil, fmt.Errorf("with %s also set %s to a registry (HOST:PORT) that this machine pushes to and the nodes pull from", KubeconfigVariable, RegistryVariable)
	}

	kubectl := os.Getenv(KubectlVariable)
	if kubectl == "" {
		found, err := exec.LookPath("kubectl")
		if err != nil {
			return nil, fmt.Errorf("with %s there has to be a kubectl: %w", KubeconfigVariable, err)
		}

		kubectl = found
	}

	c, err := c.complete()
	if err != nil {
		return nil, err
	}

	if err := c.buildApp(ctx); err != nil {
		return nil, err
	}

	return &Cluster{Kubeconfig: kubeconfig, Registry: registry, Kubectl: kubectl, App: c.program("app")}, nil
}

// Environment is the variables that tell a command of the cluster.
func (c *Cluster) Environment() []string {
	return []string{
		KubeconfigVariable + "=" + c.Kubeconfig, RegistryVariable + "=" + c.Registry,
		KubectlVariable + "=" + c.Kubectl, AppVariable + "=" + c.App,
	}
}

// PushApp makes an image of the test workload (test/cluster/app says which
// variables it knows), pushes it, and gives the reference with its digest.
func (c *Cluster) PushApp(ctx context.Context, name, version string, env map[string]string) (string, error) {
	all := map[string]string{"VERSION": version}
	maps.Copy(all, env)

	made, err := image.New(image.Spec{
		Files: map[string]string{"/app": c.App}, Entrypoint: []string{"/app"}, Env: all,
		Labels: map[string]string{"org.opencontainers.image.version": version},
	})
	if err != nil {
		return "", err
	}

	return made.Push(ctx, c.Registry, name, version)
}

// Run runs kubectl and gives what it prints. It never waits for ever: bound ctx.
func (c *Cluster) Run(ctx context.Context, input []byte, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, c.Kubectl, args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig)
	command.Stdin = bytes.NewReader(input)

	var out, failed bytes.Buffer

	command.Stdout, command.Stderr = &out, &failed

	if err := command.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("kubectl %v: %w: %s", args, err, failed.Bytes())
	}

	return out.Bytes(), nil
}
