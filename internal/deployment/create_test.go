package deployment

import (
	"errors"
	"testing"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/target"
	"github.com/shiplog/shiplog/internal/fault"
)

// TestAdmit sets every kind that needs no workload of its own against what may
// stand in its way: undeploy is under the same rules as the others.
func TestAdmit(t *testing.T) {
	t.Parallel()

	why := new("freeze")
	environment := func(kind target.Kind, locked *string) *db.Environment {
		e := &db.Environment{Name: "production", LockedReason: locked}
		e.Edges.Target = &db.Target{Kind: kind}

		return e
	}

	cases := []struct {
		name    string
		request request
		field   string
		code    fault.Code
	}{
		{"free", request{environment: environment(target.KindPROCESS, nil)}, "", ""},
		{"locked", request{environment: environment(target.KindPROCESS, why)}, "environment", fault.Locked},
		{"locked, and passed", request{environment: environment(target.KindPROCESS, why), override: why}, "", ""},
		{"somebody else's", request{environment: environment(target.KindEXTERNAL, nil), override: why}, "environment", fault.InvalidInput},
		{"another one is current", request{environment: environment(target.KindPROCESS, nil), expected: new("")}, "expectedCurrent", fault.Stale},
	}

	for _, kind := range []deployment.Kind{deployment.KindROLLBACK, deployment.KindUNDEPLOY} {
		for _, c := range cases {
			t.Run(c.name+" "+string(kind), func(t *testing.T) {
				t.Parallel()

				r := c.request
				r.kind, r.service = kind, &db.Service{Name: "checkout"}

				if kind == deployment.KindROLLBACK {
					r.version, r.snapshotID = &db.Version{Name: "1.0.0"}, new("snapshot")
				}

				err := r.admit(&db.Placement{RecordedID: new("deployment_1")}, nil)
				if c.code == "" {
					if err != nil {
						t.Fatal(err)
					}

					return
				}

				var refusal *fault.Error
				if !errors.As(err, &refusal) || refusal.Code != c.code || refusal.Field != c.field {
					t.Errorf("got %v, want %s of %s", err, c.code, c.field)
				}
			})
		}
	}
}

// A hold stands against every act but a rollback, unless it is passed.
func TestAHoldStandsAgainstActs(t *testing.T) {
	t.Parallel()

	hold := &db.Hold{ID: "hold_1", Reason: "the numbers are odd"}
	here := &db.Environment{Name: "here"}
	here.Edges.Target = &db.Target{Kind: target.KindPROCESS}

	for kind, want := range map[deployment.Kind]fault.Code{
		deployment.KindDEPLOY: fault.Held, deployment.KindPROMOTE: fault.Held, deployment.KindREDEPLOY: fault.Held,
		deployment.KindUNDEPLOY: fault.Held, deployment.KindPATCH: fault.Held, deployment.KindROLLBACK: "",
	} {
		r := request{kind: kind, service: &db.Service{Name: "checkout"}, environment: here, snapshotID: new("snapshot")}

		if err := r.admit(&db.Placement{}, hold); want == "" && err != nil || want != "" && !fault.Is(err, want) {
			t.Errorf("%s: got %v, want %q", kind, err, want)
		}

		r.override = new("it has to be")

		if err := r.admit(&db.Placement{}, hold); err != nil {
			t.Errorf("%s with an override: %v", kind, err)
		}
	}
}
