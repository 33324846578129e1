// Package share encodes the logs of deployments once for all viewers who
// asked for the same fields of the same log with the same filter.
//
// A viewer's subscription is validated, authorised and opened once, as any
// other. From then on it pulls parts of the log by its own cursor, and a part
// that is a whole segment, which is the same for all readers, is taken from the
// cache of encodings, or encoded into it by whoever needs it first while the
// others wait. What is only a viewer's own (the piece of a segment that it
// came into, the end) is encoded for it alone. So a slow viewer delays nobody.
//
// What the encoder does not cover is declined: the operation is then executed
// as any other. So are refusals, so that they are the executor's own. Both
// ways yield the same bytes.
//
// # Memory
//
// The cache is bounded in bytes; what was used longest ago goes first. An
// encoding holds no segment alive, and goes with it.
package share
