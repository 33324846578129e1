package faults

import (
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/shiplog/shiplog/deployer/deployertest"
	enthold "github.com/shiplog/shiplog/ent/db/hold"
	entstep "github.com/shiplog/shiplog/ent/db/step"
	"github.com/shiplog/shiplog/internal/catalog"
	engine "github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/fault"
)

// The acts of random sequences, each asked of the model and of the engine.

func (q *sequence) register() error {
	v := modelVersion{revision: q.revisions, works: q.dice.IntN(4) > 0}
	behaviour := deployertest.Serves

	// Sometimes the same content comes by another name.
	if n := len(q.model.versions); n > 0 && q.dice.IntN(5) == 0 {
		v = q.model.versions[q.dice.IntN(n)]
	} else {
		q.revisions++
	}

	if !v.works {
		behaviour = deployertest.Crashes
	}

	name := fmt.Sprintf("1.0.%d", len(q.model.versions))
	q.say("register %s: %+v", name, v)

	_, err := q.catalog.RegisterVersion(q.ctx, catalog.RegisterVersion{Service: q.name, Version: name, Workload: &catalog.WorkloadInput{Score: map[string]any{
		"apiVersion": "score.dev/v1b1", "metadata": map[string]any{"name": q.name},
		"containers": map[string]any{"main": map[string]any{
			"image": "none", "command": []string{"ledger"}, "args": []string{string(behaviour), strconv.Itoa(v.revision)},
		}},
	}}})
	q.model.versions = append(q.model.versions, v)

	return err
}

// request makes what all acts have in common, for the model and for the engine.
func (q *sequence) request(version int, content string) (modelRequest, *bool, *engine.Override, *string) {
	r := modelRequest{version: version, content: content, preempt: q.dice.IntN(4) == 0, override: q.dice.IntN(4) == 0}

	var (
		override *engine.Override
		expected *string
	)

	if r.override {
		override = &engine.Override{Reason: "it has to be"}
	}

	if q.dice.IntN(6) == 0 {
		none := ""
		r.expects, expected = true, &none

		if n := len(q.ids); n > 0 && q.dice.IntN(2) == 0 {
			n = q.dice.IntN(n)
			r.expected, expected = q.model.deployments[n], &q.ids[n]
		} else if q.model.recorded != nil && q.dice.IntN(2) == 0 {
			r.expected, expected = q.model.recorded, &q.ids[q.model.recorded.n]
		}
	}

	return r, &r.preempt, override, expected
}

func (q *sequence) deploy() error {
	version := q.dice.IntN(len(q.model.versions))
	r, preempt, override, expected := q.request(version, "")
	key := uuid.NewString()

	return q.ask(fmt.Sprintf("deploy %+v", r), func(s *script) fault.Code { return q.model.create(s, r) }, func(ctx context.Context) (string, error) {
		made, err := q.now.Deploy(ctx, engine.Deploy{
			Service: q.name, Environment: q.place, Version: fmt.Sprintf("1.0.%d", version),
			Preempt: preempt, Override: override, ExpectedCurrent: expected, IdempotencyKey: &key,
		})
		if err != nil {
			return "", err
		}

		return made.Deployment.ID, nil
	})
}

// elsewhere is where somebody else deploys.
func (q *sequence) elsewhere() string { return q.place + "-elsewhere" }

// promote brings what somebody else has deployed elsewhere, now or before.
func (q *sequence) promote() error {
	if q.dice.IntN(2) == 0 {
		version := q.dice.IntN(len(q.model.versions))
		q.model.elsewhere = &version
		q.say("recorded elsewhere: %d", version)

		if _, err := q.now.Record(q.ctx, q.catalog, engine.Record{Service: q.name, Environment: q.elsewhere(), Version: fmt.Sprintf("1.0.%d", version)}); err != nil {
			return err
		}
	}

	version := 0
	if q.model.elsewhere != nil {
		version = *q.model.elsewhere
	}

	r, preempt, override, expected := q.request(version, "")
	key := uuid.NewString()

	return q.ask(fmt.Sprintf("promote %+v", r), func(s *script) fault.Code {
		if q.model.elsewhere == nil {
			return fault.Conflict
		}

		return q.model.create(s, r)
	}, func(ctx context.Context) (string, error) {
		made, err := q.now.Promote(ctx, engine.Promote{
			Service: q.name, From: q.elsewhere(), To: q.place, Preempt: preempt, Override: override, ExpectedCurrent: expected, IdempotencyKey: &key,
		})
		if err != nil {
			return "", err
		}

		return made.Deployment.ID, nil
	})
}

func (q *sequence) redeploy(of *modelDeployment) error {
	configuration, content := engine.Then, of.content
	if q.dice.IntN(2) == 0 {
		configuration, content = engine.Latest, ""
	}

	r, preempt, override, expected := q.request(of.version, content)
	key := uuid.NewString()

	return q.ask(fmt.Sprintf("redeploy %d %s %+v", of.n, configuration, r), func(s *script) fault.Code {
		if of.undeploy || configuration == engine.Then && of.content == "" {
			return fault.Conflict
		}

		return q.model.create(s, r)
	}, func(ctx context.Context) (string, error) {
		made, err := q.now.Redeploy(ctx, engine.Redeploy{
			Deployment: q.ids[of.n], Configuration: &configuration, Preempt: preempt, Override: override, ExpectedCurrent: expected, IdempotencyKey: &key,
		})
		if err != nil {
			return "", err
		}

		return made.Deployment.ID, nil
	})
}

