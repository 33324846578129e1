//go:build unix

package memory

import "testing"

// The past is kept as it was: real releases had images that could not be pulled.
func TestBackfillTakesImagesThatAreNoReferences(t *testing.T) {
	each(t, func(t *testing.T, a *api) {
		ask[object](a, `mutation { createService(input: {name: "old"}) { service { id } } }`, nil)

		const register = `mutation($b: Boolean) { registerVersion(input: {service: "old", version: "0.2.2", image: "registry.example/old/*:0.2.2", backfill: $b}) { created } }`

		refused, err := a.post(register, object{"b": false})
		if err != nil || refused.code() != "INVALID_INPUT" || refused.field() != "image" {
			t.Errorf("got %v, %s of %s; want INVALID_INPUT of image", err, refused.code(), refused.field())
		}

		if got := ask[struct{ RegisterVersion registration }](a, register, object{"b": true}); !got.RegisterVersion.Created {
			t.Error("the past was not taken")
		}
	})
}
