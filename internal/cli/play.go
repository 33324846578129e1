package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// play tells the story from its beginning.
func (t *story) play(ctx context.Context) error {
	for _, part := range []func(context.Context) error{
		t.setUp, t.firstRelease, t.newEndpoint, t.crash, t.neverReady, t.goBack, t.elsewhere, t.ask,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}

	return nil
}

// setUp makes the graph: a service, three environments, configuration, rules.
func (t *story) setUp(ctx context.Context) error {
	t.step("A person sets up a service and three environments: two on this machine, one that somebody else deploys to.",
		"shiplog service create hello --owner group:default/demo",
		"shiplog environment create development --tier development --rank 10 --target process",
		"shiplog environment create elsewhere --tier staging --rank 20 --target external",
		"shiplog environment create production --tier production --rank 30 --target process")

	if _, err := mutate[any](ctx, t, "createService", input{
		"name": "hello", "title": "Hello", "owner": "group:default/demo", "idempotencyKey": "demo-service",
	}); err != nil {
		return err
	}

	for i, one := range []struct{ name, tier, kind string }{
		{"development", "DEVELOPMENT", "PROCESS"}, {"elsewhere", "STAGING", "EXTERNAL"}, {"production", "PRODUCTION", "PROCESS"},
	} {
		if _, err := mutate[any](ctx, t, "createEnvironment", input{
			"name": one.name, "tier": one.tier, "rank": 10 * (i + 1),
			"target": map[string]any{"kind": one.kind}, "idempotencyKey": "demo-" + one.name,
		}); err != nil {
			return err
		}
	}

	t.step("Each environment adds its own configuration; production runs two instances.",
		`shiplog config set --environment development --var "GREETING=Hello from development"`,
		`shiplog config set --service hello --environment production --var "GREETING=Hello from production" --replicas 2`)

	if _, err := mutate[any](ctx, t, "setConfiguration", input{
		"environment": "development", "idempotencyKey": "demo-config-development",
		"content": map[string]any{"variables": map[string]any{"GREETING": "Hello from development"}},
	}); err != nil {
		return err
	}

	if _, err := mutate[any](ctx, t, "setConfiguration", input{
		"service": "hello", "environment": "production", "idempotencyKey": "demo-config-production",
		"content": map[string]any{"variables": map[string]any{"GREETING": "Hello from production"}, "replicas": 2},
	}); err != nil {
		return err
	}

	t.step("Two rules: every version goes to development; what works there goes on to production if it is from main.",
		"shiplog rule put every-version --on version-registered --to development",
		`shiplog rule put promote --on deployment-succeeded --from development --to production --condition 'version.ref == "main"'`)

	if _, err := mutate[any](ctx, t, "putRule", input{
		"name": "every-version", "trigger": "VERSION_REGISTERED", "targetEnvironment": "development",
		"idempotencyKey": "demo-rule-every-version",
	}); err != nil {
		return err
	}

	_, err := mutate[any](ctx, t, "putRule", input{
		"name": "promote", "trigger": "DEPLOYMENT_SUCCEEDED", "sourceEnvironment": "development",
		"targetEnvironment": "production", "condition": `version.ref == "main"`, "idempotencyKey": "demo-rule-promote",
	})

	return err
}

// announce registers a version as CI would, prints the decisions and gives the
// id of the deployment to development that was made for it.
func (t *story) announce(ctx context.Context, version, ref, startup, sentence string) (string, error) {
	path, err := t.score(version, startup)
	if err != nil {
		return "", err
	}

	t.step(sentence, fmt.Sprintf("shiplog version register hello %s --score %s --ref %s --wait", version, path, ref))

	document, err := t.s.readFile(path)
	if err != nil {
		return "", err
	}

	type payload struct {
		Created   bool
		Decisions []decision
	}

	got, err := mutate[payload](ctx, t, "registerVersion", input{
		"service": "hello", "version": version, "ref": ref, "workload": map[string]any{"score": document},
		"author": "Ada", "idempotencyKey": "demo-version-" + version,
	})
	if err != nil {
		return "", err
	}

	printDecisions(t.indented(), got.Decisions)

	if err := t.expect("the version is new", got.Created, true); err != nil {
		return "", err
	}

	at := slices.IndexFunc(got.Decisions, func(d decision) bool {
		return d.Rule.Name == "every-version" && d.Effect == "DEPLOY" && d.Deployment != nil
	})
	if at < 0 {
		return "", &missError{what: "the decision of every-version", want: "DEPLOY", got: fmt.Sprintf("%+v", got.Decisions)}
	}

	return got.Decisions[at].Deployment.ID, nil
}

// release announces a good version and follows it through both environments.
func (t *story) release(ctx context.Context, version, sentence string) (development, production deployment, err error) {
	position, err := t.position(ctx)
	if err != nil {
		return development, production, err
	}

	id, err := t.announce(ctx, version, "main", "20s", sentence)
	if err != nil {
		return development, production, err
	}

	if development, err = t.watch(ctx, id); err != nil {
		return development, production, err
	}

	if err := t.expect("the deployment to development", development.Status, "SUCCEEDED"); err != nil {
		return development, production, err
	}

	t.step("It works in development and is from main: the rule carries it on to production.",
		"shiplog logs -f hello/production")

	if id, err = t.promoted(ctx, version, "production", position); err != nil {
		return development, production, err
	}

	if production, err = t.watch(ctx, id); err != nil {
		return development, production, err
	}

	return development, production, t.expect("the deployment to production", production.Status, "SUCCEEDED")
}

