package spec

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseConfigurationRefusals(t *testing.T) {
	t.Parallel()

	cases := []struct {
		name string
		raw  any
	}{
		{"text", "hello"},
		{"list", []any{}},
		{"unknown member", `{"variabels":{}}`},
		{"variables as a list", `{"variables":[]}`},
		{"variable as a number", `{"variables":{"PORT":8080}}`},
		{"variable name", `{"variables":{"A B":"x"}}`},
		{"variable name with digit first", `{"variables":{"1A":"x"}}`},
		{"variable too long", map[string]any{"variables": map[string]any{"A": strings.Repeat("x", maxVariableBytes+1)}}},
		{"replicas negative", `{"replicas":-1}`},
		{"replicas broken", `{"replicas":1.5}`},
		{"replicas too many", `{"replicas":1001}`},
		{"replicas as text", `{"replicas":"2"}`},
		{"limits of a bad container", `{"limits":{"Main":{}}}`},
		{"limits unknown", `{"limits":{"main":{"gpu":"1"}}}`},
		{"limits no quantity", `{"limits":{"main":{"cpu":"lots"}}}`},
		{"limits zero", `{"limits":{"main":{"cpu":"0.0m"}}}`},
		{"limits negative", `{"limits":{"main":{"memory":"-1Gi"}}}`},
		{"limits wrong unit", `{"limits":{"main":{"memory":"64MB"}}}`},
		{"patches as an object", `{"patches":{}}`},
		{"patch without object", `{"patches":[{"merge":{}}]}`},
		{"patch without content", `{"patches":[{"object":"Process/a"}]}`},
		{"patch with both", `{"patches":[{"object":"Process/a","merge":{},"operations":[{"op":"remove","path":"/a"}]}]}`},
		{"patch of bad object", `{"patches":[{"object":"a","merge":{}}]}`},
		{"patch merge as text", `{"patches":[{"object":"Process/a","merge":"x"}]}`},
		{"patch with a secret", `{"patches":[{"object":"v1/Secret/*","merge":{"stringData":{"password":"hunter2"}}}]}`},
		{"operations with a secret", `{"patches":[{"object":"v1/Secret/a","operations":[{"op":"add","path":"/data/password","value":"hunter2"}]}]}`},
		{"operations with a whole secret", `{"patches":[{"object":"v1/Secret/a","operations":[{"op":"replace","path":"","value":{"data":{"password":"hunter2"}}}]}]}`},
		{"operations empty", `{"patches":[{"object":"Process/a","operations":[]}]}`},
		{"operation as text", `{"patches":[{"object":"Process/a","operations":["x"]}]}`},
		{"operation unknown", `{"patches":[{"object":"Process/a","operations":[{"op":"drop","path":"/a"}]}]}`},
		{"operation without value", `{"patches":[{"object":"Process/a","operations":[{"op":"add","path":"/a"}]}]}`},
		{"operation with bad path", `{"patches":[{"object":"Process/a","operations":[{"op":"remove","path":"a"}]}]}`},
		{"operation with bad escape", `{"patches":[{"object":"Process/a","operations":[{"op":"remove","path":"/~2"}]}]}`},
		{"operation without from", `{"patches":[{"object":"Process/a","operations":[{"op":"move","path":"/a"}]}]}`},
		{"operation with too much", `{"patches":[{"object":"Process/a","operations":[{"op":"remove","path":"/a","value":1}]}]}`},
		{"resource name", `{"resources":{"my db":{}}}`},
		{"output name", `{"resources":{"db":{"a/b":{"value":""}}}}`},
		{"output as text", `{"resources":{"db":{"host":"x"}}}`},
		{"output of nothing", `{"resources":{"db":{"host":{}}}}`},
		{"output of both", `{"resources":{"db":{"host":{"value":"","secretRef":{"name":"a","key":"b"}}}}}`},
		{"output as a number", `{"resources":{"db":{"port":{"value":5432}}}}`},
		{"secret without name", `{"resources":{"db":{"host":{"secretRef":{"key":"b"}}}}}`},
		{"secret without key", `{"resources":{"db":{"host":{"secretRef":{"name":"a"}}}}}`},
		{"secret with bad name", `{"resources":{"db":{"host":{"secretRef":{"name":"A","key":"b"}}}}}`},
		{"secret with too much", `{"resources":{"db":{"host":{"secretRef":{"name":"a","key":"b","value":"c"}}}}}`},
	}

	var out strings.Builder

	for _, c := range cases {
		_, err := ParseConfiguration("configuration", c.raw)
		if err == nil {
			t.Errorf("%s: accepted", c.name)

			continue
		}

		fmt.Fprintf(&out, "%s\n\t%s\n", c.name, refusal(t, err))
	}

	golden(t, "configuration_refusals.txt", out.String())

	if strings.Contains(out.String(), "hunter2") {
		t.Error("a refusal shows a secret")
	}
}

