package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/shiplog/shiplog/internal/fault"
)

// The labels of everything that is deployed, on objects and on pods. Nothing
// of them changes from one deployment of the same content to the next.
const (
	LabelService     = "shiplog.dev/service"
	LabelEnvironment = "shiplog.dev/environment"
	LabelVersion     = "shiplog.dev/version"
)

// What an object may leave to its place, anywhere in a text.
const (
	placeOfNamespace = "${shiplog.namespace}"
	placeOfHost      = "${shiplog.host}"
)

var labelValue = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

func isOwnLabel(name string) bool {
	return name == LabelService || name == LabelEnvironment || name == LabelVersion
}

// VersionLabel gives the value of LabelVersion for a version's name: the name
// itself where it can be one, else what is left of it and a hash.
func VersionLabel(name string) string {
	if labelValue.MatchString(name) {
		return name
	}

	kept := notInLabelValues.ReplaceAllString(name, "_")
	if len(kept) > 50 {
		kept = kept[:50]
	}

	if kept = strings.Trim(kept, "._-"); kept != "" {
		kept += "."
	}

	return kept + shortHash(name)
}

var notInLabelValues = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// Binding is where a snapshot's objects go: no part of its digest.
type Binding struct {
	Namespace   string
	Environment string
	// Version is the name of the version; "" when nothing is known of it.
	Version string
	// Host is the DNS name under which the service is reached from outside;
	// "" when it has none.
	Host string
	// Allow is what the target lets in.
	Allow Permissions
}

// Namespace gives the namespace that a target names: {service} and {environment}
// stand for the names.
func Namespace(said, service, environment string) string {
	return strings.NewReplacer("{service}", service, "{environment}", environment).Replace(said)
}

// Permissions are what a target has to allow explicitly.
type Permissions struct {
	// Namespaces lets Namespace objects in.
	Namespaces bool `json:"namespaces,omitempty"`
	// ClusterScoped lets in other objects that stand outside namespaces.
	ClusterScoped bool `json:"clusterScoped,omitempty"`
	// RBAC lets in roles and their bindings; those of the whole cluster need
	// ClusterScoped, too.
	RBAC bool `json:"rbac,omitempty"`
}

// The permissions' names in the contract.
const (
	AllowNamespaces    = "NAMESPACES"
	AllowClusterScoped = "CLUSTER_SCOPED"
	AllowRBAC          = "RBAC"
)

// PermissionsOf gives the permissions with these names.
func PermissionsOf(names []string) Permissions {
	return Permissions{
		Namespaces: slices.Contains(names, AllowNamespaces), ClusterScoped: slices.Contains(names, AllowClusterScoped), RBAC: slices.Contains(names, AllowRBAC),
	}
}

// Placed is an object in its place.
type Placed struct {
	// Key of the object in the snapshot.
	Key string
	// APIVersion, Kind, Namespace ("" outside namespaces) and Name of the
	// object in the cluster.
	APIVersion, Kind, Namespace, Name string
	// Object is canonical JSON.
	Object json.RawMessage
}

// Place puts the objects of a snapshot for a Kubernetes target into their
// place: namespace, labels, ${shiplog.namespace} and ${shiplog.host}. It gives
// them in the order of their keys; the same snapshot and binding give the same
// bytes. All refusals are fault.InvalidInput, gathered into one: an object of
// another namespace, and what needs a permission that the target does not
// give. Kinds that are not Kubernetes' own are taken to stand in a namespace;
// whoever applies them knows better, and refuses by the same permission.
func Place(snapshot *Snapshot, binding Binding) ([]Placed, error) {
	if err := binding.validate(); err != nil {
		return nil, err
	}

	var (
		refused findings
		objects = make(objectSet, len(snapshot.Objects))
	)

	for _, key := range sortedKeys(snapshot.Objects) {
		value, err := decodeStored(snapshot.Objects[key])
		if err != nil {
			return nil, fmt.Errorf("read the object %s: %w", key, err)
		}

		object, ok := value.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("the object %s is %s", key, typeName(value))
		}

		field := child(objectsField(snapshot.Workload), key)
		object, _ = binding.fill(field, object, &refused).(map[string]any)
		binding.place(field, object, &refused)
		objects[key] = object
	}

	if err := refused.err(objectsField(snapshot.Workload), "cannot be deployed to this target"); err != nil {
		return nil, err
	}

	if err := nameAfterContent(objects); err != nil {
		return nil, err
	}

	placed := make([]Placed, 0, len(objects))

	for _, key := range sortedKeys(objects) {
		object := objects[key]

		data, err := canonicalJSON(object)
		if err != nil {
			return nil, err
		}

		metadata := mapOf(object, "metadata")
		placed = append(placed, Placed{
			Key: key, APIVersion: textOf(object, "apiVersion"), Kind: textOf(object, "kind"),
			Namespace: textOf(metadata, "namespace"), Name: textOf(metadata, "name"), Object: data,
		})
	}

	return placed, nil
}

