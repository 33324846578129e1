// Package access knows who calls and what they may do: the caller in the
// context, the roles, the one permission table, and the log of refusals.
package access

import (
	"context"

	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/journal"
)

// Role is what a caller may do, in words that people know.
type Role string

// The roles. Admin may do everything.
const (
	Viewer   Role = "viewer"
	CI       Role = "ci"
	Deployer Role = "deployer"
	Operator Role = "operator"
	Admin    Role = "admin"
)

// Caller is who sent a request.
type Caller struct {
	Actor journal.Actor
	Roles []Role
}

// Key is the caller's name in keys and logs: issuer and subject.
func (c Caller) Key() string { return c.Actor.Issuer + "|" + c.Actor.Subject }

type callerKey struct{}

// With puts the caller into the context.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From gives the caller. Errors: UNAUTHENTICATED when there is none.
func From(ctx context.Context) (Caller, error) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	if !ok {
		return Caller{}, fault.New(fault.Unauthenticated, "who calls is not known: send a token as Authorization: Bearer …")
	}

	return c, nil
}

// LocalAdmin is the caller of a development server: whoever can reach its
// loopback address.
func LocalAdmin() Caller {
	return Caller{
		Actor: journal.Actor{Kind: journal.User, Issuer: "local", Subject: "admin", Display: "local admin"},
		Roles: []Role{Admin},
	}
}

// SettingsAdmin is the caller who has the token of the settings.
func SettingsAdmin() Caller {
	return Caller{
		Actor: journal.Actor{Kind: journal.CI, Issuer: "settings", Subject: "token", Display: "token of the settings"},
		Roles: []Role{Admin},
	}
}

// Engine is Shiplog itself.
func Engine() Caller {
	return Caller{
		Actor: journal.Actor{Kind: journal.System, Issuer: "local", Subject: "shiplog", Display: "Shiplog"},
		Roles: []Role{Admin},
	}
}
