package spec

import (
	"regexp"
	"strings"

	"github.com/shiplog/shiplog/internal/fault"
)

var (
	apiVersionForm = regexp.MustCompile(`^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	kindForm       = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,62}$`)
)

// objectKey is how an object is named in snapshots and patches:
// "apps/v1/Deployment/hello".
func objectKey(object map[string]any) string {
	return textOf(object, "apiVersion") + "/" + textOf(object, "kind") + "/" + textOf(mapOf(object, "metadata"), "name")
}

// mapOf gives a member that is an object, or nil.
func mapOf(object map[string]any, name string) map[string]any {
	m, _ := object[name].(map[string]any)

	return m
}

// listOf gives a member that is a list, or nil.
func listOf(object map[string]any, name string) []any {
	l, _ := object[name].([]any)

	return l
}

// textOf gives a member that is a string, or "".
func textOf(object map[string]any, name string) string {
	s, _ := object[name].(string)

	return s
}

// mapIn gives a member that is an object, and makes it when there is none.
func mapIn(object map[string]any, name string) map[string]any {
	if m := mapOf(object, name); m != nil {
		return m
	}

	m := map[string]any{}
	object[name] = m

	return m
}

// podTemplate is what pods are made from: an object with metadata and spec,
// and where in its object it stands.
type podTemplate struct {
	path   string
	object map[string]any
}

func (p podTemplate) spec() map[string]any { return mapOf(p.object, "spec") }

// containers gives the pod's containers, those that initialise it included.
func (p podTemplate) containers() []map[string]any {
	var all []map[string]any

	for _, list := range []string{"initContainers", "containers"} {
		for _, e := range listOf(p.spec(), list) {
			if container, ok := e.(map[string]any); ok {
				all = append(all, container)
			}
		}
	}

	return all
}

// podTemplateOf gives what an object makes pods from. Kinds that are not
// Kubernetes' own have it, too, when they have it at the same place as a
// Deployment (Argo's Rollout, Knative's Service).
func podTemplateOf(object map[string]any) (podTemplate, bool) {
	group, kind := groupOf(textOf(object, "apiVersion")), textOf(object, "kind")
	spec := mapOf(object, "spec")
	template := podTemplate{".spec.template", mapOf(spec, "template")}

	switch {
	case group == noGroup && kind == "Pod":
		template = podTemplate{"", object}
	case group == noGroup && kind == "PodTemplate":
		template = podTemplate{".template", mapOf(object, "template")}
	case group == "batch" && kind == "CronJob":
		template = podTemplate{".spec.jobTemplate.spec.template", mapOf(mapOf(mapOf(spec, "jobTemplate"), "spec"), "template")}
	}

	return template, listOf(template.spec(), "containers") != nil
}

// checkForm checks of an object what is needed to name it, and that its
// metadata can carry labels.
func checkForm(field string, object map[string]any) error {
	metadata := mapOf(object, "metadata")
	at := child(field, "metadata")

	switch name := textOf(metadata, "name"); {
	case !apiVersionForm.MatchString(textOf(object, "apiVersion")):
		return fault.Invalid(child(field, "apiVersion"), "is %q; accepted is a version, or group/version (\"apps/v1\")", shorten(textOf(object, "apiVersion")))
	case !kindForm.MatchString(textOf(object, "kind")):
		return fault.Invalid(child(field, "kind"), "is %q; accepted is a kind (\"Deployment\")", shorten(textOf(object, "kind")))
	case strings.ContainsAny(name, "/% ") || name == "." || name == ".." || len(name) > maxPrefix || ValidateLine(at, name, maxPrefix) != nil:
		return fault.Invalid(child(at, "name"), "is %q; accepted is a name of at most %d characters without / and %%", shorten(name), maxPrefix)
	}

	if ns, given := metadata["namespace"]; given && ns != placeOfNamespace {
		if s, _ := ns.(string); !dnsLabel.MatchString(s) {
			return fault.Invalid(child(at, "namespace"), "is %q; accepted is the name of a namespace, or nothing", shorten(s))
		}
	}

	if err := checkLabels(at, metadata); err != nil {
		return err
	}

	template, ok := podTemplateOf(object)
	if !ok {
		return nil
	}

	return checkLabels(field+template.path+".metadata", mapOf(template.object, "metadata"))
}

// checkLabels checks that labels and annotations are texts, and that nobody
// else sets those that say what a deployed object belongs to.
func checkLabels(field string, metadata map[string]any) error {
	for _, name := range []string{"labels", "annotations"} {
		value, given := metadata[name]
		if !given || value == nil {
			continue
		}

		err := each(child(field, name), value, func(at, label string, v any) error {
			if _, ok := v.(string); !ok {
				return fault.Invalid(at, "is %s; accepted is a string (in quotes)", typeName(v))
			}

			if name == "labels" && isOwnLabel(label) {
				return fault.Invalid(at, "is set by Shiplog on everything that it deploys; leave it out")
			}

			return nil
		})
		if err != nil {
			return err
		}
	}

	return nil
}

// neutral takes from an object what a cluster has written into it, and what
// kubectl keeps there: it belongs to one object in one cluster.
func neutral(object map[string]any) {
	delete(object, "status")

	metadata := mapOf(object, "metadata")
	for _, name := range []string{"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"} {
		delete(metadata, name)
	}

	if annotations := mapOf(metadata, "annotations"); annotations != nil {
		delete(annotations, lastApplied)
		delete(annotations, "deployment.kubernetes.io/revision")

		if len(annotations) == 0 {
			delete(metadata, "annotations")
		}
	}
}
