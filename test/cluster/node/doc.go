// Package node runs one machine inside the machine: processes with network,
// mounts, process ids, host name, IPC and cgroups of their own, and no route out.
// It knows nothing of Kubernetes; a Spec says what runs.
//
// The stages, each a process of the program noded:
//
//	start  starts host and ends, so that host is nobody's child
//	host   outside: holds the lock of the folder, listens on loopback, starts
//	       init in new namespaces and removes its cgroups when it has ended
//	init   process 1 inside: goes into cgroups of its own, takes a cgroup
//	       namespace, becomes
//	run    which is still process 1: mounts, network, then the components, which
//	       it starts again when they end
//
// Who ends whom: the kernel kills all that is inside when process 1 ends, and
// process 1 when host ends. So one SIGKILL, wherever it strikes, leaves at most
// empty cgroups, whose paths are in the file cgroups; Clean removes them.
//
// Host and run meet through unix sockets in the folder, which network
// namespaces do not divide.
package node