func (b Binding) validate() error {
	if err := ValidateName("target.namespace", b.Namespace); err != nil {
		return err
	}

	if err := ValidateName("environment", b.Environment); err != nil {
		return err
	}

	if b.Version != "" {
		if err := ValidateVersionName("version", b.Version); err != nil {
			return err
		}
	}

	if b.Host != "" {
		return ValidateHost("target.host", b.Host)
	}

	return nil
}

// ValidateHost accepts a DNS name.
func ValidateHost(field, host string) error {
	if len(host) > maxPrefix || !dnsDomain.MatchString(host) {
		return fault.Invalid(field, "is %q; accepted is a DNS name", shorten(host))
	}

	return nil
}

// fill gives the value with what it leaves to its place filled in.
func (b Binding) fill(field string, value any, refused *findings) any {
	switch v := value.(type) {
	case string:
		if strings.Contains(v, placeOfHost) {
			if b.Host == "" {
				refused.addf(field, "has %s, and the target has no host; accepted is a target with one, or the value in the configuration", placeOfHost)
			}

			v = strings.ReplaceAll(v, placeOfHost, b.Host)
		}

		return strings.ReplaceAll(v, placeOfNamespace, b.Namespace)
	case []any:
		for i, e := range v {
			v[i] = b.fill(element(field, i), e, refused)
		}
	case map[string]any:
		for _, name := range sortedKeys(v) {
			v[name] = b.fill(child(field, name), v[name], refused)
		}
	}

	return value
}

// place sets namespace and labels, and refuses what may not be here.
func (b Binding) place(field string, object map[string]any, refused *findings) {
	metadata := mapIn(object, "metadata")
	group, kind := groupOf(textOf(object, "apiVersion")), textOf(object, "kind")
	given := textOf(metadata, "namespace")

	if group == rbacGroup && !b.Allow.RBAC {
		refused.addf(child(field, "kind"), "is %s, which gives rights, and the target does not allow that; accepted are objects that give none", kind)
	}

	switch {
	case isNamespace(group, kind):
		if !b.Allow.Namespaces {
			refused.addf(child(field, "kind"), "is Namespace, and the target does not allow to make namespaces; accepted are objects in %s", b.Namespace)
		}
	case clusterScoped(group, kind):
		if !b.Allow.ClusterScoped {
			refused.addf(child(field, "kind"), "is %s, which stands outside every namespace, and the target does not allow that; accepted are objects in %s", kind, b.Namespace)
		}
	case given != "" && given != b.Namespace:
		refused.addf(child(child(field, "metadata"), "namespace"), "is %q; accepted is that of the target (%s), or nothing", shorten(given), b.Namespace)
	default:
		given = b.Namespace
	}

	if isNamespace(group, kind) || clusterScoped(group, kind) {
		delete(metadata, "namespace")
	} else {
		metadata["namespace"] = given
	}

	labels := map[string]string{LabelEnvironment: b.Environment}
	if b.Version != "" {
		labels[LabelVersion] = VersionLabel(b.Version)
	}

	setLabels(object, labels)
}

// nameAfterContent gives the ConfigMaps of files a name that says what is in
// them, and the new name to the pods that mount them.
func nameAfterContent(objects objectSet) error {
	names := map[string]string{}

	for _, key := range sortedKeys(objects) {
		object := objects[key]
		metadata := mapOf(object, "metadata")

		if textOf(object, "kind") != "ConfigMap" || textOf(mapOf(metadata, "annotations"), contentNamed) != "true" {
			continue
		}

		content, err := canonicalJSON([]any{object["data"], object["binaryData"]})
		if err != nil {
			return err
		}

		sum := sha256.Sum256(content)
		name := textOf(metadata, "name")
		names[name] = name + "-" + hex.EncodeToString(sum[:5])
		metadata["name"] = names[name]
	}

	for _, key := range sortedKeys(objects) {
		template, ok := podTemplateOf(objects[key])
		if !ok {
			continue
		}

		for _, v := range listOf(template.spec(), "volumes") {
			volume, _ := v.(map[string]any)
			source := mapOf(volume, "configMap")

			if name, named := names[textOf(source, "name")]; named {
				source["name"] = name
			}
		}
	}

	return nil
}
