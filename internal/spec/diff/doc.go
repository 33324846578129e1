// Package diff is pure: it compares two sides of a deployment, writes and
// applies operations (RFC 6902), and merges a change into what is there now.
//
// # What is compared
//
// A [Side] is a version's name, a snapshot and the place it is bound to. It is
// compared as one document:
//
//	/version                 the version's name
//	/configuration/…         the effective configuration; variables, limits,
//	                         patches and resources are always there
//	/images/…, /workload/…   as in the snapshot's canonical form; manifests are
//	                         named by their SHA-256, their objects follow
//	/objects/KEY/…           the rendered objects in canonical form
//	/renderer, /target       as in the snapshot's canonical form
//	/binding/…               environment, namespace and host: outside the digest
//
// Paths are JSON pointers (RFC 6901). Lists that have an identity are maps
// keyed by it (package spec, "The canonical form"), so that a path means the
// same thing everywhere. A list whose order means something (initContainers)
// is walked by the names of its elements; the place in the path is that in the
// newer side, of what was removed that in the older one. Any other list is one
// value.
//
// # Inputs and operations
//
// /version and /configuration are the inputs: what a person changes. The
// operations of a diff turn the inputs of one side into those of the other and
// back; they are add, remove and replace of values that have a path of their
// own. A list is replaced whole: an index means nothing in another document.
//
// # Three ways
//
// [Merge] carries the change from base to wanted over to current. What only
// one of the two changed is taken, what both changed alike is kept, what both
// changed differently is a [Conflict]; a map is merged by its members when all
// three have it. One conflict and nothing is merged.
//
// # Secrets
//
// References to secrets are compared and named. Never shown are the content of
// a Secret object, kubectl's copy of an object, and the literal text of what is
// a reference to a secret on either side: a password that was moved into a
// secret. They are masked in changes, operations and texts. Conflicts hold their
// values as they are: whoever shows them masks them.
package diff
