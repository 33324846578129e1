package server

import (
	"os"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
)

const (
	// garbageAllowed is how much garbage is always let lie: a heap of a few
	// megabytes that is collected whenever it doubles is collected a hundred
	// times a second under load.
	garbageAllowed = 48 << 20
	// leastPercent and mostPercent bound what is made of it: Go's default, and
	// what was measured to be enough.
	leastPercent, mostPercent = 100, 400
)

// spareCollections tunes the garbage collector after each collection to the
// live heap: small heaps may grow by garbageAllowed, large ones double as ever.
// GOGC in the environment is left as it is.
func spareCollections() {
	if os.Getenv("GOGC") != "" {
		return
	}

	collected(&struct{ self *byte }{self: new(byte)})
}

// collected is called after each collection, with what only the next one
// finds unreachable.
func collected(sentinel *struct{ self *byte }) {
	live := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtimemetrics.Read(live)

	debug.SetGCPercent(gcPercent(live[0].Value.Uint64()))
	runtime.SetFinalizer(sentinel, collected)
}

// gcPercent is the growth allowed to a live heap of so many bytes, in percent.
func gcPercent(live uint64) int {
	return int(min(max(garbageAllowed*100/max(live, 1), leastPercent), mostPercent))
}
