package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/document"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/store"
)

// Decider takes the decisions that changes of the catalogue lead to, inside
// their transactions.
type Decider interface {
	// DecideVersion decides about a new version.
	DecideVersion(ctx context.Context, tx *store.Tx, eventID string, service *db.Service, version *db.Version) ([]*db.Decision, error)
	// Unlocked lets the rules go on in an environment.
	Unlocked(ctx context.Context, tx *store.Tx, environmentID string) error
}

// Catalog is the room.
type Catalog struct {
	store       *store.Store
	decider     Decider
	connections []string
}

// New makes the catalog. Targets of clusters name one of the connections.
func New(s *store.Store, decider Decider, connections ...string) *Catalog {
	return &Catalog{store: s, decider: decider, connections: connections}
}

// source is what the journal says that catalogue changes come through.
const source = "graphql"

// PutDocument stores the content once and gives its digest.
func PutDocument(ctx context.Context, tx *store.Tx, content string) (string, error) {
	digest := documentDigest(content)

	return digest, tx.Document.Create().SetID(digest).SetContent(content).
		OnConflict(entsql.ConflictColumns(document.FieldID), entsql.ResolveWithIgnore()).Exec(ctx)
}

func documentDigest(content string) string {
	sum := sha256.Sum256([]byte(content))

	return "sha256:" + hex.EncodeToString(sum[:])
}

// record appends an event by the caller of the context.
func record(ctx context.Context, tx *store.Tx, kind, subject, service, message string, payload any) (string, error) {
	caller, err := access.From(ctx)
	if err != nil {
		return "", err
	}

	return journal.Record(tx, journal.Entry{
		Type: kind, Actor: caller.Actor, Source: source, Subject: subject, Service: service, Message: message, Payload: payload,
	})
}

// change is the payload of an update: what was there and what is.
type change struct {
	Before any `json:"before"`
	After  any `json:"after"`
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}

	return v
}

// joinAnd makes "a, b and c".
func joinAnd(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}

	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// fieldOfImage names a field of the i-th image of the input, where the first
// may be the short form.
func fieldOfImage(short bool, i int) func(name string) string {
	if short {
		i--
	}

	return func(name string) string {
		switch {
		case i >= 0:
			return fmt.Sprintf("images[%d].%s", i, name)
		case name == "reference":
			return "image"
		}

		return name
	}
}

// text gives nil for nil and for the empty string: a field that is left out
// and one that is cleared are stored alike.
func text(p *string) *string {
	if p == nil || *p == "" {
		return nil
	}

	return p
}
