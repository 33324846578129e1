package store_test

import (
	"testing"

	"github.com/shiplog/shiplog/ent/db/observation"
	"github.com/shiplog/shiplog/ent/db/placement"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

// firstRelease is the last migration of the release without a history of
// observations.
const firstRelease = 20261124002209

// observedThen are, as the first release wrote them, two placements, of which
// one was never looked at.
var observedThen = []string{
	`INSERT INTO services (id, created_at, labels, name, title) VALUES ('service_1', '2026-01-01T00:00:00Z', '{}', 'hello', 'Hello')`,
	`INSERT INTO targets (id, created_at, kind) VALUES ('target_1', '2026-01-01T00:00:00Z', 'PROCESS')`,
	`INSERT INTO environments (id, created_at, labels, name, title, tier, rank, target_id) VALUES
		('environment_1', '2026-01-01T00:00:00Z', '{}', 'one', 'One', 'TESTING', 1, 'target_1'),
		('environment_2', '2026-01-01T00:00:00Z', '{}', 'two', 'Two', 'TESTING', 2, 'target_1')`,
	`INSERT INTO placements (id, created_at, service_id, environment_id) VALUES ('placement_2', '2026-01-01T00:00:00Z', 'service_1', 'environment_2')`,
	`INSERT INTO placements (id, created_at, service_id, environment_id, observed, observed_at, drift) VALUES
		('placement_1', '2026-01-01T00:00:00Z', 'service_1', 'environment_1', '[]', '2026-01-02T03:04:05Z', 'MISSING')`,
}

func TestWhatWasObservedBeginsTheHistory(t *testing.T) {
	t.Parallel()

	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()

			s := storetest.OpenURL(t, storetest.Released(t, dialect, firstRelease, observedThen...), nil)

			rows, err := s.Read.Observation.Query().Order(observation.ByID()).All(t.Context())
			if err != nil || len(rows) != 1 {
				t.Fatalf("got %v, %v", rows, err)
			}

			want := s.Read.Placement.GetX(t.Context(), "placement_1")
			if got := rows[0]; got.PlacementID != want.ID || !got.At.Equal(*want.ObservedAt) || string(got.Observed) != "[]" || *got.Drift != observation.DriftMISSING ||
				*want.Drift != placement.DriftMISSING {
				t.Errorf("got %v of %v", got, want)
			}

			if head := s.Read.ObservationHead.GetX(t.Context(), 1); head.Seq != rows[0].ID {
				t.Errorf("the head is at %d", head.Seq)
			}
		})
	}
}
