//go:build unix && !linux

package process

import "syscall"

// Other systems have no way to tie a child's life to its parent's, and none to
// list a process' descendants that fits here. What is lost: a container whose
// shim is killed with SIGKILL goes on by itself. (Killing the server is safe.)

func dieWithShim(*syscall.SysProcAttr) {}

func adoptOrphans() error { return nil }

func bootID() string { return "" }

func sweepChildren(int, bool) (bool, error) { return false, nil }

func endSession(int) error { return nil }
