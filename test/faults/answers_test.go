package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/shiplog/shiplog/ent/db/event"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

// creation is a creating mutation: what it selects, an input that makes one
// new record whenever it is asked with another number, and how many there are.
type creation struct {
	mutation, selection string
	input               func(n int) map[string]any
	count               func(ctx context.Context, s *store.Store) (int, error)
}

func creations(t *testing.T, w *world, source string) []creation {
	t.Helper()

	environment := func(n int) map[string]any {
		return map[string]any{"name": fmt.Sprintf("e%d", n), "tier": "OTHER", "rank": n, "target": map[string]any{"kind": "EXTERNAL"}}
	}
	deployments := func(ctx context.Context, s *store.Store) (int, error) { return s.Read.Deployment.Query().Count(ctx) }

	return []creation{
		{"createService", "service { id }", func(n int) map[string]any {
			return map[string]any{"name": fmt.Sprintf("service-%d", n)}
		}, func(ctx context.Context, s *store.Store) (int, error) { return s.Read.Service.Query().Count(ctx) }},
		{
			"createEnvironment", "environment { id }", environment,
			func(ctx context.Context, s *store.Store) (int, error) { return s.Read.Environment.Query().Count(ctx) },
		},
		{"setConfiguration", "configuration { id }", func(n int) map[string]any {
			return map[string]any{"service": "other", "content": map[string]any{"variables": map[string]any{"N": strconv.Itoa(n)}}}
		}, func(ctx context.Context, s *store.Store) (int, error) { return s.Read.Configuration.Query().Count(ctx) }},
		{"registerVersion", "version { id }", func(n int) map[string]any {
			return map[string]any{"service": "other", "version": fmt.Sprintf("2.0.%d", n), "commit": fmt.Sprintf("%040x", n), "image": "registry.example/other:" + strconv.Itoa(n)}
		}, func(ctx context.Context, s *store.Store) (int, error) { return s.Read.Version.Query().Count(ctx) }},
		{"reportCheck", "check { id }", func(n int) map[string]any {
			return map[string]any{"service": "shop", "version": "1.0.0", "name": fmt.Sprintf("check-%d", n), "result": "PASSED"}
		}, func(ctx context.Context, s *store.Store) (int, error) { return s.Read.Check.Query().Count(ctx) }},
		{"putRule", "rule { id }", func(n int) map[string]any {
			return map[string]any{"name": fmt.Sprintf("rule-%d", n), "trigger": "VERSION_REGISTERED", "enabled": false, "targetEnvironment": place}
		}, func(ctx context.Context, s *store.Store) (int, error) { return s.Read.Rule.Query().Count(ctx) }},
		{"recordDeployment", "deployment { id }", func(int) map[string]any {
			return map[string]any{"service": "shop", "environment": "elsewhere", "version": "1.0.0"}
		}, deployments},
		{"deploy", "deployment { id }", func(int) map[string]any {
			return map[string]any{"service": "shop", "environment": place, "version": "1.0.0"}
		}, deployments},
		{"promote", "deployment { id }", func(int) map[string]any {
			return map[string]any{"service": "shop", "from": "elsewhere", "to": place}
		}, deployments},
		{"promoteEnvironment", "deployments { id }", func(int) map[string]any {
			return map[string]any{"from": "elsewhere", "to": place, "services": []string{"shop"}, "expected": reviewed(t, w)}
		}, deployments},
		{"redeploy", "deployment { id }", func(int) map[string]any {
			return map[string]any{"deployment": source}
		}, deployments},
		{"rollback", "deployment { id }", func(int) map[string]any {
			return map[string]any{"service": "shop", "environment": place, "to": source}
		}, deployments},
		// One at a time: what it made is released before the next.
		{"createHold", "hold { id }", func(int) map[string]any {
			return map[string]any{"service": "shop", "environment": place, "reason": "for the test"}
		}, func(ctx context.Context, s *store.Store) (int, error) { return s.Read.Hold.Query().Count(ctx) }},
		// The last one: nothing is there after it.
		{"undeploy", "deployment { id }", func(int) map[string]any {
			return map[string]any{"service": "shop", "environment": place}
		}, deployments},
	}
}

