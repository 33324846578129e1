package faults

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// shop makes a world with two replicas and a service with so many versions.
func shop(t *testing.T, versions int, end string) *world {
	t.Helper()

	w := newWorld(t, "postgres", 2)
	if err := w.service(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}

	for i := range versions {
		if err := w.register(t.Context(), "shop", fmt.Sprintf("1.0.%d", i), end); err != nil {
			t.Fatal(err)
		}
	}

	return w
}

func TestManyDeploymentsOfOneServiceAtOnce(t *testing.T) {
	t.Parallel()

	const many = 50

	var (
		w    = shop(t, many, works)
		book notebook
		all  errgroup.Group
	)

	for i := range many {
		all.Go(func() error {
			d, err := w.deploy(t.Context(), "shop", fmt.Sprintf("1.0.%d", i), nil)
			if err == nil {
				book.write(d, true)
			}

			return err
		})
	}

	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}

	if len(book.told) != many {
		t.Fatalf("%d were acknowledged, want %d", len(book.told), many)
	}

	// Everyone that lost names its winner, and the newest of all is in place.
	w.check(t, &book)

	newest := slices.MaxFunc(book.told, func(a, b told) int { return compare(a.ID, b.ID) })

	if d, err := w.find(t.Context(), newest.ID); err != nil || d.Status != "SUCCEEDED" {
		t.Errorf("the newest, %s, is %s (%v)", newest.ID, d.Status, err)
	}

	w.checkRecord(t)
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}

	return 0
}

func TestManyVersionsWithARule(t *testing.T) {
	t.Parallel()

	const many = 20

	w := shop(t, 0, works)

	if err := w.mutate(t.Context(), "putRule", "rule { id }", map[string]any{
		"name": "everything", "trigger": "VERSION_REGISTERED", "targetEnvironment": place,
	}, nil); err != nil {
		t.Fatal(err)
	}

	var (
		book notebook
		tick = time.NewTicker(2 * time.Second / many)
	)
	defer tick.Stop()

	for i := range many {
		var payload struct {
			Decisions []struct {
				Effect     string
				Deployment *deployment
			}
		}

		version := fmt.Sprintf("1.0.%d", i)
		document := w.score("shop", "shop/"+version, works)

		if i == 0 { // it takes longer than all the others to come
			var err error
			if document, err = w.late("shop", "shop/"+version, 12*time.Second); err != nil {
				t.Fatal(err)
			}
		}

		if err := w.mutate(t.Context(), "registerVersion", "decisions { effect deployment { "+deploymentFields+" } }", map[string]any{
			"service": "shop", "version": version, "workload": map[string]any{"score": document},
			"builtAt": time.Now().UTC().Format(time.RFC3339Nano),
		}, &payload); err != nil {
			t.Fatal(err)
		}

		if len(payload.Decisions) != 1 || payload.Decisions[0].Deployment == nil {
			t.Fatalf("version %s: the rule decided %+v", version, payload.Decisions)
		}

		book.write(*payload.Decisions[0].Deployment, true)

		if i == 0 { // the others come while it acts
			if _, err := w.await(t.Context(), payload.Decisions[0].Deployment.ID, 20*time.Second, is("VERIFYING")); err != nil {
				t.Fatal(err)
			}
		}

		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}

	w.check(t, &book)

	for i, one := range book.told {
		d, err := w.find(t.Context(), one.ID)
		if err != nil {
			t.Fatal(err)
		}

		want := "SUPERSEDED"
		if i == 0 || i == many-1 {
			want = "SUCCEEDED"
		}

		if d.Status != want {
			t.Errorf("number %d is %s, want %s", i, d.Status, want)
		}
	}

	w.checkRecord(t)
}
