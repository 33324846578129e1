package faults

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/shiplog/shiplog/deployer"
	entdeployment "github.com/shiplog/shiplog/ent/db/deployment"
	entenvironment "github.com/shiplog/shiplog/ent/db/environment"
	entservice "github.com/shiplog/shiplog/ent/db/service"
	entstep "github.com/shiplog/shiplog/ent/db/step"
	"github.com/shiplog/shiplog/ent/db/target"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/catalog"
	engine "github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/live"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

// Random sequences of acts, crashes and owners that fall asleep, each on a
// service of its own, give what a model of plain values gives: after every act
// the same statuses, steps, placements and contents of the target, and the same
// refusals. The owners live in this process: one that dies ends between two
// statements, as a killed process does, and leaves its lease and its transaction
// behind.
func TestSequencesOfActsAndCrashesAgainstAModel(t *testing.T) {
	t.Parallel()

	settings := shared(t)
	sequences := settings.size(60, 1000)

	t.Logf("seed %d, %d sequences on each database", settings.seed, sequences)

	for stream, dialect := range map[uint64]string{10_000: "sqlite", 20_000: "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()

			theatre, err := newTheatre(storetest.Open(t, dialect))
			if err != nil {
				t.Fatal(err)
			}

			var all errgroup.Group

			all.SetLimit(4)

			for i := range sequences {
				all.Go(func() error {
					q, err := theatre.sequence(admin(t), i, rand.New(rand.NewPCG(settings.seed, stream+uint64(i))))
					if err != nil {
						return err
					}

					if err := q.play(); err != nil {
						return fmt.Errorf("sequence %d: %w\n%s", i, err, strings.Join(q.history, "\n"))
					}

					return nil
				})
			}

			if err := all.Wait(); err != nil {
				t.Fatal(err)
			}

			verify(t, theatre.store)
		})
	}
}

// theatre is a database for many sequences.
type theatre struct {
	store *store.Store
	logs  *logs.Logs
}

func newTheatre(s *store.Store) (*theatre, error) {
	log := slog.New(slog.DiscardHandler)

	lines, err := logs.New(s, live.New(s, log), logs.Config{Logger: log})
	if err != nil {
		return nil, err
	}

	return &theatre{store: s, logs: lines}, nil
}

// engine is one more owner, such as a server that was started.
func (h *theatre) engine(to deployer.Deployer) (*engine.Engine, error) {
	return engine.New(engine.Config{
		Store: h.store, Leases: store.NewLeases(h.store, uuid.NewString()), Log: scriptedLog{stepLog{h.logs}},
		Logger: slog.New(slog.DiscardHandler), Poll: time.Millisecond,
		Deployers: map[spec.TargetKind]deployer.Deployer{spec.TargetProcess: scriptedTarget{to}},
	})
}

// sequence is one service in one environment with its target, and what the model says of them.
type sequence struct {
	*theatre

	ctx         context.Context // of the test, for all that it asks
	dice        *rand.Rand
	name        string
	service     string
	place       string
	environment string
	target      *ledger
	now         *engine.Engine
	catalog     *catalog.Catalog
	model       *model
	ids         []string
	contents    map[string]string // snapshot by content
	asleep      *pair             // an owner who was taken for dead
	revisions   int
	history     []string
}

// pair is a run of the model and the same of the engine.
type pair struct{ model, real *course }

func (h *theatre) sequence(ctx context.Context, i int, dice *rand.Rand) (*sequence, error) {
	q := &sequence{theatre: h, ctx: ctx, dice: dice, name: fmt.Sprintf("q%d", i), place: fmt.Sprintf("p%d", i), target: newLedger(), model: &model{blocked: map[int]bool{}}, contents: map[string]string{}}

	if err := q.restart(); err != nil {
		return nil, err
	}

	if _, err := q.catalog.CreateService(ctx, catalog.CreateService{Name: q.name}); err != nil {
		return nil, err
	}

	_, err := q.catalog.CreateEnvironment(ctx, catalog.CreateEnvironment{
		Name: q.place, Tier: entenvironment.TierPRODUCTION, Rank: i, Target: catalog.Target{Kind: target.KindPROCESS},
	})
	if err != nil {
		return nil, err
	}

	_, err = q.catalog.CreateEnvironment(ctx, catalog.CreateEnvironment{
		Name: q.elsewhere(), Tier: entenvironment.TierSTAGING, Rank: i, Target: catalog.Target{Kind: target.KindEXTERNAL},
	})
	if err != nil {
		return nil, err
	}

	if q.environment, err = h.store.Read.Environment.Query().Where(entenvironment.Name(q.place)).OnlyID(ctx); err != nil {
		return nil, err
	}

	q.service, err = h.store.Read.Service.Query().Where(entservice.Name(q.name)).OnlyID(ctx)

	return q, err
}

func (q *sequence) restart() (err error) {
	if q.now, err = q.engine(q.target); err == nil {
		q.catalog = catalog.New(q.store, q.now)
	}

	return err
}

func (q *sequence) say(format string, args ...any) {
	q.history = append(q.history, fmt.Sprintf(format, args...))
}

