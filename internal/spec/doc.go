// Package spec is pure: it turns a version's workload and the layers of
// configuration into a snapshot (rendered objects, canonical form, digest).
// It knows neither database nor GraphQL nor cluster.
//
// # What comes in
//
// [ParseWorkload] and [ParseConfiguration] check form and store what they
// accept; [MergeConfiguration] folds the layers; [Render] makes the snapshot.
// Refusals are fault.Error values that name the field and say what would be
// accepted. Values of variables never appear in them.
//
// # The canonical form, for other programs
//
// A snapshot's digest can be computed without Shiplog:
//
//  1. Take the JSON object with the members renderer, target, images,
//     workload, configuration and objects. Of these, images is left out when
//     it has no member; workload, configuration and objects are always there
//     ({} when empty). Inside them, members that are empty (null, "", 0, [],
//     {}) are left out, except: a variable that is null stays (it removes),
//     replicas that is 0 stays, a resource's value that is "" stays, a Process object keeps all of name, replicas,
//     containers, command, startupSeconds and the numbers of its ports, and
//     the content of workload.score, of a patch and of a Kubernetes object
//     stays exactly as it is.
//  2. Replace lists with an identity by an object keyed by it; the elements
//     stay as they are, identity included. A list in which an element is no
//     object, lacks its identity or repeats one stays a list.
//     In workload.score, for every container: files and volumes by target,
//     and the httpHeaders of both probes by name.
//     In objects, for a Service of v1: spec.ports by name. For the pod spec
//     of a Pod (v1), a Deployment, StatefulSet, DaemonSet or ReplicaSet
//     (apps/v1), a Job or CronJob (batch/v1): containers and volumes by name
//     and, in every container and init container: ports by name, env by name
//     (unless a value contains "$(": then the order means something),
//     volumeMounts by mountPath. initContainers run in order and stay a list.
//     A port without a name is keyed "number/protocol" ("8080/TCP").
//  3. Write it as RFC 8785 (JCS): numbers are IEEE 754 doubles, members are
//     sorted by UTF-16 code units.
//  4. The digest is "sha256:" and the SHA-256 of those bytes in lower-case hex.
//
// The provenance of the configuration (Snapshot.Layers) is no part of it.
package spec
