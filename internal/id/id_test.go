package id_test

import (
	"sort"
	"testing"

	"github.com/shiplog/shiplog/internal/id"
)

func TestNewIsParsedAndSorted(t *testing.T) {
	t.Parallel()

	var ids []string

	for range 1000 {
		s, err := id.New(id.Deployment)
		if err != nil {
			t.Fatal(err)
		}

		if !id.IsOf(s, id.Deployment) {
			t.Fatalf("%q is not a deployment's id", s)
		}

		ids = append(ids, s)
	}

	if !sort.StringsAreSorted(ids) {
		t.Error("ids do not sort by the time of their making")
	}
}

func TestPlacementIDGoesThereAndBack(t *testing.T) {
	t.Parallel()

	s, _ := id.New(id.Service)
	e, _ := id.New(id.Environment)

	gotS, gotE, err := id.PlacementParts(id.PlacementID(s, e))
	if err != nil || gotS != s || gotE != e {
		t.Fatalf("got %s, %s, %v; want %s, %s", gotS, gotE, err, s, e)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()

	for _, s := range []string{"", "deployment", "deployment_", "deployment_zzzzzzzzzzzzzzzzzzzzzzzzzz", "placement_01", "deployment_01kabc", "a_b_c", "deployment_01K00000000000000000000000"} {
		if k, err := id.Parse(s); err == nil {
			t.Errorf("%q was taken as %s", s, k)
		}
	}
}
