// Package automation is pure: it turns rules and what has happened into
// decisions. It knows neither database nor GraphQL nor clock.
//
// A rule is compiled once ([Compile], or a [Compiler] for many) and asked for
// every event ([Decide]). Compiled rules never change and may be used by any
// number of goroutines.
//
// # The law
//
// Automation does not fight people or rewrite the past: a backfill is never
// acted on; an older version never replaces a newer one, be it in place or on
// its way; a hold (which a rollback makes), a lock and a block stop rules.
// Rules follow deployments of kind DEPLOY, PROMOTE and PATCH unless told
// otherwise.
//
// # Effects
//
// A decision lists every reason that applies, in the order of the reason
// constants. SKIP is final for this event. HOLD says that only a lock or a
// hold is in the way: without it the same facts would be a DEPLOY. So any
// reason to skip outweighs every reason to hold, and the first reason decides.
package automation
