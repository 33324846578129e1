package observe_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/environment"
	"github.com/shiplog/shiplog/ent/db/snapshot"
	"github.com/shiplog/shiplog/ent/db/target"
	"github.com/shiplog/shiplog/ent/db/version"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/live"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/observe"
	"github.com/shiplog/shiplog/internal/store"
)

// world is a memory with one service in one environment, and its target.
type world struct {
	t      *testing.T
	store  *store.Store
	logs   *logs.Logs
	hub    *live.Hub
	memory *memory
	real   observe.Target // instead of memory
	unit   deployer.Unit

	service, environment, target, placement string
}

func newWorld(t *testing.T, s *store.Store) *world {
	t.Helper()

	w := &world{t: t, store: s, memory: newMemory(), unit: deployer.Unit{Service: "hello", Environment: "dev"}}
	w.service, w.environment, w.target = w.id(id.Service), w.id(id.Environment), w.id(id.Target)
	w.placement = id.PlacementID(w.service, w.environment)

	w.hub = live.New(s, slog.New(slog.DiscardHandler))

	l, err := logs.New(s, w.hub, logs.Config{})
	if err != nil {
		t.Fatal(err)
	}

	w.logs = l

	now := store.Now()

	w.tx(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.Target.Create().SetID(w.target).SetCreatedAt(now).SetKind(target.KindPROCESS).Exec(ctx); err != nil {
			return err
		}

		if err := tx.Service.Create().SetID(w.service).SetCreatedAt(now).SetName(w.unit.Service).SetTitle("Hello").SetLabels(map[string]string{}).Exec(ctx); err != nil {
			return err
		}

		if err := tx.Environment.Create().SetID(w.environment).SetCreatedAt(now).SetName(w.unit.Environment).SetTitle("Dev").
			SetLabels(map[string]string{}).SetTier(environment.TierDEVELOPMENT).SetRank(1).SetTargetID(w.target).Exec(ctx); err != nil {
			return err
		}

		return tx.Placement.Create().SetID(w.placement).SetCreatedAt(now).SetServiceID(w.service).SetEnvironmentID(w.environment).Exec(ctx)
	})

	return w
}

func (w *world) id(kind id.Kind) string {
	w.t.Helper()

	s, err := id.New(kind)
	if err != nil {
		w.t.Fatal(err)
	}

	return s
}