func (q *sequence) rollback() error {
	to, named := q.model.lastGood(), (*string)(nil)
	if len(q.ids) > 0 && q.dice.IntN(3) == 0 {
		to = q.any()
		named = &q.ids[to.n]
	}

	r, preempt, override, expected := q.request(0, "")
	r.rollback, r.hold = true, q.dice.IntN(3) == 0

	if to != nil {
		r.version, r.content = to.version, to.content
	}

	key := uuid.NewString()

	return q.ask(fmt.Sprintf("rollback to %s %+v", number(to), r), func(s *script) fault.Code {
		if to == nil || to.content == "" || to.order == 0 && !r.override {
			return fault.Conflict
		}

		return q.model.create(s, r)
	}, func(ctx context.Context) (string, error) {
		made, err := q.now.Rollback(ctx, engine.Rollback{
			Service: q.name, Environment: q.place, To: named, Hold: &r.hold, Preempt: preempt, Override: override, ExpectedCurrent: expected, IdempotencyKey: &key,
		})
		if err != nil {
			return "", err
		}

		return made.Deployment.ID, nil
	})
}

func (q *sequence) undeploy() error {
	r, preempt, override, expected := q.request(0, "")
	r.undeploy = true
	key := uuid.NewString()

	return q.ask(fmt.Sprintf("undeploy %+v", r), func(s *script) fault.Code { return q.model.create(s, r) }, func(ctx context.Context) (string, error) {
		made, err := q.now.Undeploy(ctx, engine.Undeploy{
			Service: q.name, Environment: q.place, Preempt: preempt, Override: override, ExpectedCurrent: expected, IdempotencyKey: &key,
		})
		if err != nil {
			return "", err
		}

		return made.Deployment.ID, nil
	})
}

func (q *sequence) cancel(d *modelDeployment) error {
	return q.ask(fmt.Sprintf("cancel %d", d.n), func(s *script) fault.Code { return q.model.cancel(s, d) }, func(ctx context.Context) (string, error) {
		_, err := q.now.Cancel(ctx, engine.Cancel{Deployment: q.ids[d.n]})

		return "", err
	})
}

func (q *sequence) resolve(d *modelDeployment, outcome string) error {
	name, _ := d.unknown()

	step, err := q.store.Read.Step.Query().Where(entstep.DeploymentID(q.ids[d.n]), entstep.Name(name)).OnlyID(q.ctx)
	if err != nil {
		return err
	}

	return q.ask(fmt.Sprintf("resolve %s of %d: %s", name, d.n, outcome), func(s *script) fault.Code {
		q.model.resolve(s, d, outcome)

		return ""
	}, func(ctx context.Context) (string, error) {
		_, err := q.now.ResolveStep(ctx, engine.ResolveStep{Step: step, Outcome: engine.Outcome(outcome), Reason: "it was seen"})

		return "", err
	})
}

func (q *sequence) configure() error {
	q.model.config = q.dice.IntN(3)
	q.say("configure %d", q.model.config)

	content := map[string]any{}
	if q.model.config > 0 {
		content["variables"] = map[string]any{"N": strconv.Itoa(q.model.config)}
	}

	_, err := q.catalog.SetConfiguration(q.ctx, catalog.SetConfiguration{Service: &q.name, Content: content})

	return err
}

// lock locks the place, or unlocks it: an environment of the sequence's own.
func (q *sequence) lock() error {
	was := q.model.locked

	return q.ask(fmt.Sprintf("lock %t", !was), func(*script) fault.Code {
		q.model.locked = !was

		return ""
	}, func(ctx context.Context) (string, error) {
		if was {
			_, err := q.catalog.UnlockEnvironment(ctx, catalog.UnlockEnvironment{Environment: q.place})

			return "", err
		}

		_, err := q.catalog.LockEnvironment(ctx, catalog.LockEnvironment{Environment: q.place, Reason: "by hand"})

		return "", err
	})
}

// hold pins the service, or releases it.
func (q *sequence) hold() error {
	if !q.model.held {
		key := uuid.NewString()

		return q.ask("hold", func(*script) fault.Code {
			q.model.held = true

			return ""
		}, func(ctx context.Context) (string, error) {
			_, err := q.now.CreateHold(ctx, engine.CreateHold{Service: q.name, Environment: q.place, Reason: "by hand", IdempotencyKey: &key})

			return "", err
		})
	}

	stands, err := q.store.Read.Hold.Query().Where(enthold.ServiceID(q.service), enthold.ReleasedAtIsNil()).OnlyID(q.ctx)
	if err != nil {
		return fmt.Errorf("the hold that stands: %w", err)
	}

	return q.ask("release", func(*script) fault.Code {
		q.model.held = false

		return ""
	}, func(ctx context.Context) (string, error) {
		_, err := q.now.ReleaseHold(ctx, engine.ReleaseHold{Hold: stands})

		return "", err
	})
}

// block blocks a version, or unblocks it.
func (q *sequence) block() error {
	n := q.dice.IntN(len(q.model.versions))
	was, name := q.model.blocked[n], fmt.Sprintf("1.0.%d", n)

	return q.ask(fmt.Sprintf("block %s %t", name, !was), func(*script) fault.Code {
		q.model.blocked[n] = !was

		return ""
	}, func(ctx context.Context) (string, error) {
		if was {
			_, err := q.catalog.UnblockVersion(ctx, catalog.UnblockVersion{Service: q.name, Version: name})

			return "", err
		}

		_, err := q.catalog.BlockVersion(ctx, catalog.BlockVersion{Service: q.name, Version: name, Reason: "by hand"})

		return "", err
	})
}
