// Package contract holds the types of the contract that are no rows: connections,
// lines of a log, and what a version runs. By hand.
package contract
