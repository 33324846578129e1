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
// # Kubernetes targets
//
// Two steps. [Render] makes objects that know no place, from a Score document
// (a Deployment, a Service when it has ports, a ConfigMap for the files of each
// container) or from manifests (any kinds, as they are, without what a cluster
// had written into them). They belong to the snapshot and its digest, carry the
// label of the service, and are canonical JSON: equal objects are equal bytes.
// [Place] binds them: namespace, labels of environment and version (on objects
// and on what makes pods), ${shiplog.namespace} and ${shiplog.host} in any text,
// and names after their content for the ConfigMaps of files, so that a pod
// keeps the files that it was started with. Nothing depends on the deployment:
// the same content in the same place is the same bytes again.
//
// Over the workload comes the configuration: variables in every container,
// init containers included, as literal texts ("$(" is escaped); limits of the
// container of that name, each given one replaces; replicas of the Deployment,
// or of the object named after the service; then patches in the order of the
// layers, strategic merge (package strategic) or RFC 6902. Patches see the
// version's images. One for kind Process is passed over.
//
// Images: a container whose image has the repository of one of the version's
// images gets that one's tag and digest, whatever its own tag, so that an
// inherited workload runs the new version; "." in a Score document is the
// version's image named as the container, or main, or the only one. What is
// without a digest then is refused: a caller asks [UnpinnedImages], resolves
// them, gives them to [RenderInput.Pin], and renders.
//
// A Score document's resources are supplied by the configuration: an output
// is a value, or a key of a secret, which becomes a secretKeyRef (in the middle
// of a text by a variable SHIPLOG_SECRET_…, as a whole file by a mount). A
// volume is one of the outputs claim, emptyDir, configMap and secret of its
// resource. The output host of a resource of type dns is the binding's host
// where no layer supplies it. Containers are told PORT and PORT_<NAME> as on a
// process target. All that no layer supplies is refused at once.
//
// Refused at registration: what is no object, twice the same kind and name, two
// namespaces, Secrets with content, labels of Shiplog's own. Refused by Place,
// at once: another namespace than the target's, and, unless the binding's
// [Permissions] allow it, namespaces, RBAC kinds and kinds outside namespaces.
// Of kinds that are not Kubernetes' own only the cluster knows the scope:
// whoever applies objects asks it and refuses by the same permission.
//
// A deployer for Kubernetes therefore calls Place with the act's snapshot and
// binding and applies what it gives. Left to it: the order, what can only be
// made anew (a Job's pods cannot change, and the version's label does), and
// pruning the ConfigMaps of earlier files only when no pod mounts them.
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
