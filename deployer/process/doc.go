//go:build unix

// Package process runs snapshots as processes of the local machine: a real
// runtime for trying Shiplog and for development machines.
//
// # Who runs what
//
// Every container is run by a shim, a small detached process of its own
// (`shiplog process-shim DIR`, the same binary executed again), and every unit
// with ports has a proxy (`shiplog process-proxy DIR`). Both outlive the
// server: killing it stops nothing, loses no line and no exit code, and the
// next server finds everything in files. Nothing is remembered in memory but
// caches.
//
// # Files
//
//	DIR/ports/PORT                    who has reserved the port
//	DIR/units/ENVIRONMENT/SERVICE/    a unit
//	    lock                          flock: whoever changes the unit holds it
//	    anchor.json                   what is wanted: epoch, generations, instances, ports
//	    proxy/                        routes.json (wanted), state.json (taken), lock, control
//	    runs/INSTANCE.CONTAINER/      a run: one container of one instance
//	        spec.json                 what to run; written once
//	        lock                      flock: held as long as the shim lives
//	        state.json                what became of it; written by the shim only
//	        stop                      the wish that it ends; control is a FIFO that wakes the shim
//	        N.lines                   output in segments, N is the first position in it
//	        shim.log                  what the shim itself had to say
//
// # Why there is never a second copy and never an orphan
//
// An instance is written into the anchor before it is spawned. The spawner
// takes the run's lock and hands the locked descriptor to the shim, so that
// "is there a shim?" and "I am about to make one" are the same atomic
// question, whoever dies in between. A run that no anchor names, or whose
// generation is on its way out, is stopped by whoever looks next. The
// container dies with its shim (PR_SET_PDEATHSIG on Linux), and a new shim
// first ends what a killed one left of its session.
//
// # Ordering and blocking
//
// Methods that change a unit hold its flock; none of them waits for a process
// to end, and Rollout waits at most ackWait for the proxy to take new routes.
// Read takes no lock: segments only grow, and files are replaced by rename.
// Wake's goroutine ends, and closes the channel, when its context ends; it
// keeps one pending mark a unit, so it never grows beyond the number of units.
package process