// reviewed puts another version of the shop in place elsewhere, and gives the
// digest of the set that promotes it.
func reviewed(t *testing.T, w *world) string {
	t.Helper()

	if err := w.register(t.Context(), "shop", "3.0.0", works); err != nil {
		t.Fatal(err)
	}

	err := w.mutate(t.Context(), "recordDeployment", "deployment { id }", map[string]any{"service": "shop", "environment": "elsewhere", "version": "3.0.0"}, nil)
	if err != nil {
		t.Fatal(err)
	}

	var payload struct{ Set struct{ Digest string } }

	err = w.mutate(t.Context(), "promoteEnvironment", "set { digest }", map[string]any{
		"from": "elsewhere", "to": place, "services": []string{"shop"}, "dryRun": true,
	}, &payload)
	if err != nil {
		t.Fatal(err)
	}

	return payload.Set.Digest
}

// behind makes a world of one replica behind a proxy, with a service whose
// version 1.0.0 is in place.
func behind(t *testing.T) (*world, *proxy, deployment) {
	t.Helper()

	w := emptyWorld(t, "postgres")
	p := newProxy(t, w.database)
	w.add(newReplica(t, w.data, p.database))

	return w, p, w.furnish(t)
}

func (w *world) furnish(t *testing.T) deployment {
	t.Helper()

	ctx := t.Context()

	for name, kind := range map[string]string{place: "PROCESS", "elsewhere": "EXTERNAL"} {
		if err := w.mutate(ctx, "createEnvironment", "environment { id }", map[string]any{
			"name": name, "tier": "PRODUCTION", "rank": 10, "target": map[string]any{"kind": kind},
		}, nil); err != nil {
			t.Fatal(err)
		}
	}

	for _, service := range []string{"shop", "other"} {
		if err := w.service(ctx, service); err != nil {
			t.Fatal(err)
		}
	}

	if err := w.register(ctx, "shop", "1.0.0", works); err != nil {
		t.Fatal(err)
	}

	d, err := w.deploy(ctx, "shop", "1.0.0", nil)
	if err != nil {
		t.Fatal(err)
	}

	if d, err = w.await(ctx, d.ID, 20*time.Second, is("SUCCEEDED")); err != nil {
		t.Fatal(err)
	}

	return d
}

func TestEveryAnswerOfTheDatabaseLost(t *testing.T) {
	t.Parallel()

	w, p, source := behind(t)
	s := storetest.OpenURL(t, w.database, nil)
	long := shared(t).long
	holder := w.occupy(t)
	n := 0

	for _, c := range creations(t, w, source.ID) {
		whole := &victim{}
		n++
		w.lose(t, p, s, c, n, whole)

		answers := whole.answers.Load()
		if answers < 5 || !whole.over.Load() {
			t.Fatalf("%s: %d answers were seen, and the end %t", c.mutation, answers, whole.over.Load())
		}

		lost := 0

		for k := int64(1); k <= answers; k++ {
			for _, rst := range []bool{false, true} {
				// The short form takes turns; COMMIT is always lost both ways.
				if !long && k < answers && rst != (k%2 == 0) {
					continue
				}

				n++
				w.lose(t, p, s, c, n, &victim{lose: k, rst: rst})

				lost++
			}
		}

		t.Logf("%s: %d answers, lost %d times", c.mutation, answers, lost)
	}

	w.cancelled(t, holder.ID)
	w.checkSettled(t, s)
	w.checkRunning(t, "shop")
	w.checkRecord(t)
}

