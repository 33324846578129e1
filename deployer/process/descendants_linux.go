package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// prSetChildSubreaper makes orphaned descendants children of the caller
// (linux/prctl.h).
const prSetChildSubreaper = 36

// dieWithShim makes the container die with the thread that starts it, which
// the shim keeps for its whole life.
func dieWithShim(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }

// adoptOrphans makes descendants that lose their parent children of this
// process, so that a daemon that a container made does not get away.
func adoptOrphans() error {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		return fmt.Errorf("become the reaper of descendants: %w", errno)
	}

	return nil
}

// bootID tells process ids of one boot from those of another.
func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}

	return strings.TrimSpace(string(data))
}

type procStat struct {
	pid, parent, session int
	state                string
}

func processes() ([]procStat, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("open /proc: %w", err)
	}

	names, err := proc.Readdirnames(-1)
	if err := errors.Join(err, proc.Close()); err != nil {
		return nil, fmt.Errorf("list /proc: %w", err)
	}

	var all []procStat
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}

		// A process may end at any moment: not readable is not there.
		if data, err := os.ReadFile("/proc/" + name + "/stat"); err == nil {
			if s, ok := parseStat(pid, string(data)); ok {
				all = append(all, s)
			}
		}
	}

	return all, nil
}

// parseStat reads what follows the command's closing parenthesis: state, ppid,
// pgrp, session (proc_pid_stat(5)).
func parseStat(pid int, stat string) (procStat, bool) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 4 {
		return procStat{}, false
	}

	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return procStat{}, false
	}

	session, err := strconv.Atoi(fields[3])

	return procStat{pid: pid, parent: parent, session: session, state: fields[0]}, err == nil
}

// sweepChildren reaps the children of this process that have ended, except
// one, ends the others if asked to, and reports whether any are left.
func sweepChildren(except int, end bool) (bool, error) {
	all, err := processes()
	if err != nil {
		return false, err
	}

	self, left := os.Getpid(), false
	for _, p := range all {
		if p.parent != self || p.pid == except {
			continue
		}

		if end && p.state != "Z" {
			if err := kill(p.pid, syscall.SIGKILL); err != nil {
				return true, err
			}
		}

		pid, err := syscall.Wait4(p.pid, nil, syscall.WNOHANG, nil)
		left = left || (err == nil && pid == 0)
	}

	return left, nil
}

// endSession ends what a killed shim left behind: the members of its session.
// A session whose leader lives is not that one: the id was used again.
func endSession(shim int) error {
	all, err := processes()
	if err != nil {
		return err
	}

	for _, p := range all {
		if p.pid == shim && p.state != "Z" {
			return nil
		}
	}

	for _, p := range all {
		if p.session != shim || p.state == "Z" || p.pid == os.Getpid() {
			continue
		}

		if err := kill(p.pid, syscall.SIGKILL); err != nil {
			return err
		}
	}

	return nil
}
