package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/fault"
)

// maxManager is what Kubernetes takes as the name of a field manager.
const maxManager = 128

// managedBy names the field manager of a unit.
func managedBy(u deployer.Unit) string {
	name := "shiplog/" + u.Service + "/" + u.Environment
	if len(name) <= maxManager {
		return name
	}

	sum := sha256.Sum256([]byte(name))

	return name[:maxManager-9] + "-" + hex.EncodeToString(sum[:4])
}

// conflict is a field that somebody else owns and wants another value for.
type conflict struct {
	manager, field string
}

func (c conflict) String() string { return fmt.Sprintf("%s is owned by %s", c.field, c.manager) }

// byHand reports whether a person changed the field with kubectl, and not a
// program that will do so again.
func (c conflict) byHand() bool { return strings.HasPrefix(c.manager, "kubectl") }

// conflictWith finds the manager in what the server says of a conflict:
// `conflict with "NAME" with subresource "scale" using apps/v1`.
var conflictWith = regexp.MustCompile(`^conflict with "([^"]+)"`)

// conflictsOf gives the conflicts that an apply was refused for.
func conflictsOf(err error) []conflict {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}

	var all []conflict

	for _, cause := range status.Status().Details.Causes {
		if cause.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}

		c := conflict{manager: "somebody else", field: cause.Field}
		if m := conflictWith.FindStringSubmatch(cause.Message); m != nil {
			c.manager = m[1]
		}

		all = append(all, c)
	}

	return all
}

// refuseConflicts refuses what somebody owns who will not let go.
func refuseConflicts(r ref, all []conflict) error {
	var owned []string

	for _, c := range all {
		if !c.byHand() {
			owned = append(owned, c.String())
		}
	}

	if len(owned) == 0 {
		return nil
	}

	slices.Sort(owned)

	return fault.New(fault.Conflict, "%s: %s: leave the field out of the workload, or take it from its owner", r, strings.Join(owned, ", "))
}

// refusal puts what the API server said into words.
func refusal(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsConflict(err):
		return fault.Wrap(err, fault.InvalidInput, "the cluster refuses %s: %s", what, err)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}