func TestParseConfigurationQuantities(t *testing.T) {
	t.Parallel()

	for _, q := range []string{"1", "250m", "0.5", ".5", "1.", "64Mi", "1G", "1e3", "1E-3", "100n", "9Ei"} {
		c, err := ParseConfiguration("configuration", map[string]any{"limits": map[string]any{"main": map[string]any{"cpu": q}}})
		if err != nil || c.Limits["main"].CPU != q {
			t.Errorf("%s: %v %v", q, c, err)
		}
	}
}

func TestConfigurationStaysTheSame(t *testing.T) {
	t.Parallel()

	first := mustConfiguration(t, helloConfiguration+"  - {object: Process/hello, merge: {}}\n")

	data, err := json.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}

	second := mustConfiguration(t, data)
	if !reflect.DeepEqual(first, second) {
		t.Errorf("got %s", indent(t, second))
	}

	if *first.Variables["MODE"] != "yes" {
		t.Errorf("MODE is %q", *first.Variables["MODE"])
	}

	var stored Configuration
	if err := json.Unmarshal(data, &stored); err != nil || !reflect.DeepEqual(first, stored) {
		t.Errorf("got %s, %v", indent(t, stored), err)
	}
}

// layers draws a configuration over few names, so that layers meet.
func layers() *rapid.Generator[Configuration] {
	name := rapid.SampledFrom([]string{"a", "b", "c"})
	value := rapid.SampledFrom([]string{"", "1", "2"})

	return rapid.Custom(func(t *rapid.T) Configuration {
		var c Configuration

		for range rapid.IntRange(0, 3).Draw(t, "variables") {
			var v *string
			if rapid.Bool().Draw(t, "set") {
				s := value.Draw(t, "value")
				v = &s
			}

			put(&c.Variables, name.Draw(t, "variable"), v)
		}

		if rapid.Bool().Draw(t, "scaled") {
			n := rapid.IntRange(0, 3).Draw(t, "replicas")
			c.Replicas = &n
		}

		for range rapid.IntRange(0, 2).Draw(t, "limits") {
			put(&c.Limits, name.Draw(t, "container"), ResourceLimits{CPU: value.Draw(t, "cpu")})
		}

		for range rapid.IntRange(0, 2).Draw(t, "patches") {
			c.Patches = append(c.Patches, ObjectPatch{Object: name.Draw(t, "object"), Merge: json.RawMessage(`{}`)})
		}

		for range rapid.IntRange(0, 3).Draw(t, "resources") {
			resource := name.Draw(t, "resource")
			outputs := c.Resources[resource]
			put(&outputs, name.Draw(t, "output"), ResourceValue{Value: value.Draw(t, "output value")})
			put(&c.Resources, resource, outputs)
		}

		return c
	})
}

func TestMergeProperties(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		a, b, c := layers().Draw(t, "a"), layers().Draw(t, "b"), layers().Draw(t, "c")
		before, _ := json.Marshal([]Configuration{a, b, c})
		all := MergeConfiguration(a, b, c)

		if got := MergeConfiguration(MergeConfiguration(a, b), c); !reflect.DeepEqual(got, all) {
			t.Fatalf("not associative: %v and %v", got, all)
		}

		if got := MergeConfiguration(a, MergeConfiguration(b, c)); !reflect.DeepEqual(got, all) {
			t.Fatalf("not associative: %v and %v", got, all)
		}

		if got := MergeConfiguration(Configuration{}, a, Configuration{}); !reflect.DeepEqual(got, MergeConfiguration(a)) || !reflect.DeepEqual(got, a) {
			t.Fatalf("the empty layer is not neutral: %v and %v", got, a)
		}

		for name, value := range c.Variables {
			if !reflect.DeepEqual(all.Variables[name], value) {
				t.Fatalf("the last layer does not win for %s", name)
			}
		}

		for resource, outputs := range b.Resources {
			for output := range outputs {
				if _, ok := all.Resources[resource][output]; !ok {
					t.Fatalf("%s.%s is lost", resource, output)
				}
			}
		}

		if len(all.Patches) != len(a.Patches)+len(b.Patches)+len(c.Patches) {
			t.Fatal("a patch is lost")
		}

		for _, v := range all.Variables {
			if v != nil {
				*v += "changed"
			}
		}

		for _, outputs := range all.Resources {
			clear(outputs)
		}

		if after, _ := json.Marshal([]Configuration{a, b, c}); string(after) != string(before) {
			t.Fatal("the result shares something with its layers")
		}
	})
}
