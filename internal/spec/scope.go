package spec

import "strings"

// The groups that are looked at by name.
const (
	rbacGroup = "rbac.authorization.k8s.io"
	noGroup   = ""
)

// groupOf gives the group of an apiVersion; "" is the core group.
func groupOf(apiVersion string) string {
	group, _, grouped := strings.Cut(apiVersion, "/")
	if !grouped {
		return noGroup
	}

	return group
}

// isNamespace reports whether an object is a namespace.
func isNamespace(group, kind string) bool { return group == noGroup && kind == "Namespace" }

// clusterScoped reports whether a kind of Kubernetes' own stands outside every
// namespace. Of the kinds that others add only the cluster knows: whoever
// applies objects asks it, and refuses by the same permission.
func clusterScoped(group, kind string) bool {
	kinds := map[string]string{
		noGroup:                        "ComponentStatus Namespace Node PersistentVolume",
		"admissionregistration.k8s.io": "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration",
		"apiextensions.k8s.io":         "CustomResourceDefinition",
		"apiregistration.k8s.io":       "APIService",
		"authentication.k8s.io":        "SelfSubjectReview TokenReview",
		"authorization.k8s.io":         "SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
		"certificates.k8s.io":          "CertificateSigningRequest ClusterTrustBundle",
		"flowcontrol.apiserver.k8s.io": "FlowSchema PriorityLevelConfiguration",
		"internal.apiserver.k8s.io":    "StorageVersion",
		"networking.k8s.io":            "IPAddress IngressClass ServiceCIDR",
		"node.k8s.io":                  "RuntimeClass",
		"policy":                       "PodSecurityPolicy",
		rbacGroup:                      "ClusterRole ClusterRoleBinding",
		"resource.k8s.io":              "DeviceClass DeviceTaintRule ResourceSlice",
		"scheduling.k8s.io":            "PriorityClass",
		"storage.k8s.io":               "CSIDriver CSINode StorageClass VolumeAttachment VolumeAttributesClass",
		"storagemigration.k8s.io":      "StorageVersionMigration",
	}[group]

	for known := range strings.FieldsSeq(kinds) {
		if known == kind {
			return true
		}
	}

	return false
}
