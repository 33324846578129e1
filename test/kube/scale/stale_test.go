package scale

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/test/apiproxy"
)

// workload is a Deployment of the test application.
func workload(image, version string) string {
	return `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: ` + image + `
        env: [{name: VERSION, value: "` + version + `"}]
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
`
}

// TestStaleWatch deploys while what the watches tell is held back: verdicts are
// right and in time, no step that was done is done again, and what was held back
// changes nothing when it comes.
func TestStaleWatch(t *testing.T) {
	t.Parallel()

	c := connect(t)
	p := apiproxy.New(t, c)
	a := serve(t, "sqlite", map[string]string{"test": p.Kubeconfig(t, "")})
	place := namespace(t, c)
	a.environment(t, place, "test", "{environment}")

	image, err := c.PushApp(t.Context(), "scale-app", "1", nil)
	if err != nil {
		t.Fatal(err)
	}

	if err := a.service(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}

	versions := []string{"1.0.0", "2.0.0", "3.0.0"}

	var made []string

	for i, version := range versions {
		if i == 1 {
			a.drift(t, place, "IN_SYNC", 1)
			p.HoldWatches()
		}

		a.must(t, `mutation($in: RegisterVersionInput!) { registerVersion(input: $in) { created } }`, object{"in": object{
			"service": "web", "version": version, "workload": object{"manifests": workload(image, version)},
		}}, nil)

		id, err := a.deploy(t.Context(), "web", place, version)
		if err != nil {
			t.Fatal(err)
		}

		a.until(t, id, version+" succeeds", ended("SUCCEEDED"))

		made = append(made, id)
	}

	// Long enough for whatever looks again by itself.
	held := 8 * time.Second
	if long() {
		held = 30 * time.Second
	}

	<-time.After(held)

	check := func(when string) {
		for i, id := range made {
			d := a.find(t, id)
			if d.Status != "SUCCEEDED" {
				t.Errorf("%s, %s is %s", when, versions[i], d.Status)
			}

			for _, s := range d.Steps {
				if s.Status != "SUCCEEDED" || s.Attempt != 1 {
					t.Errorf("%s, step %s of %s is %s after %d attempts", when, s.Kind, versions[i], s.Status, s.Attempt)
				}
			}
		}

		writes := 0

		for _, r := range p.Requests() {
			if r.Method == http.MethodPatch && !r.DryRun && strings.HasSuffix(r.Path, place+"/deployments/web") {
				writes++
			}
		}

		if writes != len(versions) {
			t.Errorf("%s, %d versions were written %d times", when, len(versions), writes)
		}
	}

	check("while the watches are held")
	p.ReleaseWatches()
	a.drift(t, place, "IN_SYNC", 1)
	check("afterwards")

	if runs := kubectl(t, c, "", "get", "deployment", "web", "-n", place, "-o", "jsonpath={.spec.template.spec.containers[0].env[0].value}"); runs != "3.0.0" {
		t.Errorf("the cluster runs %s", runs)
	}
}
