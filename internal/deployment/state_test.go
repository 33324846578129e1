package deployment_test

import (
	"testing"

	row "github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/internal/deployment"
)

var all = []row.Status{
	row.StatusQUEUED, row.StatusWAITING, row.StatusRUNNING, row.StatusVERIFYING, row.StatusSUCCEEDED,
	row.StatusFAILED, row.StatusERRORED, row.StatusCANCELLED, row.StatusREJECTED, row.StatusSUPERSEDED,
}

// allowed says, a row a status and a column a status in the order of all,
// which may follow which: x for yes.
var allowed = map[row.Status]string{
	//                     Q W R V S F E C R S
	row.StatusQUEUED:     ". x x . . x x x x x",
	row.StatusWAITING:    "x . x x x x x x x x",
	row.StatusRUNNING:    ". x . x x x x x . .",
	row.StatusVERIFYING:  ". x x . x x x x . .",
	row.StatusSUCCEEDED:  ". . . . . . . . . .",
	row.StatusFAILED:     ". . . . . . . . . .",
	row.StatusERRORED:    ". . . . . . . . . .",
	row.StatusCANCELLED:  ". . . . . . . . . .",
	row.StatusREJECTED:   ". . . . . . . . . .",
	row.StatusSUPERSEDED: ". . . . . . . . . .",
}

func TestEveryPairOfStatuses(t *testing.T) {
	t.Parallel()

	for _, from := range all {
		if err := row.StatusValidator(from); err != nil {
			t.Fatal(err)
		}

		for i, to := range all {
			want := allowed[from][2*i] == 'x'
			if got := deployment.CanBecome(from, to); got != want {
				t.Errorf("%s to %s: got %t, want %t", from, to, got, want)
			}
		}

		if got, want := deployment.Final(from), allowed[from] == ". . . . . . . . . ."; got != want {
			t.Errorf("%s is final: got %t, want %t", from, got, want)
		}
	}
}
