package spec

import (
	"fmt"
	"strings"
	"testing"
)

func mustWorkload(t *testing.T, score any) Workload {
	t.Helper()

	w, err := ParseWorkload("workload", score, "")
	if err != nil {
		t.Fatal(err)
	}

	return w
}

func mustConfiguration(t *testing.T, raw any) Configuration {
	t.Helper()

	c, err := ParseConfiguration("configuration", raw)
	if err != nil {
		t.Fatal(err)
	}

	return c
}

const helloConfiguration = `
variables: {REPLACED: "yes", REMOVED: null, MODE: yes, LITERAL: "$${x}"}
replicas: 2
limits: {other: {cpu: 250m}}
resources:
  db:
    user: {value: hello}
    host.name: {value: db.local}
    unused: {secretRef: {name: db, key: password}}
patches:
  - object: Process/hello
    operations:
      - {op: test, path: /replicas, value: 2}
      - {op: add, path: /containers/main/args/-, value: --last}
  - object: Process/*
    merge: {containers: {main: {variables: {LITERAL: null, MERGED: "1"}}}}
  - object: apps/v1/Deployment/*
    merge: {spec: {paused: true}}
`

func TestRenderProcess(t *testing.T) {
	t.Parallel()

	snapshot, err := Render(RenderInput{
		Target:        TargetProcess,
		Service:       "hello",
		Images:        map[string]Image{"main": {Reference: "example.com/hello:1"}},
		Workload:      mustWorkload(t, read(t, "hello.yaml")),
		Configuration: mustConfiguration(t, helloConfiguration),
		Layers:        map[string]string{"SERVICE": "configuration_1"},
	})
	if err != nil {
		t.Fatal(err)
	}

	golden(t, "hello_snapshot.json", indent(t, snapshot))

	canonical, err := snapshot.Canonical()
	if err != nil {
		t.Fatal(err)
	}

	digest, err := snapshot.Digest()
	if err != nil {
		t.Fatal(err)
	}

	golden(t, "hello_canonical.txt", string(canonical)+"\n"+digest+"\n")
}

func TestRenderMinimal(t *testing.T) {
	t.Parallel()

	snapshot, err := Render(RenderInput{
		Target: TargetProcess, Service: "hello",
		Workload: mustWorkload(t, with(`{"image":"x","command":["a"]}`)),
	})
	if err != nil {
		t.Fatal(err)
	}

	want := `{"kind":"Process","name":"hello","replicas":1,"containers":{"main":{"command":["a"]}},"startupSeconds":30}`
	if got := string(snapshot.Objects["Process/hello"]); got != want {
		t.Errorf("got %s", got)
	}
}

func TestRenderExternal(t *testing.T) {
	t.Parallel()

	snapshot, err := Render(RenderInput{Target: TargetExternal, Service: "hello"})
	if err != nil {
		t.Fatal(err)
	}

	canonical, err := snapshot.Canonical()
	if want := `{"configuration":{},"objects":{},"renderer":"2","target":"EXTERNAL","workload":{}}`; err != nil || string(canonical) != want {
		t.Errorf("got %s, %v", canonical, err)
	}
}

