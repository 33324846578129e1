package resolvers

import (
	"context"
	"encoding/json"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/internal/journal"
)

func actor[K ~string](kind K, issuer, subject, display string) (*journal.Actor, error) {
	return &journal.Actor{Kind: string(kind), Issuer: issuer, Subject: subject, Display: display}, nil
}

func (configurationFields) Actor(_ context.Context, c *db.Configuration) (*journal.Actor, error) {
	return actor(c.ActorKind, c.ActorIssuer, c.ActorSubject, c.ActorDisplay)
}

func (checkFields) Actor(_ context.Context, c *db.Check) (*journal.Actor, error) {
	return actor(c.ActorKind, c.ActorIssuer, c.ActorSubject, c.ActorDisplay)
}

func (deploymentFields) Actor(_ context.Context, d *db.Deployment) (*journal.Actor, error) {
	return actor(d.ActorKind, d.ActorIssuer, d.ActorSubject, d.ActorDisplay)
}

func (eventFields) Actor(_ context.Context, e *db.Event) (*journal.Actor, error) {
	return actor(e.ActorKind, e.ActorIssuer, e.ActorSubject, e.ActorDisplay)
}

// rawJSON is stored JSON that is answered as it is.
func rawJSON(content string) json.RawMessage { return json.RawMessage(content) }