func (w *world) tx(f func(ctx context.Context, tx *store.Tx) error) {
	w.t.Helper()

	if err := w.store.WithTx(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

// changed records that the deployment has changed.
func (w *world) changed(tx *store.Tx, deployment string) error {
	_, err := journal.Record(tx, journal.Entry{
		Type: "deployment.status", Actor: journal.Actor{Kind: journal.System, Issuer: "local", Subject: "test", Display: "test"},
		Source: "test", Subject: deployment, Message: "changed",
	})

	return err
}

// apply begins a deployment of a version with this name.
func (w *world) apply(name string) (deploymentID, versionID, digest string) {
	w.t.Helper()

	deploymentID, versionID, digest = w.id(id.Deployment), w.id(id.Version), "sha256:"+name+w.service
	snapshotID := w.id(id.Snapshot)
	now := store.Now()

	w.tx(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.Document.Create().SetID(digest).SetContent("{}").Exec(ctx); err != nil {
			return err
		}

		if err := tx.Snapshot.Create().SetID(snapshotID).SetCreatedAt(now).SetDigest(digest).SetDocumentID(digest).SetRenderer("1").SetTarget(snapshot.TargetPROCESS).Exec(ctx); err != nil {
			return err
		}

		if err := tx.Version.Create().SetID(versionID).SetCreatedAt(now).SetServiceID(w.service).SetName(name).SetOrdinal(now.UnixNano()).
			SetLabels(map[string]string{}).SetActorKind(version.ActorKindSYSTEM).SetActorIssuer("local").SetActorSubject("test").SetActorDisplay("test").
			SetBuiltAt(now).SetWorkloadKind(version.WorkloadKindSCORE).SetContentDigest(name).Exec(ctx); err != nil {
			return err
		}

		if err := tx.Deployment.Create().SetID(deploymentID).SetCreatedAt(now).SetServiceID(w.service).SetEnvironmentID(w.environment).SetVersionID(versionID).
			SetTargetID(w.target).SetKind(deployment.KindDEPLOY).SetCause(deployment.CauseUSER).SetStatus(deployment.StatusRUNNING).SetOccurredAt(now).
			SetActorKind(deployment.ActorKindSYSTEM).SetActorIssuer("local").SetActorSubject("test").SetActorDisplay("test").
			SetActedAt(now).SetSnapshotID(snapshotID).SetHoldsSlot(true).Exec(ctx); err != nil {
			return err
		}

		if err := tx.Placement.UpdateOneID(w.placement).SetAppliedID(deploymentID).Exec(ctx); err != nil {
			return err
		}

		if _, err := w.logs.AppendTx(ctx, tx, deploymentID, logs.Batch{Lines: []logs.Line{{
			Time: now, Stream: logs.Step, Phase: logs.Rollout, Step: "apply", Text: "applying " + name,
		}}}); err != nil {
			return err
		}

		return w.changed(tx, deploymentID)
	})

	return deploymentID, versionID, digest
}

// finish ends the deployment.
func (w *world) finish(deploymentID string) {
	w.t.Helper()

	w.tx(func(ctx context.Context, tx *store.Tx) error {
		err := tx.Deployment.UpdateOneID(deploymentID).SetStatus(deployment.StatusSUCCEEDED).SetFinishedAt(store.Now()).SetHoldsSlot(false).Exec(ctx)
		if err != nil {
			return err
		}

		return w.changed(tx, deploymentID)
	})
}

// observer runs an observer as the replica until the test or stop ends it.
func (w *world) observer(replica string, cfg observe.Config) (stop func()) {
	w.t.Helper()

	cfg.Kind, cfg.Target, cfg.Logger = target.KindPROCESS, w.memory, slog.New(slog.DiscardHandler)
	if w.real != nil {
		cfg.Target = w.real
	}

	o := observe.New(w.store, w.hub, w.logs, store.NewLeases(w.store, replica), cfg)

	ctx, cancel := context.WithCancel(context.Background())

	var wg sync.WaitGroup

	wg.Go(func() { o.Run(ctx) })

	stop = func() {
		cancel()
		wg.Wait()
	}
	w.t.Cleanup(stop)

	return stop
}

// until waits until the condition holds.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()

	for deadline := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("never: %s", what)
		}

		select {
		case <-time.After(5 * time.Millisecond):
		case <-w.t.Context().Done():
		}
	}
}

func (w *world) row() *db.Placement { return w.store.Read.Placement.GetX(w.t.Context(), w.placement) }

func (w *world) drift(want string) {
	w.t.Helper()
	w.until("drift "+want, func() bool {
		d := w.row().Drift

		return d != nil && string(*d) == want
	})
}

func (w *world) head(deploymentID string) logs.Head {
	w.t.Helper()

	heads, err := w.logs.Heads(w.t.Context(), w.store.Read, deploymentID)
	if err != nil {
		w.t.Fatal(err)
	}

	return heads[deploymentID]
}

// lines gives the container lines of the log and its gaps.
func (w *world) lines(deploymentID string) (texts []string, gaps []logs.Gap) {
	w.t.Helper()

	for after := int64(0); ; {
		page, err := w.logs.Page(w.t.Context(), w.store.Read, deploymentID, logs.PageQuery{After: &after, First: 1000})
		if err != nil {
			w.t.Fatal(err)
		}

		gaps = append(gaps, page.Gaps...)

		for _, l := range page.Lines {
			if l.Stream == logs.Container {
				texts = append(texts, l.Text)
			}
		}

		if !page.HasNext {
			return texts, gaps
		}

		after = page.Lines[len(page.Lines)-1].Seq
	}
}
