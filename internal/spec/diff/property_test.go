package diff

import (
	"errors"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"pgregory.net/rapid"
)

// withoutNulls gives the document with a text for every null. The library takes
// a member that is null for none, which RFC 6902 does not: what is compared
// with it has none.
func withoutNulls(document any) any {
	switch v := document.(type) {
	case nil:
		return "null"
	case map[string]any:
		all := make(map[string]any, len(v))
		for name, member := range v {
			all[name] = withoutNulls(member)
		}

		return all
	case []any:
		all := make([]any, len(v))
		for i, e := range v {
			all[i] = withoutNulls(e)
		}

		return all
	}

	return document
}

func hasEmptyName(document any) bool {
	switch v := document.(type) {
	case map[string]any:
		for name, member := range v {
			if name == "" || hasEmptyName(member) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasEmptyName)
	}

	return false
}

// library applies operations with an implementation that is not ours.
func library(document any, operations []Operation) (any, error) {
	patch, err := jsonpatch.DecodePatch(encode(operations))
	if err != nil {
		return nil, err
	}

	options := jsonpatch.NewApplyOptions()
	options.SupportNegativeIndices = false
	options.EscapeHTML = false

	data, err := patch.ApplyWithOptions(encode(document), options)
	if err != nil {
		return nil, err
	}

	return Decode(data)
}

// failing is a test, or a case of a property.
type failing interface {
	Fatalf(format string, args ...any)
}

// thereAndBack checks that the operations of a diff turn one document into the
// other and back, by our own hand and by the library's.
func thereAndBack(t failing, a, b any) {
	for _, way := range [][2]any{{a, b}, {b, a}} {
		operations := Operations(way[0], way[1])
		before := encode(way[0])

		got, err := Apply(way[0], operations)
		if err != nil || !equal(got, way[1]) {
			t.Fatalf("%s\napplied to %s\ngives %s (%v)\nwant  %s", encode(operations), before, encode(got), err, encode(way[1]))
		}

		if string(before) != string(encode(way[0])) {
			t.Fatalf("the document was changed")
		}

		if len(operations) == 1 && operations[0].Path == "" || hasEmptyName(way[0]) || hasEmptyName(way[1]) {
			continue // the library knows neither the whole document nor a member without a name
		}

		from, to := withoutNulls(way[0]), withoutNulls(way[1])

		theirs, err := library(from, Operations(from, to))
		if err != nil || !equal(theirs, to) {
			t.Fatalf("%s\napplied to %s\ngives %s (%v) in the library\nwant  %s", encode(operations), before, encode(theirs), err, encode(way[1]))
		}
	}
}

func TestDiffThereAndBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := object(3).Draw(t, "a")
		thereAndBack(t, a, edited(t, a, "b"))
	})
}

// TestSnapshotsThereAndBack is about the canonical forms and the inputs of
// random snapshots.
func TestSnapshotsThereAndBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from, to := Side{Version: "1", Snapshot: snapshot(t, "a")}, Side{Version: "2", Snapshot: snapshot(t, "b")}

		var forms [2]any

		for i, side := range []Side{from, to} {
			data, err := side.Snapshot.Canonical()
			if err != nil {
				t.Fatal(err)
			}

			if forms[i], err = Decode(data); err != nil {
				t.Fatal(err)
			}
		}

		thereAndBack(t, forms[0], forms[1])
		inputsThereAndBack(t, from, to)
	})
}

func inputsThereAndBack(t *rapid.T, from, to Side) {
	d, err := Compare(from, to, nil)
	if err != nil {
		t.Fatal(err)
	}

	a, err := from.Inputs()
	if err != nil {
		t.Fatal(err)
	}

	b, err := to.Inputs()
	if err != nil {
		t.Fatal(err)
	}

	thereAndBack(t, a, b)

	for _, way := range []struct {
		from, to   any
		operations []Operation
	}{{a, b, d.Operations}, {b, a, d.Reverse}} {
		got, err := Apply(way.from, way.operations)

		masked := false
		for _, o := range way.operations {
			masked = masked || o.Masked
		}

		switch {
		case masked && !errors.Is(err, ErrForm):
			t.Fatalf("masked operations were applied: %v", err)
		case !masked && (err != nil || !equal(got, way.to)):
			t.Fatalf("%s gives %s (%v), want %s", encode(way.operations), encode(got), err, encode(way.to))
		}
	}
}

// verdict says by the library alone whether the operations, made for base, fit
// current, and what comes of it: an operation whose wish is there already is
// left out, any other has to find what base has.
func verdict(base, current any, operations []Operation) (any, bool) {
	for _, o := range operations {
		if alreadyThere(current, o) {
			continue
		}

		guarded := []Operation{o}

		if o.Op == Add {
			if _, err := library(current, []Operation{{Op: Test, Path: o.Path}}); !errors.Is(err, jsonpatch.ErrMissing) && !missing(current, o.Path) {
				return nil, false
			}
		} else {
			expected, _ := at(base, o.Path)
			guarded = []Operation{{Op: Test, Path: o.Path, Value: expected}, o}
		}

		changed, err := library(current, guarded)
		if err != nil {
			return nil, false
		}

		current = changed
	}

	return current, true
}

// missing reports whether the library can remove nothing there.
func missing(document any, path string) bool {
	_, err := library(document, []Operation{{Op: Remove, Path: path}})

	return err != nil
}

func alreadyThere(current any, o Operation) bool {
	if o.Op == Remove {
		_, err := library(current, []Operation{{Op: Add, Path: o.Path, Value: 1.0}})

		return missing(current, o.Path) && err == nil
	}

	_, err := library(current, []Operation{{Op: Test, Path: o.Path, Value: o.Value}})

	return err == nil && !missing(current, o.Path)
}