func (t *story) firstRelease(ctx context.Context) error {
	development, production, err := t.release(ctx, "1.0.0",
		"CI announces hello 1.0.0. The first rule sends it to development; this is its log, live.")
	if err != nil {
		return err
	}

	return t.answers(ctx, development, production, "1.0.0", "1.0.0")
}

// answers asks both environments for their greeting.
func (t *story) answers(ctx context.Context, development, production deployment, inDevelopment, inProduction string) error {
	for _, one := range []struct {
		in      deployment
		name    string
		version string
	}{{development, "development", inDevelopment}, {production, "production", inProduction}} {
		address, err := t.web(one.in)
		if err != nil {
			return err
		}

		if err := t.fetch(ctx, address, "/", 200, "Hello from "+one.name+" from hello "+one.version); err != nil {
			return err
		}
	}

	address, err := t.web(production)
	if err != nil {
		return err
	}

	if inProduction == "1.0.0" { // it has no such endpoint yet
		return t.fetch(ctx, address, "/greet?name=Ada", 404, "404 page not found")
	}

	return t.fetch(ctx, address, "/greet?name=Ada", 200, "Hello from production, Ada, from hello "+inProduction)
}

func (t *story) newEndpoint(ctx context.Context) error {
	development, production, err := t.release(ctx, "1.1.0",
		"CI announces hello 1.1.0, which has a new endpoint, /greet.")
	if err != nil {
		return err
	}

	return t.answers(ctx, development, production, "1.1.0", "1.1.0")
}

// fails announces a version that does not work and checks why it failed and
// that the one before still answers.
func (t *story) fails(ctx context.Context, version, ref, startup, sentence, kind string) (deployment, error) {
	id, err := t.announce(ctx, version, ref, startup, sentence)
	if err != nil {
		return deployment{}, err
	}

	failed, err := t.watch(ctx, id)
	if err != nil {
		return deployment{}, err
	}

	printDiagnosis(t.indented(), failed.Diagnosis)

	if err := t.expect("the deployment to development", failed.Status, "FAILED"); err != nil {
		return deployment{}, err
	}

	if failed.Diagnosis == nil {
		return deployment{}, &missError{what: "the diagnosis", want: kind, got: "missing"}
	}

	if err := t.expect("the diagnosis", failed.Diagnosis.Kind, kind); err != nil {
		return deployment{}, err
	}

	for _, name := range []string{"development", "production"} {
		address, err := t.address(ctx, name)
		if err != nil {
			return deployment{}, err
		}

		if err := t.fetch(ctx, address, "/", 200, "Hello from "+name+" from hello 1.1.0"); err != nil {
			return deployment{}, err
		}
	}

	return failed, nil
}

func (t *story) crash(ctx context.Context) error {
	failed, err := t.fails(ctx, "1.2.0", "main", "20s",
		"CI announces hello 1.2.0, which crashes at its start. It fails with its reason, and the old version goes on.",
		"CRASHED")
	if err != nil {
		return err
	}

	if failed.Diagnosis.ExitCode == nil {
		return &missError{what: "the exit code", want: "3", got: "missing"}
	}

	if err := t.expect("its exit code", *failed.Diagnosis.ExitCode, 3); err != nil {
		return err
	}

	return t.expect("its last words are kept",
		strings.Contains(strings.Join(failed.Diagnosis.LastLines, "\n"), "fatal: cannot parse DATABASE_URL"), true)
}

func (t *story) neverReady(ctx context.Context) error {
	_, err := t.fails(ctx, "1.3.0", "feature/warm-cache", "3s",
		"CI announces hello 1.3.0, which starts but is never ready (it has three seconds).", "NOT_READY")

	return err
}

func (t *story) goBack(ctx context.Context) error {
	t.beforeRollback = time.Now()

	t.step("A person takes production back to what ran before: exactly that snapshot, not a new build, and no rule undoes it.",
		`shiplog rollback hello production --wait --reason "/greet is too friendly"`)

	got, err := mutate[struct{ Deployment deployment }](ctx, t, "rollback", input{
		"service": "hello", "environment": "production", "reason": "/greet is too friendly", "idempotencyKey": "demo-rollback",
	})
	if err != nil {
		return err
	}

	done, err := t.watch(ctx, got.Deployment.ID)
	if err != nil {
		return err
	}

	if err := t.expect("the rollback", done.Kind+" "+done.Status, "ROLLBACK SUCCEEDED"); err != nil {
		return err
	}

	if err := t.expect("its version", done.versionName(), "1.0.0"); err != nil {
		return err
	}

	address, err := t.web(done)
	if err != nil {
		return err
	}

	if err := t.fetch(ctx, address, "/", 200, "Hello from production from hello 1.0.0"); err != nil {
		return err
	}

	return t.fetch(ctx, address, "/greet?name=Ada", 404, "404 page not found")
}

func (t *story) elsewhere(ctx context.Context) error {
	t.step("Somebody else deployed 1.1.0 elsewhere, with other tools; Shiplog remembers it all the same.",
		"shiplog record hello 1.1.0 elsewhere --by jenkins")

	got, err := mutate[struct{ Deployment deployment }](ctx, t, "recordDeployment", input{
		"service": "hello", "version": "1.1.0", "environment": "elsewhere", "actor": "jenkins",
		"idempotencyKey": "demo-elsewhere",
	})
	if err != nil {
		return err
	}

	return t.expect("the recorded deployment", got.Deployment.Kind+" "+got.Deployment.Status, "EXTERNAL SUCCEEDED")
}
