// Package kubernetes deploys to Kubernetes clusters. It is the only room that
// knows client-go.
//
// # The anchor
//
// A unit has one ConfigMap in its namespace, shiplog.ENVIRONMENT.SERVICE, that
// says who acted last, what is wanted, what was there before and what may be
// there at all (the inventory). It is claimed by compare-and-swap on its
// resourceVersion before the first write of an act, and read and claimed again
// by whoever goes on. It outlives what it anchors, so that an owner who was
// replaced is refused after an undeploy, too.
//
// # Why an owner who was replaced writes nothing
//
// An act first asks the server to try everything (a dry run), which gives the
// resourceVersion of every object that is there. Then it claims the anchor as
// it was before the dry run; then it writes every object on the condition of
// its resourceVersion, and looks at the anchor before it makes one that was
// not there. Whoever takes over claims the anchor before its first write, so
// the claim or the condition of an earlier owner fails, however long it slept
// in between.
//
// # Contents
//
// The anchor keeps the objects of two contents, compressed: the one that is
// wanted and the one that was last ready as a whole, which is what Abandon goes
// back to. Nothing on objects or pods tells one deployment from another;
// which pods are of which content is known by the revision (the ReplicaSet's or
// ControllerRevision's hash) that the rollout writes into the anchor.
//
// # Events
//
// What the cluster tells of a unit's objects goes into the log of the act that
// was the last one at the time. A line's position is the event's
// resourceVersion, which is the order in which a cluster's events change, so
// that a position alone says what was told. An event that repeats itself is
// told again when it has come twice as often. All events of a cluster are
// followed by one watch; a cluster that does not give them (list and watch of
// events, in all namespaces) costs the logs these lines and nothing else.
//
// # Objects without pods
//
// After every write of a ConfigMap, Service or Ingress the anchor keeps a hash
// of the fields that its manager owns. Whoever changes one takes it over, so
// that the hash that the watch sees is another one; what others add is theirs.
// That costs a cluster three watches, of what carries our labels. Other kinds
// are not watched: of them a change is not seen before the next act.
//
// # What cannot be changed
//
// A Job whose template has changed is removed with its pods and made anew,
// once the dry run has taken the new one under another name; it is the only
// kind of which nothing goes down by that. Going back runs the earlier Job
// again. Of other kinds a field that cannot be changed is a refusal that names
// it and says what to do.
//
// # Field managers
//
// Objects are applied as shiplog/SERVICE/ENVIRONMENT. A field that a person has
// changed by hand (managers that begin with kubectl) is taken back, and the
// deployment's log says from whom; a field that anybody else owns is a refusal
// that names the owner.
//
// # Goroutines
//
// What watches a cluster starts with its first use and ends with Close, which
// waits for it: a pulse, which asks whether the cluster is there and gives up
// requests that wait for one that is not, and the watches, one over all
// namespaces where that is allowed, else one a namespace that units are in.
// Handlers of a watch never block: they mark units in a set that
// Wake's channels are fed from, so pending wakes are bounded by units.
package kubernetes
