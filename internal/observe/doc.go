// Package observe is the observed side: for each kind of target one observer,
// in whichever replica holds its lease, takes the output of instances into the
// logs of their deployments and writes to the placements what really runs and
// how that differs from what was applied.
//
// Exactly once. Output is read after positions that are stored with the lines
// (package logs), so an observer that dies, or one that does not know yet that
// it was replaced, can neither lose nor double a line. Everything else that it
// writes begins with a check of the lease (store.Tx.Fence).
//
// Which deployment a line belongs to is said by its source. Lines up to the
// outcome are always taken; those after it for a while (Config.Runtime) and
// whenever somebody follows until REPLACED. What is passed over becomes a gap
// as soon as a later line is taken. A deployment's outcome is marked in its log
// when it is final and a read that began afterwards found nothing more; its log
// is closed when another one was applied, its instances are gone, and nothing
// has come for a while.
//
// Goroutines. Run waits for all of them. A tenure (the time of one lease) has
// one that renews, one that hands on wakes and reads the journal, and one a
// unit, to which its state belongs alone. Units are woken by a hint of the
// target or of the journal and ask from time to time unasked.
package observe
