// Package logs keeps the log of every deployment: appended exactly once, in
// one order, compressed in the database, read by cursor and followed live.
//
// Entries. A log is a run of entries numbered from 1 without holes (Seq). An
// entry is a line or a gap (Line.Gap set, no text): the mark that lines are
// missing at this place. A gap has a seq of its own, so that a cursor is one
// number. Where retention has removed chunks, reading makes up a gap whose seq
// is that of the last entry that is missing.
//
// Appending. Whoever appends locks the log's head row, so the order of seqs is
// the order of commits. Lines that were read from a source (an instance's
// output) come with the source's position before and after them; the head
// keeps the position up to which each source was taken and refuses others
// (PositionError), so that neither a retry nor a second collector can double or
// lose a line. Lines of steps have no source; AppendTx writes them in the
// transaction of the step itself. The head is locked when AppendTx is called,
// before the journal's head, which is locked last of all.
//
// Batching. Writer has one goroutine a deployment while there is work. It
// commits what is there at once; what arrives during a commit is gathered, up
// to 64 KiB, into the next. Its queue is bounded: who is too quick waits.
//
// Following. A Reader has a cursor and asks for what comes after it. Readers of
// one deployment share a tail: the newest segments in memory, filled by the
// commits of this process or by one read of the store a wake, however many
// readers there are. Who asks for older entries gets them from the store,
// through a small cache of the tail. Segments are immutable and shared. A slow
// reader holds up nobody and loses nothing.
//
// Goroutines: only Writer starts some, and Writer.Close waits for them. A tail
// lives as long as it has readers.
package logs