// play plays some thirty acts, lets everything come to its end, and compares.
func (q *sequence) play() error {
	defer func() { // nobody sleeps on when it went wrong
		if q.asleep != nil {
			q.asleep.model.goOn(true)
			q.asleep.real.goOn(true)
		}
	}()

	for range 20 + q.dice.IntN(20) {
		if err := q.act(); err != nil {
			return err
		}

		if err := q.compare(); err != nil {
			return err
		}
	}

	if err := q.wakeUp(); err != nil {
		return err
	}

	for { // until nothing is left to do
		if err := q.run(newScript(-1, ""), newScript(-1, "")); err != nil {
			return err
		}

		left := slices.IndexFunc(q.model.deployments, func(d *modelDeployment) bool { return !d.final() })
		if left < 0 {
			return q.compare()
		}

		if err := q.resolve(q.model.deployments[left], "FAILED"); err != nil {
			return err
		}
	}
}

func (q *sequence) act() error {
	m := q.model

	switch n := q.dice.IntN(100); {
	case len(m.versions) == 0 || n < 10:
		return q.register()
	case n < 32:
		return q.deploy()
	case n < 36:
		return q.promote()
	case n < 42 && len(m.deployments) > 0:
		return q.redeploy(q.any())
	case n < 48:
		return q.rollback()
	case n < 53:
		return q.undeploy()
	case n < 58 && len(m.deployments) > 0:
		return q.cancel(q.any())
	case n < 62:
		return q.configure()
	case n < 64:
		return q.lock()
	case n < 67:
		return q.hold()
	case n < 69:
		return q.block()
	case n < 72 && q.unsure() != nil:
		return q.resolve(q.unsure(), []string{"SUCCEEDED", "FAILED", "RETRY"}[q.dice.IntN(3)])
	case n < 75:
		return q.wakeUp()
	}

	how := []fate{"", dies, dies, stalls, stalls, stalls, unsure}[q.dice.IntN(7)]
	stop := q.dice.IntN(1 + q.dice.IntN(14))

	if how == "" {
		stop = -1
	}

	return q.run(newScript(stop, how), newScript(stop, how))
}

// any is one of the deployments, rather a new one.
func (q *sequence) any() *modelDeployment {
	all := q.model.deployments

	return all[len(all)-1-q.dice.IntN(min(len(all), 1+q.dice.IntN(6)))]
}

func (q *sequence) unsure() *modelDeployment {
	for _, d := range q.model.deployments {
		if _, step := d.unknown(); step != nil {
			return d
		}
	}

	return nil
}

// ask asks both. Sometimes who is asked dies in the middle of the transaction;
// then nothing has happened, and it is asked again with the same key.
func (q *sequence) ask(what string, expect func(s *script) fault.Code, do func(ctx context.Context) (string, error)) error {
	stop := -1
	if q.dice.IntN(6) == 0 {
		stop = 0
	}

	for {
		var (
			want     fault.Code
			made     string
			err      error
			ms, rs   = newScript(stop, dies), newScript(stop, dies)
			before   = len(q.model.deployments)
			modelled = play(ms, func() { want = expect(ms) })
			done     = play(rs, func() { made, err = do(withScript(q.ctx, rs)) })
		)

		modelled.wait()
		done.wait()

		if ms.died != rs.died {
			return fmt.Errorf("%s: died %t, want %t", what, rs.died, ms.died)
		}

		if ms.died {
			q.say("%s: died", what)

			stop = -1

			if err := q.compare(); err != nil {
				return err
			}

			continue
		}

		q.say("%s: %s", what, want)

		switch {
		case want != "" && fault.CodeOf(err) != want, want == "" && err != nil:
			return fmt.Errorf("%s: got %w, want %q", what, err, want)
		case len(q.model.deployments) > before:
			q.ids = append(q.ids, made)
		}

		return nil
	}
}

// run lets an owner carry on, by the script.
func (q *sequence) run(ms, rs *script) error {
	var err error

	p := &pair{
		model: play(ms, func() { q.model.advance(ms) }),
		real: play(rs, func() {
			err = q.now.Advance(withScript(access.With(q.ctx, access.Engine()), rs), q.service, q.environment)
		}),
	}

	stalled, really := p.model.wait(), p.real.wait()
	q.say("run %s at %d: %v, stalls %t, dies %t", ms.how, ms.stop, ms.labels, stalled, ms.died)

	if stalled != really || ms.died != rs.died || !slices.Equal(ms.labels, rs.labels) {
		return fmt.Errorf("it went %v, stalls %t, dies %t: %w", rs.labels, really, rs.died, err)
	}

	switch {
	case stalled:
		return q.stalled(p)
	case ms.died:
		return q.crashed()
	}

	return nil
}

// crashed: its lease is as it was; as soon as its term is over, anybody may
// take it.
func (q *sequence) crashed() error {
	q.model.owner = 0

	return errors.Join(q.restart(), q.store.WithTx(q.ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.Lease.UpdateOneID("unit/" + q.service + "/" + q.environment).SetOwner("").Exec(ctx)
	}))
}

