package dataset_test

import (
	"database/sql"
	"testing"

	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
	"github.com/shiplog/shiplog/test/bench/dataset"
)

// TestFillIsConsistent asks what the program keeps true whether the made-up
// history keeps it too.
func TestFillIsConsistent(t *testing.T) {
	t.Parallel()

	size := dataset.Size{Services: 7, Versions: 12, Environments: 10, Deployments: 6, Events: 100, Logs: 20, LogLines: 5}

	storetest.Each(t, func(t *testing.T, s *store.Store) {
		if err := dataset.Fill(t.Context(), s, size); err != nil {
			t.Fatal(err)
		}

		entries, err := journal.Verify(t.Context(), s)
		if err != nil || entries != int64(size.Events) {
			t.Error("the chain:", entries, err)
		}

		for _, c := range []struct {
			what, query string
			want        int
		}{
			{"deployments", "SELECT COUNT(*) FROM deployments", size.Total()},
			{"checks", "SELECT COUNT(*) FROM checks", size.Checks()},
			{"placements whose recorded deployment is not the last success", `SELECT COUNT(*) FROM placements p WHERE p.recorded_id <> (
				SELECT d.id FROM deployments d WHERE d.service_id = p.service_id AND d.environment_id = p.environment_id AND d.became_current_at IS NOT NULL
				ORDER BY d.became_current_at DESC, d.current_order DESC LIMIT 1)`, 0},
			{"placements whose version or order is not that of the recorded deployment", `SELECT COUNT(*) FROM placements p
				JOIN deployments d ON d.id = p.recorded_id WHERE d.version_id <> p.recorded_version_id OR d.current_order <> p.current_order`, 0},
			{"holes in what became current", `SELECT COUNT(*) FROM placements p WHERE p.current_order <> (
				SELECT COUNT(*) FROM deployments d WHERE d.service_id = p.service_id AND d.environment_id = p.environment_id AND d.status = 'SUCCEEDED')`, 0},
			{"failures", "SELECT COUNT(*) > 0 FROM deployments WHERE status = 'FAILED' AND became_current_at IS NULL", 1},
			{"deployments of another service's version", "SELECT COUNT(*) FROM deployments d JOIN versions v ON v.id = d.version_id WHERE v.service_id <> d.service_id", 0},
			{"dangling references", `SELECT COUNT(*) FROM deployments d LEFT JOIN versions v ON v.id = d.version_id LEFT JOIN services s ON s.id = d.service_id
				LEFT JOIN environments e ON e.id = d.environment_id LEFT JOIN targets t ON t.id = d.target_id
				LEFT JOIN deployments b ON b.id = d.base_id WHERE v.id IS NULL OR s.id IS NULL OR e.id IS NULL OR t.id IS NULL OR (d.base_id IS NOT NULL AND b.id IS NULL)`, 0},
			{"logs", "SELECT COUNT(*) FROM log_heads h JOIN deployments d ON d.id = h.id WHERE h.last_seq = 5", size.Logs},
		} {
			var got any

			err := s.NewQuery(c.query).Rows(t.Context(), s.Read, func(rows *sql.Rows) error { return rows.Scan(&got) })
			if yes, ok := got.(bool); ok && yes {
				got = int64(1)
			}

			if err != nil || got != int64(c.want) {
				t.Errorf("%s: %v, want %d, %v", c.what, got, c.want, err)
			}
		}
	})
}