func TestMergeAgreesWithTheLibrary(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base := object(3).Draw(t, "base")
		wanted, ok := edited(t, base, "wanted").(map[string]any)
		current, both := edited(t, base, "current").(map[string]any)

		if !ok || !both {
			return
		}

		agrees(t, base, wanted, current)
	})
}

// TestMergeOfSnapshots is the same on canonical forms.
func TestMergeOfSnapshots(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var forms [3]any

		for i, label := range []string{"base", "wanted", "current"} {
			data, err := snapshot(t, label).Canonical()
			if err != nil {
				t.Fatal(err)
			}

			if forms[i], err = Decode(data); err != nil {
				t.Fatal(err)
			}
		}

		agrees(t, forms[0], forms[1], forms[2])
	})
}

func agrees(t *rapid.T, base, wanted, current any) {
	base, wanted, current = withoutNulls(base), withoutNulls(wanted), withoutNulls(current)
	merged, conflicts := Merge(base, wanted, current)
	theirs, fits := verdict(base, current, Operations(base, wanted))

	if fits != (len(conflicts) == 0) {
		t.Fatalf("the library says %v, we say %s\nbase    %s\nwanted  %s\ncurrent %s", fits, encode(conflicts), encode(base), encode(wanted), encode(current))
	}

	if fits && !equal(merged, theirs) {
		t.Fatalf("merged %s, the library %s", encode(merged), encode(theirs))
	}

	for _, c := range conflicts {
		expected, was := at(base, c.Path)
		found, is := at(current, c.Path)
		asked, wants := at(wanted, c.Path)

		if !holds(c.Expected, expected, was) || !holds(c.Found, found, is) || !holds(c.Wanted, asked, wants) {
			t.Fatalf("the conflict at %q tells something else than what is there", c.Path)
		}
	}
}

func holds(v *Value, want any, there bool) bool {
	return there == (v != nil) && (v == nil || equal(v.JSON, want))
}

// TestDisjointAndOverlapping: changes of different members go together, those
// of one member to different values never do.
func TestDisjointAndOverlapping(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		shared := rapid.MapOfN(rapid.SampledFrom(memberNames), value(2), 1, 5).Draw(t, "base")
		wanted, current := clone(shared).(map[string]any), clone(shared).(map[string]any)

		for name := range shared {
			side := wanted
			if rapid.Bool().Draw(t, "side of "+name) {
				side = current
			}

			side[name] = map[string]any{"changed": value(1).Draw(t, "value of "+name)}
		}

		merged, conflicts := Merge(shared, wanted, current)
		if len(conflicts) > 0 {
			t.Fatalf("disjoint changes conflict: %s", encode(conflicts))
		}

		if again, err := Apply(current, Operations(shared, wanted)); err != nil || !equal(again, merged) {
			t.Fatalf("merged %s, applied %s (%v)", encode(merged), encode(again), err)
		}

		wanted["both"], current["both"] = 1.0, 2.0
		if _, conflicts := Merge(shared, wanted, current); len(conflicts) != 1 || conflicts[0].Path != "/both" {
			t.Fatalf("overlapping changes: %s", encode(conflicts))
		}
	})
}

// TestApplyAgreesWithTheLibrary tries random operations, most of which fail.
func TestApplyAgreesWithTheLibrary(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		document := withoutNulls(object(3).Draw(t, "document"))
		token := rapid.SampledFrom([]string{"a", "b", "c", "a~1b", "~01", "0", "1", "2", "-", "-1"})
		pointer := rapid.Custom(func(t *rapid.T) string {
			return "/" + strings.Join(rapid.SliceOfN(token, 1, 3).Draw(t, "tokens"), "/")
		})

		for range rapid.IntRange(1, 4).Draw(t, "operations") {
			o := Operation{
				Op: rapid.SampledFrom([]string{Add, Remove, Replace, Move, Copy, Test}).Draw(t, "op"), Path: pointer.Draw(t, "path"),
			}
			if o.hasValue() {
				o.Value = withoutNulls(value(1).Draw(t, "value"))
			} else if o.Op != Remove {
				o.From = pointer.Draw(t, "from")
			}

			ours, err := Apply(document, []Operation{o})
			theirs, refused := library(document, []Operation{o})

			if (err == nil) != (refused == nil) || err == nil && !equal(ours, theirs) {
				t.Fatalf("%s on %s\nours   %s (%v)\ntheirs %s (%v)", encode(o), encode(document), encode(ours), err, encode(theirs), refused)
			}

			if err == nil {
				document = ours
			}
		}
	})
}

func FuzzDiff(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,2]},"c":null}`), []byte(`{"a":{"b":[2]},"d":"<"}`))
	f.Add([]byte(`[]`), []byte(`{}`))
	f.Add([]byte(`{"":{"~":1}}`), []byte(`{"":{"/":1}}`))

	f.Fuzz(func(t *testing.T, first, second []byte) {
		a, err := Decode(first)
		if err != nil {
			return
		}

		b, err := Decode(second)
		if err != nil {
			return
		}

		thereAndBack(t, a, b)

		if merged, conflicts := Merge(a, b, a); len(conflicts) > 0 || !equal(merged, b) {
			t.Fatalf("merged into what did not change: %s, %s", encode(merged), encode(conflicts))
		}

		if merged, conflicts := Merge(a, a, b); len(conflicts) > 0 || !equal(merged, b) {
			t.Fatalf("nothing merged: %s, %s", encode(merged), encode(conflicts))
		}
	})
}