// stalled lets others act while an owner stalls, who then goes on, dies, or is
// taken for dead and goes on later.
func (q *sequence) stalled(p *pair) error {
	for range q.dice.IntN(3) {
		var err error

		switch q.dice.IntN(4) {
		case 0:
			err = q.deploy()
		case 1, 2:
			err = q.cancel(q.any())
		default: // nobody else carries it on
			err = q.now.Advance(q.ctx, q.service, q.environment)
		}

		if err := errors.Join(err, q.compare()); err != nil {
			p.model.goOn(true)
			p.real.goOn(true)

			return err
		}
	}

	if q.asleep == nil && q.dice.IntN(2) == 0 {
		q.say("falls asleep")

		q.asleep = p

		if err := q.crashed(); err != nil || q.dice.IntN(2) > 0 {
			return err
		}

		// What it was about to do is given up before it wakes up.
		return errors.Join(q.cancel(q.model.applied), q.run(newScript(-1, ""), newScript(-1, "")), q.wakeUp())
	}

	die := q.dice.IntN(3) == 0
	p.model.goOn(die)
	p.real.goOn(die)
	q.say("goes on %t: %v", !die, p.model.labels)

	if !slices.Equal(p.model.labels, p.real.labels) {
		return fmt.Errorf("it went on %v", p.real.labels)
	}

	if die {
		return q.crashed()
	}

	return nil
}

// wakeUp lets the one who was taken for dead go on.
func (q *sequence) wakeUp() error {
	p := q.asleep
	if p == nil {
		return nil
	}

	q.asleep = nil
	p.model.goOn(false)
	p.real.goOn(false)
	q.say("wakes up: %v", p.model.labels)

	if !slices.Equal(p.model.labels, p.real.labels) {
		return fmt.Errorf("it woke up and went %v", p.real.labels)
	}

	return nil
}

// compare compares the record and the target with the model.
func (q *sequence) compare() error {
	got, err := q.String()
	if err != nil {
		return err
	}

	if want := q.model.String(); got != want {
		return fmt.Errorf("got\n%swant\n%s", got, want)
	}

	if len(q.model.wrong) > 0 {
		return fmt.Errorf("%v", q.model.wrong)
	}

	return nil
}

// String says how everything stands, in the model's words.
func (q *sequence) String() (string, error) {
	var b strings.Builder

	numbers := map[string]string{"": "-"}
	for i, one := range q.ids {
		numbers[one] = strconv.Itoa(i)
	}

	rows, err := q.store.Read.Deployment.Query().Where(entdeployment.ServiceID(q.service), entdeployment.EnvironmentID(q.environment)).Order(entdeployment.ByID()).All(q.ctx)
	if err != nil {
		return "", err
	}

	for i, d := range rows {
		steps, err := q.store.Read.Step.Query().Where(entstep.DeploymentID(d.ID)).Order(entstep.ByIndex()).All(q.ctx)
		if err != nil {
			return "", err
		}

		fmt.Fprintf(&b, "%s %s acted=%t stop=%t why=%t plan=%s apply=%s rollout=%s base=%s by=%s\n", numbers[d.ID], d.Status, d.ActedAt != nil,
			d.StopRequestedAt != nil, len(d.Diagnosis) > 0, steps[0].Status, steps[1].Status, steps[2].Status, numbers[text(d.BaseID)], numbers[text(d.SupersededByID)])

		if holds := d.ActedAt != nil && !engine.Final(d.Status); d.HoldsSlot != holds {
			fmt.Fprintf(&b, "%s holds the slot: %t, want %t\n", numbers[d.ID], d.HoldsSlot, holds)
		}

		if i < len(q.model.deployments) {
			b.WriteString(q.snapshot(q.model.deployments[i].content, text(d.SnapshotID)))
		}
	}

	p, err := q.store.Read.Placement.Get(q.ctx, id.PlacementID(q.service, q.environment))

	switch {
	case err == nil:
		fmt.Fprintf(&b, "recorded=%s applied=%s\n", numbers[text(p.RecordedID)], numbers[text(p.AppliedID)])
	case len(rows) == 0:
		b.WriteString("recorded=- applied=-\n")
	default:
		return "", err
	}

	serving, coming, started := q.target.books(deployer.Unit{Service: q.name, Environment: q.place})
	all := make([]string, len(started))

	for i := range started {
		all[i] = numbers[started[i]]
	}

	fmt.Fprintf(&b, "serving=%s coming=%s started=[%s]\n", numbers[serving], numbers[coming], strings.Join(all, " "))

	return b.String(), nil
}

// snapshot: equal contents have one snapshot, others have others.
func (q *sequence) snapshot(content, snapshot string) string {
	known, ok := q.contents[content]

	switch {
	case content == "" && snapshot == "", ok && known == snapshot:
		return ""
	case content == "" || snapshot == "" || ok:
		return fmt.Sprintf("the content %q has the snapshot %q, want %q\n", content, snapshot, known)
	}

	for other, one := range q.contents {
		if one == snapshot {
			return fmt.Sprintf("the contents %q and %q have one snapshot\n", content, other)
		}
	}

	q.contents[content] = snapshot

	return ""
}