func TestRenderRefusals(t *testing.T) {
	t.Parallel()

	run := `{"image":"x","command":["a"]`
	ports := `,"service":{"ports":{"http":{"port":80,"targetPort":8080}}}}`
	withPorts := func(container string) string { return strings.TrimSuffix(with(container), "}") + ports }

	cases := []struct {
		name          string
		target        TargetKind
		service       string
		workload      any
		manifests     string
		configuration any
	}{
		{name: "unknown target", target: "MOON", workload: minimal},
		{name: "bad service", service: "Hello!", workload: minimal},
		{name: "no workload"},
		{name: "manifests", manifests: "apiVersion: v1\nkind: Pod\nmetadata: {name: a}"},
		{name: "no command", workload: minimal},
		{name: "arguments without command", workload: with(`{"image":"x","args":["a"]}`)},
		{name: "files", workload: with(run + `,"files":[{"target":"/a","content":""}]}`)},
		{name: "volumes", workload: with(run + `,"volumes":[{"target":"/a","source":"b"}]}`)},
		{name: "liveness probe", workload: with(run + `,"livenessProbe":{"httpGet":{"path":"/","port":8080}}}`)},
		{name: "limits in the workload", workload: with(run + `,"resources":{"limits":{"cpu":"1"}}}`)},
		{name: "limits in the configuration", workload: with(run + `}`), configuration: `{"limits":{"main":{"memory":"64Mi"}}}`},
		{name: "exec probe", workload: with(run + `,"readinessProbe":{"exec":{"command":["a"]}}}`)},
		{name: "https probe", workload: withPorts(run + `,"readinessProbe":{"httpGet":{"path":"/","port":8080,"scheme":"HTTPS"}}}`)},
		{name: "probe of an unmapped port", workload: withPorts(run + `,"readinessProbe":{"httpGet":{"path":"/","port":80}}}`)},
		{name: "probe header twice", workload: withPorts(run + `,"readinessProbe":{"httpGet":{"path":"/","port":8080,"httpHeaders":[{"name":"A","value":"1"},{"name":"A","value":"2"}]}}}`)},
		{name: "UDP port", workload: strings.Replace(withPorts(run+`}`), `"port":80`, `"protocol":"UDP","port":80`, 1)},
		{name: "port twice", workload: strings.Replace(withPorts(run+`}`), `"http":`, `"other":{"port":80},"http":`, 1)},
		{name: "output of no layer", workload: read(t, "hello.yaml")},
		{name: "secret reference", workload: read(t, "hello.yaml"), configuration: `{"variables":{"REPLACED":""},"resources":{"db":{"user":{"value":"u"},"host.name":{"secretRef":{"name":"db","key":"host"}}}}}`},
		{name: "resource as a whole", workload: strings.Replace(with(run+`,"variables":{"A":"${resources.db}"}}`), `"containers"`, `"resources":{"db":{"type":"pg"}},"containers"`, 1)},
		{name: "patch of nothing", workload: with(run + `}`), configuration: `{"patches":[{"object":"Process/hallo","merge":{}}]}`},
		{name: "patch that tests wrong", workload: with(run + `}`), configuration: `{"patches":[{"object":"Process/hello","operations":[{"op":"test","path":"/replicas","value":3}]}]}`},
		{name: "patch of a missing path", workload: with(run + `}`), configuration: `{"patches":[{"object":"Process/hello","operations":[{"op":"remove","path":"/ports/http"}]}]}`},
		{name: "patch with index outside", workload: with(run + `}`), configuration: `{"patches":[{"object":"Process/hello","operations":[{"op":"add","path":"/containers/main/command/7","value":"x"}]}]}`},
		{name: "patch with negative index", workload: with(run + `}`), configuration: `{"patches":[{"object":"Process/hello","operations":[{"op":"remove","path":"/containers/main/command/-1"}]}]}`},
		{name: "patch to something else", workload: with(run + `}`), configuration: `{"patches":[{"object":"Process/hello","merge":{"replicas":"two"}}]}`},
		{name: "patch with unknown member", workload: with(run + `}`), configuration: `{"patches":[{"object":"Process/hello","merge":{"namespace":"x"}}]}`},
		{name: "patch of the name", workload: with(run + `}`), configuration: `{"patches":[{"object":"Process/hello","merge":{"name":"x"}}]}`},
		{name: "patch to no command", workload: with(run + `}`), configuration: `{"patches":[{"object":"Process/hello","merge":{"containers":{"main":{"command":null}}}}]}`},
		{name: "patch to no container", workload: with(run + `}`), configuration: `{"patches":[{"object":"Process/hello","merge":{"containers":null}}]}`},
		{name: "patch to bad port", workload: with(run + `}`), configuration: `{"patches":[{"object":"Process/hello","merge":{"ports":{"http":{"port":80}}}}]}`},
		{name: "patch to bad replicas", workload: with(run + `}`), configuration: `{"patches":[{"object":"Process/hello","merge":{"replicas":-1}}]}`},
		{name: "patch to bad start-up", workload: with(run + `}`), configuration: `{"patches":[{"object":"Process/hello","merge":{"startupSeconds":0}}]}`},
		{name: "patch that doubles", workload: with(run + `}`), configuration: `{"patches":[{"object":"Process/hello","operations":[{"op":"add","path":"/x","value":["` + strings.Repeat("y", 1000) + `"]}` + strings.Repeat(`,{"op":"copy","from":"/x","path":"/x/-"}`, 50) + `]}]}`},
	}

	var out strings.Builder

	for _, c := range cases {
		if c.target == "" {
			c.target = TargetProcess
		}

		if c.service == "" {
			c.service = "hello"
		}

		w, err := ParseWorkload("workload", c.workload, c.manifests)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}

		_, err = Render(RenderInput{Target: c.target, Service: c.service, Workload: w, Configuration: mustConfiguration(t, c.configuration)})
		if err == nil {
			t.Errorf("%s: rendered", c.name)

			continue
		}

		fmt.Fprintf(&out, "%s\n\t%s\n", c.name, refusal(t, err))
	}

	golden(t, "render_refusals.txt", out.String())
}