// occupy lets a deployment hold the slot of the shop until it is cancelled, and
// queues another one. From then on every act has exactly one candidate to
// supersede, so that its transaction asks the database the same number of times
// however fast the engine is.
func (w *world) occupy(t *testing.T) deployment {
	t.Helper()

	ctx := t.Context()

	document, err := w.late("shop", "shop/2.0.0", time.Hour)
	if err != nil {
		t.Fatal(err)
	}

	document["metadata"].(map[string]any)["annotations"] = map[string]any{"shiplog.dev/startup-timeout": "10m"}

	if err := w.registerScore(ctx, "shop", "2.0.0", document); err != nil {
		t.Fatal(err)
	}

	holder, err := w.deploy(ctx, "shop", "2.0.0", nil)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := w.await(ctx, holder.ID, 20*time.Second, is("VERIFYING")); err != nil {
		t.Fatal(err)
	}

	if _, err := w.deploy(ctx, "shop", "1.0.0", nil); err != nil {
		t.Fatal(err)
	}

	return holder
}

// checkSettled waits until every deployment is over, and none went wrong.
func (w *world) checkSettled(t *testing.T, s *store.Store) {
	t.Helper()

	rows, err := s.Read.Deployment.Query().All(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	for _, row := range rows {
		if d, err := w.await(t.Context(), row.ID, 30*time.Second, deployment.final); err != nil {
			t.Error(err)
		} else if d.Status != "SUCCEEDED" && d.Status != "SUPERSEDED" && d.Status != "CANCELLED" {
			t.Errorf("deployment %s is %s: %s", d.ID, d.Status, d.StatusReason)
		}
	}
}

// lose asks for the creation while one answer of its transaction is lost. One
// record comes of it, and the caller is told which.
func (w *world) lose(t *testing.T, p *proxy, s *store.Store, c creation, n int, v *victim) {
	t.Helper()

	ctx := t.Context()
	input := c.input(n)
	input["idempotencyKey"] = uuid.NewString()
	v.key = []byte(input["idempotencyKey"].(string))
	what := fmt.Sprintf("%s, answer %d lost (reset: %t)", c.mutation, v.lose, v.rst)

	before, err := c.count(ctx, s)
	if err != nil {
		t.Fatal(err)
	}

	p.aim(v)

	first, err := w.once(ctx, c, input)

	p.aim(nil)

	switch {
	case untold(err):
		t.Logf("%s: the caller is told %v", what, err)
	case err != nil:
		t.Fatalf("%s: %v", what, err)
	}

	if v.lose > 0 && !v.lost.Load() {
		t.Fatalf("%s: it was not lost", what)
	}

	again, err := w.once(ctx, c, input)
	if err != nil {
		t.Fatalf("%s: asked again: %v", what, err)
	}

	if first != "" && first != again {
		t.Errorf("%s: the caller was told %s, and then %s", what, first, again)
	}

	after, err := c.count(ctx, s)
	if err != nil {
		t.Fatal(err)
	}

	if after != before+1 {
		t.Errorf("%s: %d records came of it", what, after-before)
	}

	w.letGo(t)
}

// letGo releases what rollbacks and others hold.
func (w *world) letGo(t *testing.T) {
	t.Helper()

	var standing struct {
		Holds struct{ Nodes []struct{ ID string } }
	}

	if err := w.ask(t.Context(), w.next(), "{ holds { nodes { id } } }", nil, &standing); err != nil {
		t.Fatal(err)
	}

	for _, one := range standing.Holds.Nodes {
		input := map[string]any{"input": map[string]any{"hold": one.ID}}
		if err := w.ask(t.Context(), w.next(), mutationText("releaseHold", "changed"), input, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// once asks one replica once and gives the id of what was made.
func (w *world) once(ctx context.Context, c creation, input map[string]any) (string, error) {
	var payload map[string]map[string]json.RawMessage

	err := w.ask(ctx, w.next(), mutationText(c.mutation, c.selection), map[string]any{"input": input}, &payload)
	if err != nil {
		return "", err
	}

	for _, object := range payload[c.mutation] {
		var (
			made struct{ ID string }
			one  [1]json.RawMessage
		)

		if json.Unmarshal(object, &one) == nil && one[0] != nil { // the one of a set
			object = one[0]
		}

		return made.ID, errors.Join(json.Unmarshal(object, &made), missing(object))
	}

	return "", errors.New("an empty payload")
}

func missing(object json.RawMessage) error {
	if string(object) == "null" {
		return errors.New("nothing was made")
	}

	return nil
}

func TestOneKeyFromManyCallersAtOnce(t *testing.T) {
	t.Parallel()

	const callers = 100

	w := newWorld(t, "postgres", 2)

	if err := w.mutate(t.Context(), "createEnvironment", "environment { id }", map[string]any{
		"name": "elsewhere", "tier": "OTHER", "rank": 1, "target": map[string]any{"kind": "EXTERNAL"},
	}, nil); err != nil {
		t.Fatal(err)
	}

	for _, service := range []string{"shop", "other"} {
		if err := w.service(t.Context(), service); err != nil {
			t.Fatal(err)
		}
	}

	if err := w.register(t.Context(), "shop", "1.0.0", works); err != nil {
		t.Fatal(err)
	}

	source, err := w.deploy(t.Context(), "shop", "1.0.0", nil)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := w.await(t.Context(), source.ID, 20*time.Second, is("SUCCEEDED")); err != nil {
		t.Fatal(err)
	}

	s := storetest.OpenURL(t, w.database, nil)

	quiet := make([]load, len(w.replicas))

	for i, c := range creations(t, w, source.ID) {
		w.settled(t) // or what is in place changes after a set was reviewed

		input := c.input(1)
		input["idempotencyKey"] = uuid.NewString()

		before, err := c.count(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}

		var (
			all sync.WaitGroup
			mu  sync.Mutex
			ids = map[string]int{}
		)

		for range callers {
			all.Go(func() {
				made, err := w.once(t.Context(), c, input)
				if err != nil {
					made = err.Error()
				}

				mu.Lock()
				ids[made]++
				mu.Unlock()
			})
		}

		all.Wait()

		after, err := c.count(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}

		if len(ids) != 1 || after != before+1 {
			t.Errorf("%s: %d callers with one key were told %v, and %d records came of it", c.mutation, callers, ids, after-before)
		}

		for made := range ids {
			recordedOnce(t, s, made)
		}

		w.letGo(t)

		if i == 0 { // what is made once, such as connections of the database, is there
			w.quiet(t, func(i int, r *replica) { quiet[i] = w.loadOf(t, r) })
		}
	}

	w.quiet(t, func(i int, r *replica) { settles(t, r, quiet[i]) })
	w.checkRecord(t)
}

// quiet closes the connections that the client keeps, and looks at the replicas
// when all that was asked for is done.
func (w *world) quiet(t *testing.T, look func(i int, r *replica)) {
	t.Helper()
	w.settled(t)
	w.http.CloseIdleConnections()

	for i, r := range w.replicas {
		look(i, r)
	}
}

// loadOf reads the replica's load once it goes down no more.
func (w *world) loadOf(t *testing.T, r *replica) load {
	t.Helper()

	for last := (load{}); ; {
		now, err := r.load(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		if last.goroutines > 0 && now.goroutines >= last.goroutines && now.files >= last.files {
			return now
		}

		last = now

		if err := pause(t.Context(), 500*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// recordedOnce: the journal has one entry of how it came to be.
func recordedOnce(t *testing.T, s *store.Store, made string) {
	t.Helper()

	rows, err := s.Read.Event.Query().Where(event.Subject(made)).Order(event.BySeq()).All(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	births := 0

	for _, row := range rows {
		if row.Type == rows[0].Type {
			births++
		}
	}

	if births != 1 {
		t.Errorf("the journal says %d times how %s came to be", births, made)
	}
}
