package faults

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/store/storetest"
)

// A database that is not the one whose deployments are at the target, such as a
// new one beside an old data folder, changes nothing there: each deployment ends
// with one clear word, and what runs goes on.
func TestNewDatabaseOverAnOldDataFolder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, dialect string) {
		t.Helper()

		ctx := t.Context()
		w := replacing(t, newWorld(t, dialect, 1))

		for _, version := range []string{"2.0.0", "1.0.0"} {
			d, err := w.deploy(ctx, "shop", version, nil)
			if err != nil {
				t.Fatal(err)
			}

			if _, err := w.await(ctx, d.ID, 20*time.Second, is("SUCCEEDED")); err != nil {
				t.Fatal(err)
			}
		}

		if err := w.replicas[0].kill(); err != nil {
			t.Fatal(err)
		}

		before := w.pids(t)
		old := w.database
		w.database, w.urls, w.replicas = storetest.URL(t, dialect), nil, nil
		w.add(newReplica(t, w.data, w.database))
		w.furnishAnew(t)

		for n := 1; n <= 2; n++ {
			d, err := w.deploy(ctx, "shop", "2.0.0", nil)
			if err != nil {
				t.Fatal(err)
			}

			if d, err = w.await(ctx, d.ID, 20*time.Second, deployment.final); err != nil {
				t.Fatal(err)
			}

			if d.Status != "ERRORED" || !strings.Contains(d.StatusReason, "another database") {
				t.Errorf("it is %s: %s", d.Status, d.StatusReason)
			}

			log, err := os.ReadFile(w.replicas[0].log)
			if err != nil {
				t.Fatal(err)
			}

			if said := strings.Count(string(log), "obeys another database"); said != n || strings.Contains(string(log), "will be repeated") {
				t.Errorf("after %d deployments the log says so %d times:\n%s", n, said, log)
			}
		}

		if now := w.pids(t); len(now) != 1 || len(now["shop/1.0.0"]) != 1 || now["shop/1.0.0"][0] != before["shop/1.0.0"][0] {
			t.Errorf("these run: %v, before it were %v", now, before)
		}

		if err := w.replicas[0].kill(); err != nil {
			t.Fatal(err)
		}

		w.checkRecord(t)

		// The old one goes on as if nothing had been.
		w.database, w.urls, w.replicas = old, nil, nil
		w.add(newReplica(t, w.data, w.database))

		d, err := w.deploy(ctx, "shop", "2.0.0", nil)
		if err != nil {
			t.Fatal(err)
		}

		if _, err := w.await(ctx, d.ID, 20*time.Second, is("SUCCEEDED")); err != nil {
			t.Fatal(err)
		}

		w.checkRunning(t, "shop")
	})
}

// furnishAnew makes what a new database has to know before the shop can be
// deployed.
func (w *world) furnishAnew(t *testing.T) {
	t.Helper()

	if err := w.mutate(t.Context(), "createEnvironment", "environment { id }", map[string]any{
		"name": place, "tier": "PRODUCTION", "rank": 10, "target": map[string]any{"kind": "PROCESS"},
	}, nil); err != nil {
		t.Fatal(err)
	}

	if err := w.service(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}

	if err := w.register(t.Context(), "shop", "2.0.0", works); err != nil {
		t.Fatal(err)
	}
}
