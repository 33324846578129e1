// Package store is the only room that knows which database there is. It opens
// and migrates Postgres or an embedded SQLite, runs explicit write
// transactions (Store.WithTx), consistent reads (Store.ReadTx), leases, and
// wakes whoever waits for a commit.
//
// Reads go through Store.Read (an ent client that refuses writes) or a
// *ReadTx. Every write goes through WithTx: database/sql repeats an autocommit
// statement whose answer was lost, so there are none.
//
// Concurrency. On SQLite one writer connection is shared by all transactions
// and by the job engine; four read-only connections stand beside it. Inside a
// transaction only its own client may be used. On Postgres one pool serves
// both.
package store
