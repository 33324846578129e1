// Package deployment makes deployments and carries them to their end. It is
// the only writer of deployments, steps, decisions, rules and of the recorded
// side of placements.
//
// # How a deployment lives
//
// It is created (create) in one transaction with its steps, its event and the
// job that will carry it on, under the lock of its placement's row. Whoever
// takes the lease of the unit (service and environment) carries on what is
// there: first the holder of the slot, then the newest candidate (Advance).
// Intent is stored before every act, the outcome after it, and every write of
// the owner checks the lease (Fence), so a taker knows where to go on and an
// owner that was paused writes nothing more.
//
//	QUEUED ── planned, slot taken ─► RUNNING ── applied ─► VERIFYING ─► SUCCEEDED
//	  │  └► SUPERSEDED by a newer candidate   └► WAITING: outcome not known
//	  └► CANCELLED, FAILED (cannot be planned)      FAILED, ERRORED, CANCELLED
//
// # Locks
//
// In this order, in every transaction: idempotency key, service row (when a
// version is registered), placement row, lease row (shared), journal head
// (last). SQLite has one writer and needs none of them.
package deployment
