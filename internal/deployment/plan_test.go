package deployment

import (
	"testing"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/target"
	"github.com/shiplog/shiplog/internal/spec"
)

func TestBindingOf(t *testing.T) {
	t.Parallel()

	namespace := func(s string) *string { return &s }
	service, environment := &db.Service{Name: "checkout"}, &db.Environment{Name: "staging"}
	version := &db.Version{Name: "1.4.2"}

	cases := []struct {
		name    string
		to      db.Target
		version *db.Version
		want    spec.Binding
	}{
		{"a process target has no places", db.Target{Kind: target.KindPROCESS}, version, spec.Binding{}},
		{
			"a namespace",
			db.Target{Kind: target.KindKUBERNETES, Namespace: namespace("shop")},
			version,
			spec.Binding{Namespace: "shop", Environment: "staging", Version: "1.4.2"},
		},
		{
			"a template",
			db.Target{Kind: target.KindKUBERNETES, Namespace: namespace("{environment}-{service}")},
			version,
			spec.Binding{Namespace: "staging-checkout", Environment: "staging", Version: "1.4.2"},
		},
		{
			"a host, and what is allowed",
			db.Target{Kind: target.KindKUBERNETES, Namespace: namespace("shop"), Host: namespace("{service}.{environment}.example"), Allow: []string{"NAMESPACES", "RBAC"}},
			version,
			spec.Binding{
				Namespace: "shop", Environment: "staging", Version: "1.4.2", Host: "checkout.staging.example",
				Allow: spec.Permissions{Namespaces: true, RBAC: true},
			},
		},
		{
			"no version",
			db.Target{Kind: target.KindKUBERNETES, Namespace: namespace("shop")},
			nil,
			spec.Binding{Namespace: "shop", Environment: "staging"},
		},
	}

	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			if got := bindingOf(service, environment, &c.to, c.version); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
