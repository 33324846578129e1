package cli

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// The part of the story that asks where things stand.

// placements asks where hello is, now (the zero time) or at a past moment.
func (t *story) placements(ctx context.Context, at time.Time) (map[string]placement, []placement, error) {
	type answer struct{ Placements page[placement] }

	variables := input{"first": 100, "filter": map[string]any{"service": "hello"}}
	if !at.IsZero() {
		variables["at"] = at.UTC().Format(time.RFC3339Nano)
	}

	a, err := get[answer](ctx, t.s, "placements", variables)
	byName := map[string]placement{}

	for _, one := range a.Placements.Nodes {
		byName[one.Environment.Name] = one
	}

	return byName, a.Placements.Nodes, err
}

// address is where an environment's hello answers.
func (t *story) address(ctx context.Context, environment string) (string, error) {
	placements, _, err := t.placements(ctx, time.Time{})
	if err != nil {
		return "", err
	}

	if placements[environment].Recorded == nil {
		return "", &missError{what: "hello in " + environment, want: "recorded", got: "missing"}
	}

	return t.web(*placements[environment].Recorded)
}

// settle waits until what is observed in an environment is the given version
// with all its instances and the given drift, or patience ends.
func (t *story) settle(ctx context.Context, environment, want string) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()

	for until := time.Now().Add(patience); ; {
		placements, _, err := t.placements(ctx, time.Time{})
		if err != nil {
			return err
		}

		got := running(placements[environment].Observed) + " " + placements[environment].Drift
		if got == want || time.Now().After(until) {
			return t.expect("what runs in "+environment, got, want)
		}

		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ask asks where each version is running, now and before the rollback.
func (t *story) ask(ctx context.Context) error {
	t.step("Where is each version running now? (In development 1.3.0 was tried last, and 1.1.0 still runs.)",
		"shiplog where hello", "shiplog matrix")

	if err := t.settle(ctx, "development", "1.1.0 1/1 VERSION_DIFFERS"); err != nil {
		return err
	}

	if err := t.settle(ctx, "production", "1.0.0 2/2 IN_SYNC"); err != nil {
		return err
	}

	now, rows, err := t.placements(ctx, time.Time{})
	if err != nil {
		return err
	}

	for _, one := range [][2]string{{"development", "1.1.0"}, {"elsewhere", "1.1.0"}, {"production", "1.0.0"}} {
		if err := t.recorded(now, one[0], one[1]); err != nil {
			return err
		}
	}

	t.p.linef("")
	placementTable(t.indented(), rows)

	m, err := get[struct{ Matrix matrix }](ctx, t.s, "matrix", input{"first": 100})
	if err != nil {
		return err
	}

	t.p.linef("")
	matrixTable(t.indented(), m.Matrix)

	t.step("And where was it before the rollback?",
		"shiplog where hello --at "+t.beforeRollback.UTC().Format("2006-01-02T15:04:05.000Z07:00"))

	then, rows, err := t.placements(ctx, t.beforeRollback)
	if err != nil {
		return err
	}

	if err := t.recorded(then, "production", "1.1.0"); err != nil {
		return err
	}

	placementTable(t.indented(), rows)

	return nil
}

// recorded checks which version is recorded in an environment.
func (t *story) recorded(placements map[string]placement, environment, want string) error {
	got := "none"
	if recorded := placements[environment].Recorded; recorded != nil {
		got = recorded.versionName()
	}

	return t.expect("the version recorded in "+environment, got, want)
}

// again shows where things stand on data on which the story was played before,
// and brings back what does not run any more.
func (t *story) again(ctx context.Context, finished bool) error {
	sentence := "The story was played on this data before; this is where things stand. (Remove the data to play it again.)"
	if !finished {
		sentence = "The story was begun on this data before, but not finished; this is where things stand. (Remove the data to play it.)"
	}

	if !finished && t.exit {
		return &missError{what: "the story on this data", want: "unplayed or finished", got: "begun and not finished"}
	}

	t.step(sentence, "shiplog where hello", "shiplog deployments --service hello")

	for _, environment := range []string{"development", "production"} {
		one, err := t.observed(ctx, environment)
		if err != nil {
			return err
		}

		if err := t.revive(ctx, one); err != nil {
			return err
		}
	}

	_, rows, err := t.placements(ctx, time.Time{})
	if err != nil {
		return err
	}

	t.p.linef("")
	placementTable(t.indented(), rows)

	type answer struct{ Deployments page[deployment] }

	a, err := get[answer](ctx, t.s, "deployments", input{"first": 20, "filter": map[string]any{"service": "hello"}})
	if err != nil {
		return err
	}

	t.p.linef("")
	deploymentTable(t.indented(), a.Deployments.Nodes)

	return nil
}

// observed waits until this server has looked at an environment and found
// nothing, or all of it ready: what was seen before its start may have ended
// since, and what it starts again takes a moment.
func (t *story) observed(ctx context.Context, environment string) (placement, error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()

	for until := time.Now().Add(patience); ; {
		placements, _, err := t.placements(ctx, time.Time{})
		if err != nil {
			return placement{}, err
		}

		one := placements[environment]
		if one.Recorded == nil || (one.Observed != nil && one.Observed.At.After(t.began) && one.Observed.settled()) {
			return one, nil
		}

		if time.Now().After(until) {
			return placement{}, &missError{
				what: "what runs in " + environment, want: "settled", got: strconv.Quote(running(one.Observed)) + " after " + patience.String(),
			}
		}

		select {
		case <-tick.C:
		case <-ctx.Done():
			return placement{}, ctx.Err()
		}
	}
}

// revive repeats the deployment that is in place when nothing of it runs,
// because the demo's processes were stopped with it; what still runs was
// adopted.
func (t *story) revive(ctx context.Context, one placement) error {
	if one.Recorded == nil {
		return nil
	}

	environment, recorded := one.Environment.Name, *one.Recorded

	if one.Observed == nil || len(one.Observed.Versions) == 0 {
		const why = "the demo was started again"

		in := input{"deployment": recorded.ID, "reason": why, "idempotencyKey": keyed{}.key()}
		command := "shiplog redeploy " + recorded.ID + " --wait"

		if one.Hold != nil { // it stays where it is held
			in["override"] = map[string]any{"reason": why}
			command += ` --override "` + why + `"`
		}

		t.step("Nothing runs in "+environment+": the demo's end stopped it. The same deployment again, as it was.", command)

		got, err := mutate[struct{ Deployment deployment }](ctx, t, "redeploy", in)
		if err != nil {
			return err
		}

		if recorded, err = t.watch(ctx, got.Deployment.ID); err != nil {
			return err
		}

		if err := t.expect("the deployment to "+environment, recorded.Status, "SUCCEEDED"); err != nil {
			return err
		}
	}

	address, err := t.web(recorded)
	if err != nil {
		return err
	}

	if err := t.reach(ctx, address); err != nil {
		return err
	}

	return t.fetch(ctx, address, "/", 200, "Hello from "+environment+" from hello "+recorded.versionName())
}

// reach waits until an address answers at all: an instance that was started
// again gets its clients a moment after it is ready.
func (t *story) reach(ctx context.Context, address string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()

	for until := time.Now().Add(patience); ; {
		request, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
		if err != nil {
			return fmt.Errorf("ask %s: %w", address, err)
		}

		answer, err := t.http.Do(request)
		if err == nil {
			return answer.Body.Close()
		}

		if time.Now().After(until) {
			return &missError{what: "HEAD " + address, want: "answered", got: err.Error()}
		}

		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// paste prints the addresses and some commands to go on with.
func (t *story) paste(ctx context.Context) {
	t.p.linef("\n%s", t.p.paint("Go on by hand:", bold))

	addresses := []cell{
		text("GraphiQL"), text(t.url + "/graphiql"),
		text("GraphQL"), text(t.url + "/graphql (POST, WebSocket, SSE)"),
	}

	for _, environment := range []string{"development", "production"} {
		if address, err := t.address(ctx, environment); err == nil {
			addresses = append(addresses, text("hello in "+environment), text(address))
		}
	}

	p := t.indented()
	p.fields(addresses...)
	t.p.linef("")

	if t.url != "http://127.0.0.1:8080" {
		p.linef("export SHIPLOG_SERVER=%s", t.url)
	}

	for _, command := range []string{
		"bin/shiplog where hello",
		"bin/shiplog deployments --service hello",
		"bin/shiplog logs -f hello/production --until replaced",
		"bin/shiplog hold release hello/production",
		"bin/shiplog deploy hello 1.1.0 production --wait",
		"bin/shiplog rollback hello production --wait",
	} {
		p.linef("%s", command)
	}
}
