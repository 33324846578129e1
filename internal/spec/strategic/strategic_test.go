package strategic_test

import (
	"encoding/json"
	"testing"

	"github.com/shiplog/shiplog/internal/spec/strategic"
)

const deployment = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"annotations":{"version":"1.10","yes":"yes"},"name":"a"},"spec":{"replicas":2,` +
	`"template":{"spec":{"containers":[{"args":["1","2"],"env":[{"name":"A","value":"1"},{"name":"B","value":"2"}],"image":"x","name":"main"}],` +
	`"volumes":[{"emptyDir":{},"name":"v"}]}}}}`

func TestMerge(t *testing.T) {
	t.Parallel()

	cases := []struct{ name, object, patch, want string }{
		{
			"empty patch changes nothing", deployment, `{}`, deployment,
		},
		{
			"lists with a key merge by it, others are replaced",
			`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"template":{"spec":{"containers":[{"args":["1","2"],"env":[{"name":"A","value":"1"},{"name":"B","value":"2"}],"name":"main"}]}}}}`,
			`{"spec":{"template":{"spec":{"containers":[{"name":"main","args":["3"],"env":[{"name":"B","value":"3"},{"name":"A","$patch":"delete"}]},{"name":"side","image":"y"}]}}}}`,
			`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"template":{"spec":{"containers":[{"args":["3"],"env":[{"name":"B","value":"3"}],"name":"main"},{"image":"y","name":"side"}]}}}}`,
		},
		{
			"a value keeps its own type, not that of the one that it replaces",
			`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"strategy":{"rollingUpdate":{"maxSurge":"25%","maxUnavailable":0}}}}`,
			`{"spec":{"strategy":{"rollingUpdate":{"maxSurge":1,"maxUnavailable":"10"}}}}`,
			`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"strategy":{"rollingUpdate":{"maxSurge":1,"maxUnavailable":"10"}}}}`,
		},
		{
			"ports are told apart by number and protocol",
			`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"name":"t","port":53,"protocol":"TCP"},{"name":"u","port":53,"protocol":"UDP"}]}}`,
			`{"spec":{"ports":[{"port":53,"protocol":"UDP","targetPort":5353}]}}`,
			`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"name":"t","port":53,"protocol":"TCP"},{"name":"u","port":53,"protocol":"UDP","targetPort":5353}]}}`,
		},
		{
			"a whole list is replaced",
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"image":"x","name":"main"},{"image":"x","name":"other"}]}}`,
			`{"spec":{"containers":[{"$patch":"replace"},{"name":"main","image":"y"}]}}`,
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"image":"y","name":"main"}]}}`,
		},
		{
			"null removes",
			`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"clusterIP":"None","type":"ClusterIP"}}`,
			`{"spec":{"clusterIP":null}}`,
			`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"type":"ClusterIP"}}`,
		},
		{
			"replace directive",
			`{"apiVersion":"v1","kind":"ConfigMap","data":{"a":"1","b":"2"},"metadata":{"name":"a"}}`,
			`{"data":{"$patch":"replace","c":"3"}}`,
			`{"apiVersion":"v1","data":{"c":"3"},"kind":"ConfigMap","metadata":{"name":"a"}}`,
		},
		{
			"delete directive", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`, `{"$patch":"delete"}`, ``,
		},
		{
			"texts that look like something else stay texts",
			`{"apiVersion":"v1","data":{"a":"1.10","b":"yes","c":"0o7","d":"","e":"null","f":"2020-01-01","g":" x\n---\ny\t"},"kind":"ConfigMap","metadata":{"name":"a"}}`,
			`{"data":{"h":"on","i":"1e3","j":"#","k":"a: b"}}`,
			`{"apiVersion":"v1","data":{"a":"1.10","b":"yes","c":"0o7","d":"","e":"null","f":"2020-01-01","g":" x\n---\ny\t","h":"on","i":"1e3","j":"#","k":"a: b"},"kind":"ConfigMap","metadata":{"name":"a"}}`,
		},
		{
			"kinds that are not known have lists without keys",
			`{"apiVersion":"example.com/v1","kind":"Rollout","metadata":{"name":"a"},"spec":{"containers":[{"image":"x","name":"main"}],"n":3,"f":1.5}}`,
			`{"spec":{"containers":[{"name":"side"}]}}`,
			`{"apiVersion":"example.com/v1","kind":"Rollout","metadata":{"name":"a"},"spec":{"containers":[{"name":"side"}],"f":1.5,"n":3}}`,
		},
	}

	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			got, err := strategic.Merge(json.RawMessage(c.object), json.RawMessage(c.patch))
			if err != nil || string(got) != c.want {
				t.Errorf("got  %s, %v\nwant %s", got, err, c.want)
			}
		})
	}
}

func TestMergeRefuses(t *testing.T) {
	t.Parallel()

	for name, patch := range map[string]string{
		"directive that is none": `{"metadata":{"$patch":"explode"}}`,
		"list for an object":     `{"metadata":["a"]}`,
		"text for an object":     `{"spec":{"template":"x"}}`,
		"directive of kubectl":   `{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"main"}]}}}}`,
		"element without a key":  `{"spec":{"template":{"spec":{"containers":[{"image":"y"}]}}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got, err := strategic.Merge(json.RawMessage(deployment), json.RawMessage(patch)); err == nil {
				t.Errorf("merged: %s", got)
			}
		})
	}
}
